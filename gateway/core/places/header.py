"""A header line: `Authorization: Bearer T`, `X-Api-Key: T`."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.places.base import Outgoing

_SHORT = {"Bearer": "bearer", "Bot": "bot", "Token": "token"}


@dataclass(frozen=True, slots=True)
class Header:
    """The whole value of header `name`, or what follows `scheme` in it.

    `name` and `scheme` are compared without regard to case and written as given here.
    """

    name: str
    scheme: str | None = None
    _key: bytes = field(init=False, repr=False, compare=False)
    _scheme: bytes = field(init=False, repr=False, compare=False)
    _start: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        scheme = f"{self.scheme} " if self.scheme else ""
        object.__setattr__(self, "_key", self.name.lower().encode("ascii"))
        object.__setattr__(self, "_scheme", scheme.lower().encode("ascii"))
        object.__setattr__(self, "_start", f"{self.name}: {scheme}".encode("ascii"))

    @property
    def in_body(self) -> bool:
        """Never."""
        return False

    def find(self, request: Outgoing) -> tuple[bytes, ...]:
        """Return the value of each such line that has the scheme."""
        key, scheme = self._key, self._scheme
        size = len(scheme)
        found: tuple[bytes, ...] = ()
        for name, value in request.credentials:
            if name == key and value[:size].lower() == scheme:
                token = value[size:].lstrip(b" ") if size else value
                if token:
                    found += (token,)
        return found

    def remove(self, request: Outgoing) -> None:
        """Do nothing: credential headers never travel on their own."""

    def put(self, request: Outgoing, value: bytes) -> None:
        """Append the line."""
        request.lines.append(self._start + value)

    def __str__(self) -> str:
        if self.name.lower() != "authorization" or not self.scheme:
            return f"header: {self.name}" + (f", scheme: {self.scheme}" if self.scheme else "")
        return _SHORT.get(self.scheme, f"scheme: {self.scheme}")
