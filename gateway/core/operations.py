"""What a request does, in the notation of presets: `POST /v1/chat/completions`, `sendMessage`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from gateway.core.globs import Glob, PathGlob
from gateway.core.model import Provider, Rule


class Asked(NamedTuple):
    """What a request asks for."""

    method: str | None
    """HTTP's, or the API's own; None where it has its own and the path names none."""
    path: str
    """What follows the prefix, as it is sent."""


class Operation:
    """A method, for most APIs with a path; both may be patterns. Methods have no case."""

    __slots__ = ("method", "path", "text")

    def __init__(self, text: str) -> None:
        method, _, path = text.partition(" ")
        self.text = text
        self.method = Glob(method.lower())
        self.path = PathGlob(path) if path else None

    def fits(self, asked: Asked) -> bool:
        """Whether this is what was asked for."""
        return (
            asked.method is not None
            and self.method.matches(asked.method.lower())
            and (self.path is None or self.path.matches(asked.path))
        )

    def covers(self, other: Operation) -> bool:
        """Whether this is certainly all that `other` is."""
        paths = self.path is None or (other.path is not None and self.path.covers(other.path))
        return paths and self.method.covers(other.method)

    def meets(self, other: Operation) -> bool:
        """Whether something may be both."""
        paths = self.path is None or other.path is None or self.path.meets(other.path)
        return paths and self.method.meets(other.method)


class Calls:
    """Reads what a request to one provider asks for."""

    __slots__ = ("_method",)

    def __init__(self, provider: Provider) -> None:
        self._method = re.compile(provider.method, re.ASCII) if provider.method else None

    def asked(self, method: bytes, path: bytes) -> Asked:
        """Return what HTTP's `method` and `path` ask for. No path is the root's."""
        text = path.decode("latin-1") or "/"
        if self._method is None:
            return Asked(method.decode("latin-1"), text)
        found = self._method.search(text)
        return Asked((found[1] or found.lastgroup) if found else None, text)


def api_part(provider: Provider, base: bytes) -> bytes:
    """Return what of an upstream's path belongs to the provider's API: of `/proxy/v1` the `/v1`.

    That is its longest end with which an operation of the provider begins; the rest leads there.
    """
    texts = (
        *provider.uncarried,
        *(one for entries in provider.presets.values() for one in entries),
    )
    patterns = [path.split("/")[1:] for _, _, path in (text.partition(" ") for text in texts)]
    segments = base.decode("ascii").split("/")[1:]
    for start in range(len(segments)):
        end = segments[start:]
        if any(_begins(pattern, end) for pattern in patterns):
            return "/".join(["", *end]).encode("ascii")
    return b""


def _begins(pattern: list[str], segments: list[str]) -> bool:
    longer = len(pattern) > len(segments)
    return longer and all(
        Glob(one).matches(text) for one, text in zip(pattern, segments, strict=False)
    )


def operations(texts: Iterable[str]) -> tuple[Operation, ...]:
    """Read the notation."""
    return tuple(Operation(text) for text in texts)


def presets_of(provider: Provider, rule: Rule) -> tuple[str, ...]:
    """Return the presets that `rule` goes by.

    Those that it names; all of the provider's, where it names nothing but subjects: else whoever
    names an allowed model or chat in passing could administer, bill and train.
    """
    if rule.presets or rule.methods or rule.paths or not rule.subjects:
        return rule.presets
    return tuple(provider.presets)


def of_presets(provider: Provider, presets: Iterable[str]) -> tuple[Operation, ...]:
    """Return all operations of `presets`. Raises KeyError where the provider has no such preset."""
    return operations(text for preset in presets for text in provider.presets[preset])
