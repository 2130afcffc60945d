"""Says what pydantic found wrong, in words for people and without the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.config import kinds, schema
from gateway.config.errors import Problem, Trail, shortened
from gateway.config.yaml import Document

_SENTENCES = {
    "string_type": "text is expected",
    "bool_type": "true or false is expected",
    "int_type": "a whole number is expected",
    "float_type": "a number is expected",
    "list_type": "a list is expected",
    "dict_type": "a mapping (`key: value` lines) is expected",
    "model_type": "a mapping (`key: value` lines) is expected",
    "too_short": "at least one is needed",
}
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "proxies": schema.ProxyKeys,
    "deadlines": schema.DeadlineKeys,
    "sizes": schema.SizeKeys,
    "connections": schema.ConnectionKeys,
}
_ENTRIES: Mapping[str, type[BaseModel]] = {
    "routes": schema.RouteKeys,
    "labels": schema.LabelKeys,
    "groups": schema.GroupKeys,
    "bots": schema.BotKeys,
}
REFERENCE = "`env:NAME`, `file:PATH`, or null for an upstream without a key"
_REQUIRED = {"secret": f"`secret` is required: {REFERENCE}"}


def problems(document: Document, error: ValidationError) -> list[Problem]:
    """Return every problem that `error` holds, at its place in the file."""
    details = error.errors(include_url=False, include_input=False)
    return [_problem(document, detail) for detail in details]


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that is not there, with those that are."""
    names = sorted(known)
    near = get_close_matches(given, names, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return (
        f"unknown {what} {shortened(given)!r}{hint}; {what}s here are: {', '.join(names) or 'none'}"
    )


def _problem(document: Document, detail: ErrorDetails) -> Problem:
    trail: Trail = tuple(part for part in detail["loc"] if part not in kinds.TAGS)
    if trail and trail[-1] == "[key]":
        return document.problem(trail[:-1], _expectation(detail), at_key=True)
    if detail["type"] == "extra_forbidden":
        key = str(trail[-1])
        message = unknown("key", key, _keys_under(trail[:-1]))
        return document.problem(trail, message, at_key=True)
    if detail["type"] == "missing":
        key = str(trail[-1])
        message = _REQUIRED.get(key, f"`{key}` is required")
        return document.problem(trail[:-1], message, at_key=True)
    return document.problem(trail, _sentence(document, trail, detail))


def _sentence(document: Document, trail: Trail, detail: ErrorDetails) -> str:
    value, sentence = document.value_at(trail), _expectation(detail)
    if value is None:
        return f"this is empty: {sentence}{_way_out(trail)}"
    if detail["type"] == "string_type" and isinstance(value, int | float):
        return "text is expected, and YAML reads this otherwise: put it in quotes"
    return sentence


def _way_out(trail: Trail) -> str:
    field = _keys_under(trail[:-1]).get(str(trail[-1])) if trail else None
    if field is None or field.is_required():
        return ""
    match trail:
        case (_, _, "allow", _, _):
            return "; or leave the key out, which allows all"
        case _:
            return "; or leave the key out"


def _expectation(detail: ErrorDetails) -> str:
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"{context['expected']} is expected"
    for bound, words in (("gt", "more than"), ("ge", "at least"), ("le", "at most")):
        if bound in context:
            return f"{words} {context[bound]:.15g} is expected"
    return _SENTENCES.get(kind, detail["msg"])


def _keys_under(trail: Trail) -> Mapping[str, FieldInfo]:
    """Return the keys that a mapping at `trail` may have; none where it has entries by name."""
    match trail:
        case ():
            return schema.FileKeys.model_fields
        case ("listen", *_) | ("admin",) | ("routes", _, "listen"):
            return schema.ListenerKeys.model_fields
        case (*_, "limits", int()):
            return schema.LimitKeys.model_fields
        case (_, _, "allow", _):
            return schema.RuleKeys.model_fields
        case (str(section),) if section in _SECTIONS:
            return _SECTIONS[section].model_fields
        case (str(section), _) if section in _ENTRIES:
            return _ENTRIES[section].model_fields
        case _:
            return {}
