"""Says what pydantic found wrong, in words for people and without the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
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
_REQUIRED = {
    "secret": "`secret` is required: `env:NAME`, `file:PATH`, or null for an upstream without a key"
}


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
        return document.problem(trail[:-1], _sentence(document, trail, detail), at_key=True)
    if detail["type"] == "extra_forbidden":
        key = str(trail[-1])
        message = unknown("key", key, model_at(trail[:-1]).model_fields)
        return document.problem(trail, message, at_key=True)
    if detail["type"] == "missing":
        key = str(trail[-1])
        message = _REQUIRED.get(key, f"`{key}` is required")
        return document.problem(trail[:-1], message, at_key=True)
    return document.problem(trail, _sentence(document, trail, detail))


def _sentence(document: Document, trail: Trail, detail: ErrorDetails) -> str:
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_type" and isinstance(document.value_at(trail), int | float):
        return "text is expected, and YAML reads this otherwise: put it in quotes"
    if kind == "literal_error":
        return f"{context['expected']} is expected"
    for bound, words in (("gt", "more than"), ("ge", "at least"), ("le", "at most")):
        if bound in context:
            return f"{words} {context[bound]:.15g} is expected"
    sentence = _SENTENCES.get(kind, detail["msg"])
    if document.value_at(trail) is not None:
        return sentence
    way_out = "; or leave the key out" if _is_optional(trail) else ""
    return f"this is empty: {sentence}{way_out}"


def _is_optional(trail: Trail) -> bool:
    """Whether a key stands at `trail` that its model can do without; an entry is no key."""
    model = model_at(trail[:-1])
    field = model.model_fields.get(str(trail[-1])) if model else None
    return field is not None and not field.is_required()


def model_at(trail: Trail) -> type[BaseModel] | None:
    """Return the model whose keys stand directly under `trail`, None where it has no keys."""
    match trail:
        case ():
            return schema.FileKeys
        case ("listen", *_) | ("admin",) | ("routes", _, "listen"):
            return schema.ListenerKeys
        case (*_, "limits", int()):
            return schema.LimitKeys
        case (_, _, "allow", _):
            return schema.RuleKeys
        case (str(section),) if section in _SECTIONS:
            return _SECTIONS[section]
        case (str(section), _) if section in _ENTRIES:
            return _ENTRIES[section]
        case _:
            return None
