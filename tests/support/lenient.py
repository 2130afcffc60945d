"""Readers of bodies as forgiving as any that a provider may have, each in its own way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

Pairs = list[tuple[str, Any]]
_BREAK = re.compile(rb"\r?\n|\r")


def values(name: str, query: bytes, kind: bytes, body: bytes) -> set[str]:
    """Return every value that some reader finds under `name`, in the query or the body."""
    found = set(_of_form(name, query))
    if b"json" in kind.lower() or body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] == b"{":
        found |= set(_of_json(name, body))  # also those who never look at the type
    if b"urlencoded" in kind.lower():
        found |= set(_of_form(name, body))
    if b"multipart" in kind.lower():
        found |= set(_of_multipart(name, kind, body))
    return found


_OBJECTS: list[Callable[[Pairs], dict[str, Any]]] = [
    dict,  # the last wins: Python, JavaScript
    lambda pairs: dict(reversed(pairs)),  # the first wins
    lambda pairs: {_folded(key): value for key, value in pairs},  # without case: Go, .NET
    lambda pairs: {_folded(key): value for key, value in reversed(pairs)},
]


def _folded(name: str) -> str:
    """Return it without case, up to where a reader in C stops."""
    return name.partition("\0")[0].casefold()


def _bare(name: str) -> str:
    return _folded(name.strip())


def _of_json(name: str, body: bytes) -> Iterator[str]:
    for hook in _OBJECTS:
        try:
            top = json.loads(body, object_pairs_hook=hook)
        except (ValueError, RecursionError):
            return
        value = top.get(name) if isinstance(top, dict) else None
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield str(one)


def _php(text: str) -> Pairs:
    """What is in brackets indexes an array; dots, spaces and an open bracket are `_`."""
    pairs = []
    for name, value in parse_qsl(text, keep_blank_values=True):
        outer, _, inner = name.lstrip(" ").partition("[")
        pairs.append((outer if "]" in inner else name.lstrip(" "), value))
    return [(re.sub(r"[ .\[]", "_", name), value) for name, value in pairs]


_FORMS: list[Callable[[str], Pairs]] = [
    lambda text: list(parse_qsl(text, keep_blank_values=True)),
    lambda text: list(parse_qsl(text.replace(";", "&"), keep_blank_values=True)),
    lambda text: [(_bare(n), v) for n, v in parse_qsl(text, keep_blank_values=True)],
    lambda text: [(unquote_plus(n).partition("[")[0], v) for n, v in parse_qsl(text)],
    _php,
]


def _of_form(name: str, text: bytes) -> Iterator[str]:
    for read in _FORMS:
        yield from (value for key, value in read(text.decode("latin-1")) if key == name)


def _of_multipart(name: str, kind: bytes, body: bytes) -> Iterator[str]:
    message = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + body)
    every: Any = message.get_payload() if message.is_multipart() else []
    for part in every:
        if _bare(str(part.get_param("name", header="content-disposition"))) == name:
            yield str(part.get_payload())
    boundary = re.search(rb'boundary="?([^";\s]+)', kind)
    mark = rb"(?:\A|[\r\n])--" + re.escape(boundary[1]) if boundary else rb"\Z"
    for part in re.split(mark, body)[1:]:
        yield from _loosely(name, part)


def _loosely(name: str, part: bytes) -> Iterator[str]:
    """One that takes any line end, and any `name=` it sees."""
    lines = _BREAK.split(part)
    end = lines.index(b"", 1) if b"" in lines[1:] else len(lines)
    head = b"\n".join(lines[:end])
    for quoted, bare in re.findall(rb'[; \n]name="?(?:([^"]*)"|([^";\s]*))', head, re.IGNORECASE):
        if _bare((quoted or bare).decode("latin-1").partition("[")[0]) == name:
            yield b"\n".join(lines[end + 1 : -1]).decode("latin-1")
