"""From a target to its route: the path is judged as the bytes that will be sent, or refused."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.core.errors import Deny
from gateway.core.model import Route

# Forms that two servers could read as two different paths (RFC 3986 5.2.4, 6.2.2).
_AMBIGUOUS = re.compile(rb"//|/\.{1,2}(?:/|$)|%(?:2[eEfF]|5[cC]|25)|;|%(?![0-9A-Fa-f]{2})")


Found = tuple[Route, bytes, bytes | None]
"""A route, and the path and query (without `?`) that go to its upstream."""


class Router:
    """The routes of one snapshot, by the first segment of their prefix."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._first: dict[bytes, list[Route]] = {}
        for route in sorted(routes, key=lambda route: -len(route.prefix)):
            self._first.setdefault(_first_segment(route.prefix), []).append(route)
        self._whole = next(iter(self._first.pop(b"", ())), None)

    def find(self, target: bytes) -> Found | Deny:
        """Return where `target` goes. Longest prefix first, whole segments only.

        The path may still be one that two servers read differently: see `ambiguity`.
        """
        path, mark, query = target.partition(b"?")
        for route in self._first.get(_first_segment(path), ()):
            prefix = route.prefix
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"/", b""):
                return route, path[len(prefix) :], query if mark else None
        if self._whole is None:
            return _NO_ROUTE
        return self._whole, path, query if mark else None


def ambiguity(target: bytes) -> Deny | None:
    """Return the refusal of a target whose path could be read as two different ones."""
    return _AMBIGUOUS_PATH if _AMBIGUOUS.search(target.partition(b"?")[0]) else None


_AMBIGUOUS_PATH = Deny(
    400,
    "ambiguous_path",
    "The path holds `//`, `.`, `..`, `;`, an encoded `.`, `/`, `\\` or `%`, "
    "which different servers read differently",
    repeatable=False,
)
_NO_ROUTE = Deny(
    404,
    "no_route",
    "No route of this gateway begins like this path; check the base URL",
    repeatable=False,
)


def _first_segment(path: bytes) -> bytes:
    end = path.find(b"/", 1)
    return path if end < 0 else path[:end]
