"""What a request is about (its model, its chat), for the record: seen in passing, never judged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.core.errors import GatewayError
from gateway.core.model import Subject
from gateway.core.multipart import boundary_of, parts

_LONGEST = 128


class SubjectFinder:
    """Finds one provider's subjects, in fields that lie open. Built once per route.

    What a rule depends on is read by `FieldReader` instead.
    """

    __slots__ = ("_names", "_paths", "_queries", "_seen")

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._names = _open(name for subject in subjects for name in subject.fields)
        members = [(name, Any, None) for name in self._names]
        self._seen = msgspec.json.Decoder(msgspec.defstruct("Seen", members))
        self._queries = _open(name for subject in subjects for name in subject.query)
        self._paths = [re.compile(subject.path.encode()) for subject in subjects if subject.path]

    def find(self, path: bytes, query: bytes | None, content_type: bytes, body: bytes) -> str:
        """Return the first subject found, at most 128 characters of it; "" where there is none."""
        for pattern in self._paths:
            match = pattern.search(path)
            if match and match[1]:
                return _text(match[1])
        if query and self._queries:
            found = _pair(query, self._queries)
            if found:
                return found
        if not body or not self._names:
            return ""
        if body[:1] == b"{":
            return self._from_json(body)
        if content_type.startswith(b"application/x-www-form-urlencoded"):
            return _pair(body, self._names)
        if content_type.startswith(b"multipart/form-data"):
            return self._from_parts(content_type, body)
        return ""

    def _from_parts(self, content_type: bytes, body: bytes) -> str:
        try:
            every = parts(body, boundary_of(content_type))
        except GatewayError:
            return ""
        for part in every:
            if not part.is_file and part.name.decode("latin-1") in self._names:
                return _text(body[part.content : part.end])
        return ""

    def _from_json(self, body: bytes) -> str:
        try:
            seen = self._seen.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return ""
        for value in msgspec.structs.astuple(seen):
            if isinstance(value, str) or type(value) is int:
                return str(value)[:_LONGEST]
        return ""


def _open(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the fields that lie at the top and hold one value."""
    return tuple(dict.fromkeys(name for name in names if name.isidentifier()))


def _pair(text: bytes, names: tuple[str, ...]) -> str:
    try:
        pairs = parse_qsl(text.decode("utf-8", "replace"), max_num_fields=64)
    except ValueError:
        return ""
    return next((value[:_LONGEST] for name, value in pairs if name in names), "")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")[:_LONGEST]
