"""Which content types can be read in one way only."""

from __future__ import annotations

import re

from gateway.core.errors import GatewayError
from gateway.core.fields.ruled import unreadable
from gateway.core.multipart import parameters

FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data"
JSON = b"application/json"
_BYTES = b"application/octet-stream"

_SUFFIXED = re.compile(rb"application/[a-z0-9._+-]+\+json")
_ONLY = (
    "a rule depends on what the body says; it must be application/json, "
    "application/x-www-form-urlencoded or multipart/form-data, in UTF-8 and not encoded further"
)


def kind_of(content_type: bytes, encoding: bytes) -> bytes:
    """Return JSON (also for `+json`), FORM or MULTIPART.

    Raises scope_unreadable for what is none of them, or could be another one to some reader.
    """
    if content_type == JSON and not encoding:  # nearly always
        return JSON
    kind, given = _parsed(content_type)
    own = {b"boundary"} if kind == MULTIPART else set()
    # Some readers look for a kind anywhere in the value; each of them has its own slash.
    is_plain = content_type.count(b"/") == 1 and given.keys() <= own | {b"charset"}
    if not is_plain or not _is_utf8(given) or encoding.lower() not in (b"", b"identity"):
        raise unreadable(_ONLY)
    if _SUFFIXED.fullmatch(kind) and b"urlencoded" not in kind:
        return JSON
    if kind not in (JSON, FORM, MULTIPART):
        raise unreadable(_ONLY)
    return kind


def is_text(content_type: bytes, holds_json: bool = False) -> bool:
    """Whether a form's part of this type is a text to every reader; b"" is the default."""
    # Some take an octet-stream for a file even where it has no file name. To them the form lacks
    # the field, which is no harm where JSON adds to what is named: so hikari sends payload_json.
    if holds_json and content_type == _BYTES:
        return True
    kind, given = _parsed(content_type)
    return kind in (b"", b"text/plain", JSON) and given.keys() <= {b"charset"} and _is_utf8(given)


def _parsed(content_type: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    try:
        return parameters(content_type)
    except GatewayError:
        raise unreadable(_ONLY) from None


def _is_utf8(given: dict[bytes, bytes]) -> bool:
    return given.get(b"charset", b"utf-8").lower() in (b"utf-8", b"utf8")
