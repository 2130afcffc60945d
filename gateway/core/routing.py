"""From a target to its route: the path is judged as the bytes that will be sent, or refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from gateway.core.errors import Deny
from gateway.core.globs import PathGlob
from gateway.core.model import Route

# Escapes that are no UTF-8 but were `.` or `/` to decoders that took overlong forms (RFC 3629 10).
_OVERLONG = rb"[cC][01]|[eE]0%[89]|[fF]0%8|[fF][89a-fA-F]"
# Escaped letters, digits, `-` and `_`: nobody needs them, and everybody may resolve them
# (RFC 3986 2.3), so that `/v1/%66iles` would be one path to our rules and another to the provider.
_NEEDLESS = rb"3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA]|2[dD]"
# Forms that two servers could read as two different paths (RFC 3986 5.2.4, 6.2.2).
_AMBIGUOUS = re.compile(
    rb"//|/\.{1,2}(?:/|$|%20)|%(?:2[eEfF5]|3[bB]|5[cC]|" + _NEEDLESS + rb"|" + _OVERLONG + rb")"
    rb"|;|%(?![0-9A-Fa-f]{2})"
)
# What is refused even in a segment that is opaque to the provider.
_NEVER = re.compile(rb";|%(?:" + _OVERLONG + rb")|%(?![0-9A-Fa-f]{2})")
_TRICK = re.compile(rb"[\x00-\x1f\x7f]|(?:^|[/\\])\.{1,2}(?:$|[/\\; ])")
_DECODINGS = 3

Found = tuple[Route, bytes, bytes | None]
"""A route, and the path and query (without `?`) that go to its upstream."""


class Router:
    """The routes of one snapshot, by listener, by host, by the first segment of their prefix."""

    def __init__(self, routes: Iterable[Route]) -> None:
        by_listener: dict[str, list[Route]] = {"": []}
        for route in routes:
            by_listener.setdefault(route.listener, []).append(route)
        self._sites = {listener: _site(reached) for listener, reached in by_listener.items()}

    def find(self, target: bytes, host: bytes = b"", listener: str = "") -> Found | Deny:
        """Return where `target` goes: to a route of `listener`, of `host` before those of any.

        Among these the longest prefix decides, whole segments only. `host` is the Host header's
        value as it came. The path may still be one that two servers read differently: see
        `ambiguity`.
        """
        site = self._sites.get(listener)
        if site is None:
            return _NO_ROUTE
        anywhere, hosts = site
        named = hosts.get(_name(host)) if hosts else None
        found = named.find(target) if named is not None else _NO_ROUTE
        return anywhere.find(target) if isinstance(found, Deny) else found


class _Prefixes:
    """Routes that only their prefixes tell apart."""

    __slots__ = ("_first", "_whole")

    def __init__(self, routes: Iterable[Route]) -> None:
        self._first: dict[bytes, list[Route]] = {}
        for route in sorted(routes, key=lambda route: -len(route.prefix)):
            self._first.setdefault(_first_segment(route.prefix), []).append(route)
        self._whole = next(iter(self._first.pop(b"", ())), None)

    def find(self, target: bytes) -> Found | Deny:
        path, mark, query = target.partition(b"?")
        for route in self._first.get(_first_segment(path), ()):
            prefix = route.prefix
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"/", b""):
                return route, path[len(prefix) :], query if mark else None
        if self._whole is None:
            return _NO_ROUTE
        return self._whole, path, query if mark else None


_Site = tuple[_Prefixes, dict[bytes, _Prefixes]]
"""What is reached at one listener: under any host name, and under each that routes name."""


def _site(routes: Iterable[Route]) -> _Site:
    by_host: dict[bytes, list[Route]] = {b"": []}
    for route in routes:
        by_host.setdefault(route.host.strip(b"[]"), []).append(route)
    anywhere = _Prefixes(by_host.pop(b""))
    return anywhere, {host: _Prefixes(named) for host, named in by_host.items()}


def ambiguity(target: bytes, route: Route | None = None) -> Deny | None:
    """Return the refusal of a target whose path could be read as two different ones.

    What the provider of `route` takes for opaque data may hold any escape, but for one that
    would be a dot segment or a control character to whoever resolves it all the same.
    """
    path = target.partition(b"?")[0]
    if not _AMBIGUOUS.search(path):
        return None
    if route is not None and path.startswith(route.prefix):
        rest = path[len(route.prefix) :]
        if any(_is_clear(rest, PathGlob(pattern)) for pattern in route.opaque):
            return None
    return _AMBIGUOUS_PATH


def _is_clear(path: bytes, pattern: PathGlob) -> bool:
    """Whether `path` is unambiguous to a provider that takes what `pattern` says for opaque."""
    wild = pattern.wild(path.decode("latin-1"))
    return wild is not None and all(_is_harmless(segment.encode("latin-1")) for segment in wild)


def _is_harmless(segment: bytes) -> bool:
    """Whether `segment` is neither empty nor, however often it is decoded, a way elsewhere."""
    if not segment or _NEVER.search(segment):
        return False
    for _ in range(_DECODINGS):
        if _TRICK.search(segment):
            return False
        once, segment = segment, unquote_to_bytes(segment)
        if once == segment:
            return True
    return False


_AMBIGUOUS_PATH = Deny(
    400,
    "ambiguous_path",
    "The path holds `//`, `.`, `..`, `;`, or an encoded `.`, `/`, `\\`, `%`, `;`, letter or digit, "
    "which different servers read differently",
    repeatable=False,
)
_NO_ROUTE = Deny(
    404,
    "no_route",
    "No route of this gateway begins like this path; check the base URL",
    repeatable=False,
)


def _name(host: bytes) -> bytes:
    """Return the name in a Host header, as a route's is written: no port, no last dot."""
    if host.startswith(b"["):
        return host[1:].partition(b"]")[0].lower()
    return host.partition(b":")[0].removesuffix(b".").lower()


def _first_segment(path: bytes) -> bytes:
    end = path.find(b"/", 1)
    return path if end < 0 else path[:end]
