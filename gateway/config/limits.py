"""Limits: what the keys of one mean together, and that no two of one thing are of the same kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.config.errors import Trail
from gateway.config.reading import Reading, sound
from gateway.config.schema import LimitKeys
from gateway.core.model import Limit

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_EXACT = 100_000
"""How many requests a limit without `burst` may have: it keeps the time of each."""


def limits(reading: Reading, trail: Trail, entries: Sequence[LimitKeys]) -> tuple[Limit, ...]:
    """Return the limits that stand in the list at `trail`."""
    found: list[Limit] = []
    for at, keys in sound(trail, entries):
        limit = _limit(reading, at, keys) if reading.is_whole(at, keys) else None
        twin = limit and same_kind(limit, found)
        if limit and twin:
            reading.problem(at, f"this is limited already, in {twin.place}")
        elif limit:
            found.append(limit)
    return tuple(found)


def same_kind(limit: Limit, others: Iterable[Limit]) -> Limit | None:
    """Return which of `others` counts the same thing over the same time: both cannot hold."""
    kind = (limit.unit, limit.seconds)
    return next((one for one in others if (one.unit, one.seconds) == kind), None)


def _limit(reading: Reading, at: Trail, keys: LimitKeys) -> Limit | None:
    if (keys.requests is None) == (keys.concurrency is None):
        reading.problem(at, "a limit has either `requests` or `concurrency`, and not both")
        return None
    place = reading.place(at)
    if keys.concurrency is not None:
        for name in ("per", "burst"):
            if getattr(keys, name) is not None:
                reading.problem((*at, name), f"`{name}` goes with `requests`, not `concurrency`")
        return Limit("concurrency", keys.concurrency, place)
    assert keys.requests is not None
    if keys.per is None:
        reading.problem(at, "`per` is required with `requests`: second, minute, hour or day")
        return None
    if keys.burst is None and keys.requests > _EXACT:
        message = f"more than {_EXACT} need `burst`: without it the time of each is kept"
        reading.problem((*at, "requests"), message)
    return Limit("requests", keys.requests, place, _SECONDS[keys.per], keys.burst)
