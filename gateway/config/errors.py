"""What is wrong with a configuration file, each problem with its place in the file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

Trail = tuple[str | int, ...]

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 32
"""Of what is shown of a key or a name: a secret pasted in the wrong place is longer."""

MAX_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct. `message` never holds a value that may be secret.

    `line` and `column` count from 1; a `line` of 0 means the file as a whole.
    """

    file: str
    line: int
    column: int
    place: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (where, self.place, self.message) if part)


class ConfigError(Exception):
    """A configuration that cannot be used: all of its problems, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: (one.line, one.column)))
        lines = [str(problem) for problem in self.problems[:MAX_SHOWN]]
        if len(self.problems) > MAX_SHOWN:
            lines.append(f"and {len(self.problems) - MAX_SHOWN} more")
        super().__init__("\n".join(lines))


def dotted(trail: Trail) -> str:
    """Return `("bots", "support", "allow", 0)` as `bots.support.allow[0]`."""
    text = ""
    for part in trail:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = shortened(part)
            plain = _PLAIN.fullmatch(shown)
            text += ("." if text else "") + (shown if plain else json.dumps(shown))
    return text


def shortened(text: str) -> str:
    """Return a key or a name for a message, cut where it could be a secret."""
    return text if len(text) <= _LONGEST else f"{text[:8]}..."
