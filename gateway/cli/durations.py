"""How the command line writes a length of time: `30d`, `12h`."""

from __future__ import annotations

import re

import click

_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST = 100 * 365 * 86_400


class Duration(click.ParamType[float]):
    """A number with s, m, h, d or w, in seconds; `0s` only where `least` is 0."""

    name = "duration"

    def __init__(self, least: int = 1) -> None:
        self._least = least

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds."""
        match = _DURATION.fullmatch(str(value))
        seconds = int(match[1]) * _SECONDS[match[2]] if match else -1
        if not self._least <= seconds <= _LONGEST:
            self.fail("write a number with s, m, h, d or w, such as 30d", param, ctx)
        return float(seconds)
