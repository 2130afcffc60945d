"""A field of a form body, urlencoded or multipart."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core import multipart, urlencoded
from gateway.core.errors import GatewayError
from gateway.core.places.base import Outgoing

_MOST = 1_000  # fields, as in most form readers


def _kind(request: Outgoing) -> bytes:
    if request.body is None:
        return b""
    return request.content_type.partition(b";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class FormField:
    """The form field `name`. Only its own bytes of the body change.

    A form that two readers could understand differently, or that holds the field twice, is
    refused, also by `find`.
    """

    name: str

    @property
    def in_body(self) -> bool:
        """Always."""
        return True

    def find(self, request: Outgoing) -> tuple[bytes, ...]:
        """Return the field; nothing where the body is no form or does not hold it."""
        kind, body = _kind(request), request.body or b""
        if kind == b"application/x-www-form-urlencoded":
            return tuple(value for value in self._once(body) if value)
        if kind == b"multipart/form-data":
            part = self._part(request)
            value = body[part.content : part.end] if part else b""
            return (value,) if value else ()
        return ()

    def remove(self, request: Outgoing) -> None:
        """Take the field out."""
        kind, body = _kind(request), request.body or b""
        if kind == b"application/x-www-form-urlencoded":
            self._once(body)
            request.body = urlencoded.without(body, self.name.encode())
        elif kind == b"multipart/form-data":
            part = self._part(request)
            if part:
                request.body = body[: part.start] + body[part.end + 2 :]

    def put(self, request: Outgoing, value: bytes) -> None:
        """Write the field: where it stands, else last (urlencoded) or first (multipart)."""
        kind, body = _kind(request), request.body or b""
        if kind == b"application/x-www-form-urlencoded":
            self._once(body)
            request.body = urlencoded.with_value(body, self.name.encode(), value)
        elif kind == b"multipart/form-data":
            self._put_part(request, value)
        else:
            raise multipart.refusal(f"this route needs a form body to put {self.name} in")

    def _put_part(self, request: Outgoing, value: bytes) -> None:
        part, body = self._part(request), request.body or b""
        boundary = multipart.boundary_of(request.content_type)
        new = multipart.part_of(self.name.encode(), value, boundary)
        if part is None:
            request.body = new + body
        else:
            request.body = body[: part.content] + value + body[part.end :]

    def _once(self, body: bytes) -> tuple[bytes, ...]:
        if body.count(b"&") >= _MOST:
            raise multipart.refusal(f"the form holds more than {_MOST} fields")
        values = urlencoded.values(body, self.name.encode())
        if len(values) > 1:
            raise self._twice()
        return values

    def _part(self, request: Outgoing) -> multipart.Part | None:
        boundary = multipart.boundary_of(request.content_type)
        every = multipart.parts(request.body or b"", boundary)
        named = [part for part in every if part.name == self.name.encode()]
        if len(named) > 1:
            raise self._twice()
        if named and named[0].is_file:
            raise multipart.refusal(f"the form holds a file where {self.name} is expected")
        return named[0] if named else None

    def _twice(self) -> GatewayError:
        return multipart.refusal(f"the form holds {self.name} more than once")

    def __str__(self) -> str:
        return f"form: {self.name}"
