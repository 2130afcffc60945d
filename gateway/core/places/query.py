"""A parameter of the query: `?key=T`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core import urlencoded
from gateway.core.places.base import Outgoing


@dataclass(frozen=True, slots=True)
class Query:
    """The query parameter `name`, compared after decoding, so that `%6bey` is no disguise."""

    name: str

    @property
    def in_body(self) -> bool:
        """Never."""
        return False

    def find(self, request: Outgoing) -> tuple[bytes, ...]:
        """Return every value of the parameter."""
        if not request.query:
            return ()
        return tuple(v for v in urlencoded.values(request.query, self.name.encode()) if v)

    def remove(self, request: Outgoing) -> None:
        """Drop every occurrence; a query of nothing else is no query."""
        if not request.query:
            return
        left = urlencoded.without(request.query, self.name.encode())
        request.query = left or None

    def put(self, request: Outgoing, value: bytes) -> None:
        """Replace the first occurrence and drop the others; without any, append."""
        request.query = urlencoded.with_value(request.query or b"", self.name.encode(), value)

    def __str__(self) -> str:
        return f"query: {self.name}"
