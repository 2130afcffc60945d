"""Run a coroutine by hand: one that never waits costs neither a task nor a future."""

from __future__ import annotations

from asyncio import Future
from types import CoroutineType
from typing import Any


def step(coroutine: CoroutineType[Any, Any, None]) -> None:
    """Run `coroutine` until it ends or waits; where it waits, go on when that is done.

    It has no task, so `asyncio.timeout` and its like do not work inside; whoever hands out
    the future it waits on owns the deadline. Closing the coroutine ends it for good.
    """
    try:
        waits_on: Future[Any] = coroutine.send(None)
    except StopIteration:
        return
    # What Task.__step does with a future that was awaited: take it over, then wait for it.
    waits_on._asyncio_future_blocking = False  # noqa: SLF001 asyncio's own protocol
    waits_on.add_done_callback(lambda _: _resume(coroutine))


def _resume(coroutine: CoroutineType[Any, Any, None]) -> None:
    if coroutine.cr_frame is not None:  # closed meanwhile
        step(coroutine)
