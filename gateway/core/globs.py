"""Patterns with `*`, matched piece by piece: no pattern and no text makes it slow."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 1024
# What a target may hold unescaped (see core/request.py), but for the query's mark and `;`.
_PATH = re.compile(r"/(?:[!-\"$&-:<->@-\[\]-~]|%[0-9A-Fa-f]{2})*")
_NEVER = re.compile(r"//|/\.{1,2}(?:/|$)")


class Glob:
    """One pattern: `*` stands for any characters, also for none; case matters."""

    __slots__ = ("_head", "_middle", "_tail", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._head, *rest = pattern.split("*")
        self._middle = tuple(piece for piece in rest[:-1] if piece)
        self._tail = rest[-1] if rest else None

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` fits. Each piece is taken where it first occurs."""
        if self._tail is None:
            return text == self._head
        at, end = len(self._head), len(text) - len(self._tail)
        if at > end or not text.startswith(self._head) or not text.endswith(self._tail):
            return False
        for piece in self._middle:
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    def covers(self, other: Glob) -> bool:
        """Whether this certainly matches all that `other` does.

        Only a `*` of ours can match one of theirs, and it then matches what theirs stands for.
        """
        return self.matches(other.pattern)

    def meets(self, other: Glob) -> bool:
        """Whether some text fits both."""
        if self._tail is None:
            return other.matches(self._head)
        if other._tail is None:
            return self.matches(other._head)
        heads, tails = (self._head, other._head), (self._tail, other._tail)
        return _one_begins(*heads) and _one_begins(*(tail[::-1] for tail in tails))


def _one_begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


class Globs:
    """Any of several patterns."""

    __slots__ = ("_exact", "_wide", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        self._exact = frozenset(pattern for pattern in self.patterns if "*" not in pattern)
        self._wide = tuple(Glob(pattern) for pattern in self.patterns if "*" in pattern)

    def __contains__(self, text: str) -> bool:
        return text in self._exact or any(glob.matches(text) for glob in self._wide)

    def hold(self, texts: Iterable[str]) -> bool:
        """Whether each of `texts` fits one of them."""
        return self._exact.issuperset(texts) or all(text in self for text in texts)


class PathGlob:
    """A pattern for paths: `*` stays within its segment, `**` at the end is all that follows.

    A `*` that is a whole segment wants at least one character, as does `/**` (but for `/**`
    alone, which is every path): many servers take `/files/` for `/files`, which `/files/*` does
    not allow.
    """

    __slots__ = ("_open", "_segments", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._open = pattern.endswith("**")
        text = pattern[:-1] if self._open else pattern
        self._segments = tuple(Glob(segment) for segment in text.split("/"))

    def matches(self, path: str) -> bool:
        """Whether the whole of `path` fits."""
        if self.pattern == "/**":
            return path.startswith("/")
        segments = self._split(path)
        return len(segments) == len(self._segments) and all(
            # Of the rest that `**` stands for, a `*` before it is within the first segment.
            glob.matches(segment.partition("/")[0]) and (segment != "" or glob.pattern != "*")
            for glob, segment in zip(self._segments, segments, strict=True)
        )

    def wild(self, path: str) -> tuple[str, ...] | None:
        """Return the segments of `path` that a `*` stands for; None where it does not fit."""
        if not self.matches(path):
            return None
        pairs = zip(self._segments, self._split(path), strict=True)
        return tuple(
            part for glob, rest in pairs if "*" in glob.pattern for part in rest.split("/")
        )

    def _split(self, path: str) -> list[str]:
        """Return the segments of `path`; the last is all the rest where the pattern is open.

        Of a path that has more than the pattern there is one more, which is enough to tell.
        """
        return path.split("/", len(self._segments) - self._open)

    def covers(self, other: PathGlob) -> bool:
        """Whether this certainly matches all that `other` does."""
        return (self._open or not other._open) and self.matches(other.pattern)

    def meets(self, other: PathGlob) -> bool:
        """Whether some path fits both. True also where that is not certain."""
        ours, theirs = self._segments, other._segments
        if len(ours) > len(theirs) and not other._open:
            return False
        if len(theirs) > len(ours) and not self._open:
            return False
        closed = min(len(ours) - self._open, len(theirs) - other._open)
        return all(a.meets(b) for a, b in zip(ours[:closed], theirs[:closed], strict=True))


def path_pattern(text: str) -> None:
    """Accept a pattern for paths. Raises ValueError with one sentence that says what is wrong."""
    if not text.startswith("/"):
        raise ValueError("a path pattern begins with `/`")
    if len(text) > _LONGEST:
        raise ValueError(f"a path pattern has at most {_LONGEST} characters")
    if "**" in text[:-2] or text.endswith("***"):
        raise ValueError("`**` stands only at the end of a path pattern; use `*` for one segment")
    if not _PATH.fullmatch(text):
        raise ValueError(
            "a path pattern holds only what a path does: printable ASCII without spaces, "
            r"`?`, `#`, `;` and `\`, and `%` only before two hexadecimal digits"
        )
    if _NEVER.search(text):
        raise ValueError("no path holds `//`, `/./` or `/../`: such paths are refused before")


def value_pattern(text: str) -> None:
    """Accept a pattern for values. Raises ValueError with one sentence that says what is wrong."""
    if not text:
        raise ValueError("a pattern is not empty; `*` stands for anything")
    if len(text) > _LONGEST:
        raise ValueError(f"a pattern has at most {_LONGEST} characters")
    if not text.isprintable() or text != text.strip():
        raise ValueError("a pattern holds no control characters, nor spaces at its ends")
    if "**" in text:
        raise ValueError("`**` is for paths; `*` stands for any characters here")
