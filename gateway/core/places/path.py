"""A part of the path: `/bot<T>/getMe`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes, unquote_to_bytes

from gateway.core.errors import GatewayError
from gateway.core.places.base import Outgoing

# What a segment holds unencoded besides the unreserved characters (RFC 3986 3.3, pchar).
_PCHAR = ":@!$&'()*+,;="
_RAW = re.compile(rb"(?:[!-$&-.0-~]|%[0-9A-Fa-f]{2})+")
# Printable, and neither `/` nor `%`: nothing whose second decoding would mean something else.
_PLAIN = re.compile(rb"[!-$&-.0-~]+")


@dataclass(frozen=True, slots=True)
class Path:
    """The rest of the path segment after `prefix`: of `/bot<T>/getMe` after `/bot`.

    `remove` takes the token's characters and leaves the prefix, which may be the provider's:
    `/bot<T>/x` becomes `/bot/x`. A segment that was all token goes as a whole: with `/key/`,
    `/key/<T>/x` becomes `/key/x`.
    """

    prefix: str
    _prefix: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_prefix", self.prefix.encode("ascii"))

    @property
    def in_body(self) -> bool:
        """Never."""
        return False

    def _span(self, path: bytes) -> tuple[int, int] | None:
        """Return where the rest of the segment starts and ends; None without the prefix."""
        if not path.startswith(self._prefix):
            return None
        start = len(self._prefix)
        end = path.find(b"/", start)
        return start, len(path) if end < 0 else end

    def find(self, request: Outgoing) -> tuple[bytes, ...]:
        """Return the token, percent-decoded once."""
        span = self._span(request.path)
        raw = request.path[slice(*span)] if span else b""
        if not _RAW.fullmatch(raw):
            return ()
        token = unquote_to_bytes(raw) if b"%" in raw else raw
        return (token,) if _PLAIN.fullmatch(token) else ()

    def remove(self, request: Outgoing) -> None:
        """Cut the token out."""
        span = self._span(request.path)
        if span is None or span[0] == span[1]:
            return
        start, end = span
        if self._prefix.endswith(b"/"):
            end += 1
        request.path = request.path[:start] + request.path[end:]

    def put(self, request: Outgoing, value: bytes) -> None:
        """Replace the rest of the segment, encoding what a segment cannot hold."""
        span = self._span(request.path)
        if span is None:
            raise GatewayError(
                400, "token_place", f"the path must start with {self.prefix} on this route"
            )
        segment = quote_from_bytes(value, safe=_PCHAR).encode("ascii")
        request.path = request.path[: span[0]] + segment + request.path[span[1] :]

    def __str__(self) -> str:
        return f"path: {self.prefix}"
