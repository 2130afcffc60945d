"""What a request is about (its model, its chat), for the record: seen in passing, never judged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.core.errors import GatewayError
from gateway.core.model import Subject
from gateway.core.multipart import boundary_of, parts

_LONGEST = 128


class SubjectFinder:
    """Finds one provider's subjects. Built once per route; `find` never raises."""

    __slots__ = ("_forms", "_json", "_names", "_paths", "_queries")

    def __init__(self, subjects: Sequence[Subject]) -> None:
        names = [subject.json for subject in subjects if subject.json]
        self._names = names
        self._json = (
            msgspec.json.Decoder(msgspec.defstruct("Seen", [(name, Any, None) for name in names]))
            if names
            else None
        )
        self._forms = frozenset(subject.form for subject in subjects if subject.form)
        self._queries = frozenset(subject.query for subject in subjects if subject.query)
        self._paths = [re.compile(subject.path.encode()) for subject in subjects if subject.path]

    def find(self, path: bytes, query: bytes | None, content_type: bytes, body: bytes) -> str:
        """Return the first subject found, at most 128 characters of it; "" where there is none."""
        for pattern in self._paths:
            match = pattern.search(path)
            if match:
                return _text(match[1])
        if query and self._queries:
            found = _pair(query, self._queries)
            if found:
                return found
        if not body:
            return ""
        if self._json is not None and body[:1] == b"{":
            return self._from_json(body)
        if self._forms and content_type.startswith(b"application/x-www-form-urlencoded"):
            return _pair(body, self._forms)
        if self._forms and content_type.startswith(b"multipart/form-data"):
            return self._from_parts(content_type, body)
        return ""

    def _from_parts(self, content_type: bytes, body: bytes) -> str:
        try:
            every = parts(body, boundary_of(content_type))
        except GatewayError:
            return ""
        for part in every:
            if not part.is_file and part.name.decode("latin-1") in self._forms:
                return _text(body[part.content : part.end])
        return ""

    def _from_json(self, body: bytes) -> str:
        assert self._json is not None
        try:
            seen = self._json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""
        for name in self._names:
            value = getattr(seen, name)
            if isinstance(value, (str, int)):
                return str(value)[:_LONGEST]
        return ""


def _pair(text: bytes, names: frozenset[str]) -> str:
    try:
        pairs = parse_qsl(text.decode("utf-8", "replace"), max_num_fields=64)
    except ValueError:
        return ""
    return next((value[:_LONGEST] for name, value in pairs if name in names), "")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")[:_LONGEST]
