"""Ruled fields of a multipart/form-data body, read as it streams by."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.errors import GatewayError
from gateway.core.fields.contenttypes import is_text
from gateway.core.fields.formfields import FormFields
from gateway.core.fields.ruled import Ruled, Said, said_of, unreadable
from gateway.core.multipart import MOST, PartHead, boundary_of, head_of

_LONGEST_HEAD = 8 * 1024
_LONGEST_VALUE = 64 * 1024


class FormScan:
    """Reads a form piece by piece, however it is cut, and keeps nothing but ruled values.

    As strict as `multipart.parts`: what one of them refuses, so does the other.
    """

    __slots__ = (
        "_at", "_body", "_count", "_delimiter", "_fields", "_found", "_has_file", "_names",
        "_read", "_ruled", "_start", "_told", "_value",
    )  # fmt: skip

    def __init__(self, fields: FormFields, content_type: bytes) -> None:
        try:
            self._delimiter = b"--" + boundary_of(content_type)
        except GatewayError as error:
            raise unreadable(error.deny.reason) from None
        self._fields = fields
        self._body = b""
        """What is not done with."""
        self._at = 0
        """Up to where it was read."""
        self._read: Callable[[], bool] = self._first
        """What comes next; returns whether there may be more to read."""
        self._start = 0
        """Where the part's content starts, or what is left of it."""
        self._ruled: tuple[Ruled, ...] = ()
        """What is ruled under the part's name."""
        self._value = bytearray()
        self._names: set[str] = set()
        self._found: list[tuple[str, str]] = []
        self._count = 0
        self._has_file = False
        self._told = False

    def feed(self, data: bytes, ended: bool) -> bool:
        """Read on. True once a file began or the form is over: nothing more may be said then.

        `ended`: these are the last bytes. Raises scope_unreadable, also after it returned True.
        """
        self._body = self._body[self._at :] + data if self._at < len(self._body) else data
        self._start -= self._at
        self._at = 0
        while self._read():
            pass
        is_over = self._read == self._rest or (self._read == self._first and not self._body)
        if ended and not is_over:
            raise unreadable("the multipart body does not end with its closing boundary")
        return self._told or ended

    def said(self) -> Said:
        """Return what was said so far."""
        return said_of(self._found)

    def _first(self) -> bool:
        here = self._body[: len(self._delimiter)]
        if not self._delimiter.startswith(here):
            raise unreadable("the multipart body does not start with its boundary")
        if len(here) < len(self._delimiter):
            return False
        self._at = len(self._delimiter)
        self._read = self._after
        return True

    def _after(self) -> bool:
        """After a boundary: it closes the form, or a part begins."""
        if len(self._body) < self._at + 2:
            return False
        if self._body.startswith(b"--", self._at):
            self._at += 2
            self._told = True
            self._read = self._rest
        else:
            self._read = self._head
        return True

    def _rest(self) -> bool:
        if self._body[self._at :].strip(b"\r\n"):
            raise unreadable("something follows the multipart body's closing boundary")
        self._at = len(self._body)
        return False

    def _head(self) -> bool:
        end = self._body.find(b"\r\n\r\n", self._at, self._at + _LONGEST_HEAD)
        if end < 0:
            if len(self._body) - self._at >= _LONGEST_HEAD:
                raise unreadable(f"a part's head is longer than {_LONGEST_HEAD} bytes")
            return False
        padding, _, block = self._body[self._at : end].partition(b"\r\n")
        self._begin(padding, block)
        # The line end before the content may be half of a boundary already.
        self._at = end + 2
        self._start = end + 4
        self._read = self._content
        return True

    def _begin(self, padding: bytes, block: bytes) -> None:
        lines = block.split(b"\r\n")
        if padding.strip(b" \t") or any(line.startswith(self._delimiter) for line in lines):
            raise unreadable("the multipart body has a part that does not begin as it should")
        try:
            head = head_of(block)
        except GatewayError as error:
            raise unreadable(error.deny.reason) from None
        self._ruled = self._fields.named(head.name)
        if self._ruled:
            self._check(head, self._ruled[0].first)
        elif head.is_file:
            self._has_file = self._told = True

    def _check(self, head: PartHead, name: str) -> None:
        if self._has_file:
            raise unreadable(f"the field {name} must come before the first file of the form")
        if name in self._names:
            raise self._fields.twice(self._ruled)
        holds_json = all(field.rest for field in self._ruled)
        if head.is_file or not is_text(head.content_type, holds_json):
            raise unreadable(f"the field {name} must be a plain text in UTF-8, and no file")
        self._names.add(name)

    def _content(self) -> bool:
        """Pass over the part's content, up to the boundary after it."""
        at = self._at + 2
        while (at := self._body.find(self._delimiter, at)) >= 0:
            before = self._body[at - 2 : at]
            if before == b"\r\n":
                self._end(at)
                return True
            if before[1:] in (b"\r", b"\n"):
                raise unreadable("the multipart body holds its boundary after half a line end")
            at += 1
        # What may be the beginning of a boundary, with its line end.
        self._at = max(self._at, len(self._body) - len(self._delimiter) - 1)
        self._keep(self._at)
        return False

    def _keep(self, end: int) -> None:
        """Take the content up to `end`, if it is a ruled field's."""
        if self._ruled:
            self._value += self._body[self._start : end]
            if len(self._value) > _LONGEST_VALUE:
                name = self._ruled[0].first
                raise unreadable(f"the field {name} is longer than {_LONGEST_VALUE} bytes")
        self._start = max(self._start, end)

    def _end(self, at: int) -> None:
        if at - 2 < self._start:
            raise unreadable("the multipart body has a part without an end")
        self._keep(at - 2)
        if self._ruled:
            self._found += self._fields.values(self._ruled, bytes(self._value))
            self._value.clear()
        self._count += 1
        if self._count > MOST:
            raise unreadable(f"the form holds more than {MOST} fields")
        self._at = at + len(self._delimiter)
        self._read = self._after
