"""Read and edit `name=value&name=value` text, as queries and forms carry it, byte for byte."""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

_STRAY = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decode(raw: bytes) -> bytes:
    """Undo the encoding of one name or value: `+` is a space, `%41` an A, a stray `%` itself."""
    return unquote_to_bytes(raw.replace(b"+", b" "))


def is_plain(raw: bytes) -> bool:
    """Whether every `%` begins an escape, so that all decoders read the same."""
    return not _STRAY.search(raw)


def encode(raw: bytes) -> bytes:
    """Percent-encode all but RFC 3986's unreserved characters."""
    return quote_from_bytes(raw, safe="").encode("ascii")


def _is_named(pair: bytes, name: bytes) -> bool:
    raw = pair.partition(b"=")[0]
    return raw == name or ((b"%" in raw or b"+" in raw) and decode(raw) == name)


def values(text: bytes, name: bytes) -> tuple[bytes, ...]:
    """Return the decoded values of every pair called `name`, in the order they stand."""
    pairs = text.split(b"&")
    return tuple(decode(p.partition(b"=")[2]) for p in pairs if _is_named(p, name))


def without(text: bytes, name: bytes) -> bytes:
    """Drop every pair called `name`; all other bytes stay."""
    return b"&".join(pair for pair in text.split(b"&") if not _is_named(pair, name))


def with_value(text: bytes, name: bytes, value: bytes) -> bytes:
    """Give `name` this one value: where its first pair stands, else at the end."""
    new = encode(name) + b"=" + encode(value)
    pairs = text.split(b"&") if text else []
    at = next((i for i, pair in enumerate(pairs) if _is_named(pair, name)), len(pairs))
    after = [pair for pair in pairs[at:] if not _is_named(pair, name)]
    return b"&".join([*pairs[:at], new, *after])
