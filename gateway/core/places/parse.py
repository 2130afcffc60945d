"""Read a place from the configuration's notation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from gateway.core.headers import CREDENTIAL, KEEP, request_kinds
from gateway.core.places.base import Place
from gateway.core.places.basic import Basic
from gateway.core.places.form import FormField
from gateway.core.places.header import Header
from gateway.core.places.json import JsonField
from gateway.core.places.path import Path
from gateway.core.places.query import Query

_WORDS = {"bearer": "Bearer", "bot": "Bot", "token": "Token"}
_ALLOWED = (
    "bearer, bot, token, {scheme: NAME}, {header: NAME}, {basic: user}, {basic: password}, "
    "{query: NAME}, {path: /PREFIX}, {json: /POINTER} or {form: NAME}"
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-])*")  # no %, ? or #
_FIELD = re.compile(r'[^\x00-\x1f\x7f"\\]+')
# A secret there would change what the message is or where it goes.
_FRAMING = ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding")
_NOT_OURS = frozenset([*_FRAMING, "expect", "host", "upgrade"])


def parse_place(spec: str | Mapping[str, object]) -> Place:
    """Return the place that `spec` describes; ValueError says what is allowed."""
    if isinstance(spec, str):
        if spec not in _WORDS:
            raise ValueError(f"{spec!r} is not a place; it must be {_ALLOWED}")
        return Header("Authorization", _WORDS[spec])
    fields = dict(spec)
    for kind, build in _KINDS.items():
        if kind in fields:
            return _built(build, fields)
    raise ValueError(f"{_shown(fields)} is not a place; it must be {_ALLOWED}")


def _built(build: Callable[[dict[str, str]], Place], fields: dict[str, object]) -> Place:
    texts = {str(key): value for key, value in fields.items() if isinstance(value, str)}
    if len(texts) != len(fields):
        raise ValueError(f"{_shown(fields)} is not a place; every value must be a text")
    place = build(texts)
    if texts:
        raise ValueError(f"{_shown(fields)} is not a place; {', '.join(texts)} has no meaning here")
    return place


def _shown(fields: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"


def _matched(kind: str, value: str, rule: re.Pattern[str], means: str) -> str:
    if not rule.fullmatch(value):
        raise ValueError(f"{{{kind}: {value}}} is not a place; it must be {means}")
    return value


def _header(fields: dict[str, str]) -> Place:
    name = _matched("header", fields.pop("header"), _TOKEN, "the name of a header")
    if name.lower() in _NOT_OURS:
        raise ValueError(f"{{header: {name}}} is not a place; HTTP itself needs that header")
    if request_kinds()[name.encode()] not in (KEEP, CREDENTIAL):
        raise ValueError(f"{{header: {name}}} is not a place; that header never carries a key here")
    return Header(name, _scheme_of(fields) if "scheme" in fields else None)


def _scheme(fields: dict[str, str]) -> Place:
    return Header("Authorization", _scheme_of(fields))


def _scheme_of(fields: dict[str, str]) -> str:
    return _matched("scheme", fields.pop("scheme"), _TOKEN, "one word, such as Token")


def _basic(fields: dict[str, str]) -> Place:
    part = fields.pop("basic")
    if part == "password":
        user = fields.pop("user", None)
        if user is not None and ":" in user:
            raise ValueError(f"{{user: {user}}} cannot stand in Basic; it must hold no colon")
        return Basic("password", user)
    if part == "user":
        return Basic("user", fields.pop("password", None))
    raise ValueError(f"{{basic: {part}}} is not a place; it must be user or password")


def _query(fields: dict[str, str]) -> Place:
    return Query(_matched("query", fields.pop("query"), _FIELD, "the name of a parameter"))


def _path(fields: dict[str, str]) -> Place:
    return Path(_matched("path", fields.pop("path"), _PATH, "a path prefix such as /bot"))


def _json(fields: dict[str, str]) -> Place:
    return JsonField(fields.pop("json"))


def _form(fields: dict[str, str]) -> Place:
    return FormField(_matched("form", fields.pop("form"), _FIELD, "the name of a form field"))


_KINDS: Mapping[str, Callable[[dict[str, str]], Place]] = {
    "header": _header,
    "scheme": _scheme,
    "basic": _basic,
    "query": _query,
    "path": _path,
    "json": _json,
    "form": _form,
}
