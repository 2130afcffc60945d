"""Counters of limits. Times are integers of nanoseconds of one monotonic clock.

A counter judges what was counted by its limit. When a reload changes the limit, `under` gives the
counter for the new one: both count on together, so that an exchange is judged by the configuration
it began with and counted for all.

A counter is asked with a `now` that never goes back, and takes only where there is nothing to
wait for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from gateway.core.model import Limit

SECOND = 1_000_000_000


class Window:
    """Exact sliding window: no half-open span of `seconds` ever admits more than `ceiling`.

    Remembers when it admitted, 8 bytes each, at most twice the ceiling.
    """

    __slots__ = ("_ceiling", "_most", "_span", "_times", "limit")

    def __init__(self, limit: Limit, times: array[int] | None = None) -> None:
        self.limit = limit
        self._ceiling = limit.ceiling
        self._most = 2 * limit.ceiling
        self._span = limit.seconds * SECOND
        self._times = array("q") if times is None else times

    def under(self, limit: Limit, now: int) -> Window:
        """Return the same count under another ceiling for as many seconds."""
        return Window(limit, self._times)

    def wait(self, now: int) -> int:
        """Return how long until one more is admitted, 0 for now."""
        times = self._times
        if len(times) < self._ceiling:
            return 0
        wait = times[-self._ceiling] + self._span - now
        if wait < 0:
            return 0
        return wait

    def take(self, now: int) -> bool:
        """Count one more; return False where there is something to wait for."""
        times = self._times
        count = len(times)
        if count >= self._ceiling and times[-self._ceiling] + self._span > now:
            return False
        times.append(now)
        if count >= self._most:  # those before the last `ceiling` are older than the span
            del times[: -self._ceiling]
        return True

    def untake(self) -> None:
        """Undo the last `take`, before anything else."""
        self._times.pop()

    def left(self, now: int) -> tuple[int, int]:
        """Return how many would be admitted at once, and how long until more are; 0 for never."""
        times = self._times
        end = len(times)
        first = bisect_right(times, now - self._span)
        if first == end:
            return self._ceiling, 0
        oldest = max(first, end - self._ceiling)
        return self._ceiling - (end - oldest), times[oldest] + self._span - now

    def spent(self, now: int) -> bool:
        """Return whether a new counter would do as well."""
        return not self._times or self._times[-1] + self._span <= now


class Gcra:
    """Generic cell rate algorithm (ITU-T I.371): evenly, and up to `burst` at once after a pause.

    Remembers one time: when all that was admitted will have been worked off at the even pace.
    A half-open span of `seconds` admits at most `ceiling + burst - 1`.
    """

    __slots__ = ("_done", "limit", "pace", "slack")

    def __init__(self, limit: Limit, done: Cell | None = None) -> None:
        self.limit = limit
        self.pace = -(-limit.seconds * SECOND // limit.ceiling)
        """From one to the next."""
        self.slack = ((limit.burst or 1) - 1) * self.pace
        """How far ahead of the pace one may be."""
        self._done = Cell() if done is None else done

    def under(self, limit: Limit, now: int) -> Gcra:
        """Return the same count under another ceiling or burst.

        As many as still had to be worked off have to be at the new pace.
        """
        other = Gcra(limit, self._done)
        ahead = self._done.value - now
        if ahead > 0:
            same = -(-ahead * other.pace // self.pace)
            self._done.value = now + min(same, other.slack + other.pace)
        return other

    def wait(self, now: int) -> int:
        """Return how long until one more is admitted, 0 for now."""
        wait = self._done.value - self.slack - now
        if wait < 0:
            return 0
        return wait

    def take(self, now: int) -> bool:
        """Count one more; return False where there is something to wait for."""
        cell = self._done
        begun = cell.value
        if begun - self.slack > now:
            return False
        if begun < now:
            begun = now
        cell.value = begun + self.pace
        return True

    def untake(self) -> None:
        """Undo the last `take`, before anything else."""
        self._done.value -= self.pace

    def left(self, now: int) -> tuple[int, int]:
        """Return how many would be admitted at once, and how long until more are; 0 for never."""
        behind = self.slack + self.pace - max(self._done.value - now, 0)
        left = max(0, behind // self.pace)
        return left, (left + 1) * self.pace - behind if self._done.value > now else 0

    def spent(self, now: int) -> bool:
        """Return whether a new counter would do as well."""
        return self._done.value <= now


class Concurrency:
    """At most `ceiling` at once: whoever takes gives back. `cell` holds how many are out."""

    __slots__ = ("ceiling", "cell", "limit")

    def __init__(self, limit: Limit, used: Cell | None = None) -> None:
        self.limit = limit
        self.ceiling = limit.ceiling
        self.cell = Cell() if used is None else used

    @property
    def used(self) -> int:
        """How many are out."""
        return self.cell.value

    def under(self, limit: Limit, now: int) -> Concurrency:
        """Return the same count under another ceiling."""
        return Concurrency(limit, self.cell)

    def wait(self, now: int) -> int:
        """Return 0 where one more is admitted, else 1: nobody knows how long."""
        return 1 if self.cell.value >= self.ceiling else 0

    def take(self, now: int) -> bool:
        """Count one more; return False where there is something to wait for."""
        if self.cell.value >= self.ceiling:
            return False
        self.cell.value += 1
        return True

    def give(self) -> None:
        """Give one back."""
        self.cell.value -= 1

    def spent(self, now: int) -> bool:
        """Return whether a new counter would do as well."""
        return not self.cell.value


class Cell:
    """A number that counters share."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


Counter = Window | Gcra | Concurrency


def counter(limit: Limit) -> Counter:
    """Return what counts for `limit`, with nothing counted yet."""
    if limit.unit == "concurrency":
        return Concurrency(limit)
    return Window(limit) if limit.burst is None else Gcra(limit)
