"""Deadlines without a timer per request: whoever has one is looked at a few times a second."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from gateway.defects import located

_LOG = logging.getLogger("gateway.deadlines")
NEVER = float("inf")


class Watched(Protocol):
    """Something with a deadline, in the loop's seconds; `NEVER` while it has none."""

    deadline: float

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed. Must move or end it."""
        ...


class Deadlines:
    """Looks at everything watched every `tick` seconds, so a deadline is late by a tick at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: float) -> None:
        self._loop = loop
        self._tick = tick
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, one: Watched) -> None:
        """Begin to look at `one`."""
        self._watched.add(one)
        if self._timer is None:
            self._timer = self._loop.call_later(self._tick, self._look)

    def forget(self, one: Watched) -> None:
        """Look at `one` no longer."""
        self._watched.discard(one)

    def _look(self) -> None:
        now = self._loop.time()
        for one in [one for one in self._watched if one.deadline <= now]:
            if one.deadline <= now:  # the expiry of another one may have moved it
                self._expire(one, now)
        self._timer = self._loop.call_later(self._tick, self._look) if self._watched else None

    def _expire(self, one: Watched, now: float) -> None:
        try:
            one.expire(now)
        except Exception as error:  # a defect of ours must not end all deadlines
            _LOG.error("a deadline: %s", located(error))


def tick_for(shortest: float) -> float:
    """Return how often to look, in seconds, where `shortest` is the shortest deadline."""
    return min(0.25, max(0.01, shortest / 10))
