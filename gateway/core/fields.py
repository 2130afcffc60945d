"""What a request says it is about, read so strictly that no provider could read another value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from urllib.parse import unquote_to_bytes

from gateway.core import urlencoded
from gateway.core.contenttypes import FORM, JSON, kind_of
from gateway.core.formfields import FormFields
from gateway.core.formscan import FormScan
from gateway.core.jsonfields import JsonFields
from gateway.core.model import Subject
from gateway.core.ruled import Ruled, Said, Value, said_of, unreadable

__all__ = ["FieldReader", "Peek", "Said", "merged"]


class Peek(Protocol):
    """Reads one body, up to where all is said, and from there on whether it stays so."""

    whole: bool
    """Whether nothing is known before the end; else it reads on as the body streams."""

    def feed(self, data: bytes, ended: bool) -> bool:
        """Read on; True once everything that may be said has been said.

        `ended`: these are the last bytes. Raises Refused (scope_unreadable), also later.
        """
        ...

    def said(self) -> Said:
        """Return what the body said, once `feed` has returned True."""
        ...


class FieldReader:
    """Reads what a request says of some subjects. Immutable, built once for them.

    ValueError for a subject whose fields are not in the notation of `Subject.fields`.
    """

    __slots__ = ("_body", "_in_body", "_in_path", "_query")

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._in_path = {one.name: _InPath(one, one.path) for one in subjects if one.path}
        self._query = FormFields(
            [Ruled(name, one) for one in subjects for name in one.query], "query"
        )
        self._in_body = tuple(one for one in subjects if one.fields)
        self._body = _Body(self._in_body) if self._in_body else None

    def head(self, path: bytes, query: bytes | None) -> Said:
        """Return what path and query say, both raw; the path is what follows the prefix.

        Raises Refused (scope_unreadable).
        """
        said = said_of(self._by_path(path))
        return merged(said, self._query.read(query)) if query and self._query else said

    def wants_body(self, path: bytes) -> bool:
        """Whether a body could say more than the head does."""
        return bool(self._undecided(path))

    def peek(self, path: bytes, content_type: bytes, encoding: bytes) -> Peek:
        """Return what reads a body of this Content-Type and Content-Encoding (b"" for none).

        To be asked for only where there is a body and `wants_body` says so. Raises Refused
        (scope_unreadable) for a body that cannot be read.
        """
        kind = kind_of(content_type, encoding)
        undecided = self._undecided(path)
        body = self._body
        if body is None or len(undecided) < len(self._in_body):
            body = _Body(undecided)
        if kind == JSON:
            return _Whole(body.json.read)
        return _Whole(body.form.read) if kind == FORM else FormScan(body.form, content_type)

    def _by_path(self, path: bytes) -> Iterator[tuple[str, str]]:
        for subject, place in self._in_path.items():
            value = place.find(path)
            if value is not None:
                yield subject, value

    def _undecided(self, path: bytes) -> Sequence[Subject]:
        return [one for one in self._in_body if not self._is_decided(one, path)]

    def _is_decided(self, subject: Subject, path: bytes) -> bool:
        place = self._in_path.get(subject.name)
        return subject.decisive and place is not None and place.is_in(path)


class _InPath:
    """A value that the path holds."""

    __slots__ = ("_pattern", "_value", "_why")

    def __init__(self, subject: Subject, pattern: str) -> None:
        self._pattern = re.compile(pattern.encode())
        self._value = Value(subject, "the path")
        self._why = f"the path does not hold a {subject.name} that is plainly written"

    def is_in(self, path: bytes) -> bool:
        """Whether there is one, readable or not."""
        match = self._pattern.search(path)
        return match is not None and match[1] is not None

    def find(self, path: bytes) -> str | None:
        """Return it, None where there is none. Raises scope_unreadable."""
        match = self._pattern.search(path)
        if match is None or match[1] is None:
            return None
        try:
            text = unquote_to_bytes(match[1]).decode()
        except UnicodeDecodeError:
            raise unreadable(self._why) from None
        # Not twice escaped either: some readers undo that.
        if not urlencoded.is_plain(match[1]) or "%" in text:
            raise unreadable(self._why)
        return self._value(text)


class _Body:
    """The fields of some subjects, for each kind of body."""

    __slots__ = ("form", "json")

    def __init__(self, subjects: Sequence[Subject]) -> None:
        fields = [Ruled(written, one) for one in subjects for written in one.fields]
        self.json = JsonFields(fields)
        self.form = FormFields(fields, "form")


class _Whole:
    """Reads a body that says something only as a whole. An empty one says nothing."""

    __slots__ = ("_body", "_read", "_said", "whole")

    def __init__(self, read: Callable[[bytes], Said]) -> None:
        self.whole = True
        self._read = read
        self._body = b""
        self._said: Said = {}

    def feed(self, data: bytes, ended: bool) -> bool:
        self._body = self._body + data if self._body else data
        if ended and self._body:
            self._said = self._read(self._body)
        return ended

    def said(self) -> Said:
        return self._said


def merged(*said: Said) -> Said:
    """Return what all of them say together."""
    return said_of(
        (subject, value) for one in said for subject, values in one.items() for value in values
    )
