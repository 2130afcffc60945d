"""The store of a single machine: tokens and freezes in a SQLite file, reservations in memory.

Other processes (the command line) change the file; a thread of the store's own sees that by
polling `data_version`, and does every read and write, so that the event loop never waits for
SQLite. What those other processes use (administration.py) blocks, and needs no `start`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from types import MappingProxyType

from gateway.core.errors import GatewayError
from gateway.core.model import Freeze, Token
from gateway.stores.embedded.administration import Administration, ListedToken
from gateway.stores.embedded.counters import Counters
from gateway.stores.embedded.watcher import Loaded, Watcher

__all__ = ["Embedded", "ListedToken"]


class Embedded(Administration):
    """Implements `gateway.stores.Store` on one file, `store.sqlite` in `directory`.

    `poll` is the seconds between looks at the file; `clock` gives what is `now` for `reserve`.
    """

    tokens: Mapping[bytes, Token]
    freezes: frozenset[Freeze]

    def __init__(
        self, directory: Path, poll: float = 0.25, clock: Callable[[], float] = perf_counter
    ) -> None:
        super().__init__(directory)
        self.tokens = MappingProxyType({})
        self.freezes = frozenset()
        counters = Counters(clock)
        # Called for every request, so there is no method in between.
        self.plan = counters.plan
        self.reserve = counters.reserve
        self.settle = counters.settle
        self.in_use = counters.in_use
        self._poll = poll
        self._watcher: Watcher | None = None

    async def start(self, on_change: Callable[[], None]) -> None:
        """Load tokens and freezes and watch the file. Raises GatewayError where it is unusable."""
        loop = asyncio.get_running_loop()
        first: asyncio.Future[None] = loop.create_future()

        def on_load(loaded: Loaded) -> None:
            self.tokens, self.freezes = loaded.tokens, loaded.freezes
            if first.done():
                on_change()
            else:
                first.set_result(None)

        def on_failure(error: GatewayError) -> None:
            if not first.done():
                first.set_exception(error)

        self._watcher = Watcher(self._directory, self._poll, loop, on_load, on_failure)
        self._watcher.start()
        await first

    async def stop(self) -> None:
        """Write what is pending, stop watching and close."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stopping.set()
            await asyncio.to_thread(watcher.join)

    def healthy(self) -> str | None:
        """Return None, or in one sentence what is wrong."""
        if self._watcher is None:
            return "the store is not started"
        if not self._watcher.is_alive():
            return "the store's thread has ended"
        return self._watcher.failure

    def used(self, token_id: str, address: str, now: float) -> None:
        """Note a use; written by the thread every few seconds and at the end."""
        if self._watcher is not None:
            self._watcher.note_use(token_id, address, now)
