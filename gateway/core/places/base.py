"""What every kind of place can do, and the outgoing message it does it to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Outgoing:
    """A request on its way to a provider, before its head is written. Mutable, one per attempt.

    `path` is what follows the route's prefix, `query` is without its `?` (None: there is none),
    both raw as received. `credentials` are the credential headers that were received, names in
    lower case; they are not among `lines` and never leave on their own. `lines` are the header
    lines to send, without CRLF. `body` is None unless the route reads bodies.
    """

    __slots__ = ("body", "content_type", "credentials", "lines", "path", "query")

    def __init__(
        self,
        path: bytes,
        query: bytes | None,
        credentials: Sequence[tuple[bytes, bytes]],
        lines: list[bytes],
        content_type: bytes = b"",
        body: bytes | None = None,
    ) -> None:
        self.path = path
        self.query = query
        self.credentials = credentials
        self.lines = lines
        self.content_type = content_type
        self.body = body


class Place(Protocol):
    """One place in a request. Values are hashable, so a route's places are plain data.

    `find` returns every candidate that stands in the place, decoded from its container.
    `remove` takes them out. `put` writes a secret there, escaped for that container, once.
    `remove` and `put` raise `GatewayError` (status 400) where the container cannot be read
    unambiguously: a duplicate key, a field that is not a string, an escape in disguise.
    """

    @property
    def in_body(self) -> bool:
        """Whether the request's body must be at hand."""
        ...

    def find(self, request: Outgoing) -> tuple[bytes, ...]:
        """Return the candidate tokens, in the order they stand."""
        ...

    def remove(self, request: Outgoing) -> None:
        """Take every candidate out; a no-op where there is none."""
        ...

    def put(self, request: Outgoing, value: bytes) -> None:
        """Write `value` here, replacing what stood here."""
        ...

    def __str__(self) -> str:
        """Return the place as the configuration writes it, e.g. `header: X-Api-Key`."""
        ...
