"""A string of a JSON body: `{"clientKey": "T"}`."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core import jsontext
from gateway.core.places.base import Outgoing


def _is_json(request: Outgoing) -> bool:
    kind = request.content_type.partition(b";")[0].strip().lower()
    if not kind:
        return (request.body or b"").lstrip(b" \t\r\n").startswith(b"{")
    return kind == b"application/json" or kind.endswith(b"+json")


@dataclass(frozen=True, slots=True)
class JsonField:
    """The string that an RFC 6901 pointer names. Only its own bytes of the body change.

    A JSON body that two readers could understand differently is refused, also by `find`.
    """

    pointer: str
    _steps: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_steps", jsontext.steps(self.pointer))

    @property
    def in_body(self) -> bool:
        """Always."""
        return True

    def find(self, request: Outgoing) -> tuple[bytes, ...]:
        """Return the string; nothing where the body is not JSON or does not hold it."""
        if not request.body or not _is_json(request):
            return ()
        value = jsontext.get(jsontext.text_of(request.body), self._steps)
        return (value.encode(),) if value else ()

    def remove(self, request: Outgoing) -> None:
        """Take the member out."""
        if request.body and _is_json(request):
            text = jsontext.text_of(request.body)
            request.body = jsontext.drop(text, self._steps).encode()

    def put(self, request: Outgoing, value: bytes) -> None:
        """Write the string, as its object's first member if it is not there yet."""
        if not request.body or not _is_json(request):
            raise jsontext.refusal(f"this route needs a JSON body to put {self.pointer} in")
        text = jsontext.text_of(request.body)
        request.body = jsontext.put(text, self._steps, value.decode()).encode()

    def __str__(self) -> str:
        return f"json: {self.pointer}"
