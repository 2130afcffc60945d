"""What a request says it is about, read so strictly that no provider could read another value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote_to_bytes

from gateway.core import urlencoded
from gateway.core.fields.contenttypes import JSON, MULTIPART, kind_of
from gateway.core.fields.formfields import FormFields
from gateway.core.fields.formscan import FormScan
from gateway.core.fields.jsonfields import JsonFields
from gateway.core.fields.ruled import Ruled, Said, Value, said_of, unreadable
from gateway.core.model import Subject

__all__ = ["FieldReader", "FormScan", "Reading", "Said", "merged"]


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

    def reading(self, path: bytes, content_type: bytes, encoding: bytes) -> Reading:
        """Return what reads bodies of this Content-Type and Content-Encoding (b"" for none).

        To be asked for only where `wants_body` says so. Raises Refused (scope_unreadable) for
        a kind of body that cannot be read.
        """
        kind = kind_of(content_type, encoding)
        undecided = self._undecided(path)
        body = self._body
        if body is None or len(undecided) < len(self._in_body):
            body = _Body(undecided)
        return Reading(body, kind, content_type)

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


class Reading:
    """How one kind of body is read. Immutable: good for every body of that kind."""

    __slots__ = ("_body", "_content_type", "_read", "streams")

    def __init__(self, body: _Body, kind: bytes, content_type: bytes) -> None:
        self.streams = kind == MULTIPART
        """Whether it is read while it streams, by `scan`; else as a whole, by `read`."""
        self._body = body
        self._content_type = content_type
        self._read = body.json.read if kind == JSON else body.form.read

    def read(self, body: bytes) -> Said:
        """Return what a whole body says; an empty one says nothing. Raises scope_unreadable."""
        return self._read(body) if body else {}

    def scan(self) -> FormScan:
        """Return what reads one body as it streams."""
        return FormScan(self._body.form, self._content_type)


def merged(*said: Said) -> Said:
    """Return what all of them say together."""
    return said_of(
        (subject, value) for one in said for subject, values in one.items() for value in values
    )
