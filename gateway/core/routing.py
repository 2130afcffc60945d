"""From a target to its route: the path is judged as the bytes that will be sent, or refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.errors import Deny
from gateway.core.model import Route

# Forms that two servers could read as two different paths (RFC 3986 5.2.4, 6.2.2).
_AMBIGUOUS = re.compile(rb"//|/\.{1,2}(?:/|$)|%(?:2[eEfF]|5[cC]|25)|;|%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Found:
    """A route, and what of the target goes to its upstream. `query` is without the `?`."""

    route: Route
    path: bytes
    query: bytes | None


class Router:
    """The routes of one snapshot, by the first segment of their prefix."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._first: dict[bytes, list[Route]] = {}
        for route in sorted(routes, key=lambda route: -len(route.prefix)):
            self._first.setdefault(_first_segment(route.prefix), []).append(route)
        self._whole = (self._first.pop(b"", None) or [None])[0]

    def find(self, target: bytes) -> Found | Deny:
        """Return where `target` goes. Longest prefix first, whole segments only."""
        path, mark, query = target.partition(b"?")
        if _AMBIGUOUS.search(path):
            return Deny(400, "ambiguous_path", _AMBIGUOUS_REASON, repeatable=False)
        for route in self._first.get(_first_segment(path), ()):
            prefix = route.prefix
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"/", b""):
                return Found(route, path[len(prefix) :], query if mark else None)
        if self._whole is None:
            return Deny(404, "no_route", _NO_ROUTE_REASON, repeatable=False)
        return Found(self._whole, path, query if mark else None)


_AMBIGUOUS_REASON = (
    "The path holds `//`, `.`, `..`, `;`, an encoded `.`, `/`, `\\` or `%`, "
    "which different servers read differently"
)
_NO_ROUTE_REASON = "No route of this gateway begins like this path; check the base URL"


def _first_segment(path: bytes) -> bytes:
    end = path.find(b"/", 1)
    return path if end < 0 else path[:end]
