"""The user or the password of `Authorization: Basic`."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from dataclasses import dataclass
from typing import Literal

from gateway.core.errors import GatewayError
from gateway.core.places.base import Outgoing


def _halves(name: bytes, value: bytes) -> tuple[bytes, bytes] | None:
    """Return user and password of a credential line; None where it is not well-formed Basic."""
    if name != b"authorization" or value[:6].lower() != b"basic ":
        return None
    encoded = value[6:].lstrip(b" ")
    try:
        pair = a2b_base64(encoded)
    except Error:
        return None
    # a2b skips foreign characters and stray bits; only what encodes back to itself is meant.
    if b2a_base64(pair, newline=False) != encoded or b":" not in pair:
        return None
    user, _, password = pair.partition(b":")
    return user, password


def _encode(user: bytes, password: bytes) -> bytes:
    return b"Basic " + b2a_base64(user + b":" + password, newline=False)


@dataclass(frozen=True, slots=True)
class Basic:
    """One half of Basic credentials. `other` is what the other half is always sent as.

    Without `other`, `put` keeps the half that the bot sent beside its token, unless that is the
    token once more.
    """

    part: Literal["user", "password"]
    other: str | None = None

    @property
    def in_body(self) -> bool:
        """Never."""
        return False

    @property
    def _index(self) -> int:
        return 0 if self.part == "user" else 1

    def find(self, request: Outgoing) -> tuple[bytes, ...]:
        """Return this half of every well-formed Basic line."""
        sent = (_halves(name, value) for name, value in request.credentials)
        return tuple(halves[self._index] for halves in sent if halves and halves[self._index])

    def remove(self, request: Outgoing) -> None:
        """Empty this half, so that a `put` of the other half does not send it along."""
        request.credentials = [
            (name, self._blanked(name, value)) for name, value in request.credentials
        ]

    def _blanked(self, name: bytes, value: bytes) -> bytes:
        halves = _halves(name, value)
        if halves is None:
            return value
        user, password = halves
        return _encode(b"", password) if self.part == "user" else _encode(user, b"")

    def put(self, request: Outgoing, value: bytes) -> None:
        """Append the line, with the other half as it was sent, or as `other` says."""
        kept = self._kept(request)
        if self.part == "user" and b":" in value:
            raise GatewayError(
                503, "secret_unusable", "this route's secret cannot stand as a Basic user"
            )
        line = _encode(value, kept) if self.part == "user" else _encode(kept, value)
        request.lines.append(b"Authorization: " + line)

    def _kept(self, request: Outgoing) -> bytes:
        if self.other is not None:
            return self.other.encode()
        for name, value in request.credentials:
            halves = _halves(name, value)
            if halves:
                return b"" if halves[0] == halves[1] else halves[1 - self._index]
        return b""

    def __str__(self) -> str:
        if self.other is None:
            return f"basic: {self.part}"
        return f"basic: {self.part}, {'password' if self.part == 'user' else 'user'}: {self.other}"
