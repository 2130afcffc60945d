"""Loads the configuration anew when its file changes or somebody asks; a bad one is not used."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from gateway.core.errors import Refused
from gateway.core.model import Snapshot
from gateway.defects import located

_LOG = logging.getLogger("gateway.reload")
_UNSEEN = "unseen"
_MOST = 17 * 1024 * 1024  # more than a configuration may be, so that one too large is told of
_SETTLED = 0.1  # seconds in which a file that is being written shows that it is

Load = Callable[[bytes], Snapshot]
"""Reads a configuration. Raises Refused with all of its problems."""


class Reload:
    """Watches one file by its stat and its content, so that swapped links are seen too."""

    def __init__(
        self,
        path: Path,
        raw: bytes,
        load: Load,
        use: Callable[[Snapshot], Awaitable[None]],
        poll: float,
    ) -> None:
        """Begin with `raw`, the content in use; look every `poll` seconds."""
        self._path = path
        self._load = load
        self._use = use
        self._poll = poll
        self._asked = asyncio.Event()
        self._stamp: object = _UNSEEN
        self._digest = _digest(raw)
        self.problem: str | None = None
        """What is wrong with the newest file, while an older one is in use."""
        self.good = 0
        self.bad = 0
        self.loaded = time.time()
        """When the configuration in use was loaded, Unix seconds."""

    def ask(self) -> None:
        """Load the file even if it did not change."""
        self._asked.set()

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._asked.wait()
            asked = self._asked.is_set()
            self._asked.clear()
            if await self._changed() or asked:
                await self._reload(asked)

    async def _changed(self) -> bool:
        before, stamp = self._stamp, await asyncio.to_thread(_stamp, self._path)
        while stamp != self._stamp:
            self._stamp = stamp
            await asyncio.sleep(_SETTLED)
            stamp = await asyncio.to_thread(_stamp, self._path)
        return stamp != before

    async def _reload(self, asked: bool) -> None:
        raw = await asyncio.to_thread(_read, self._path)
        digest = _digest(raw)
        if digest == self._digest and not asked:
            return
        self._digest = digest
        try:
            snapshot = await asyncio.to_thread(self._load, raw)
            await self._use(snapshot)
        except Refused as refused:
            self._fail(refused.deny.reason)
            return
        except Exception as error:  # a defect of ours must not end all reloads
            self._fail(f"the gateway has a defect here; please report it: {located(error)}")
            return
        self.good += 1
        self.problem = None
        self.loaded = time.time()
        _LOG.info("configuration loaded")

    def _fail(self, problem: str) -> None:
        self.bad += 1
        self.problem = problem
        _LOG.error("the configuration stays as it was:\n%s", problem)


def _stamp(path: Path) -> object:
    """Return what tells one file, and one state of it, from another; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path) -> bytes:
    """Return the content, empty where it cannot be read: that is no configuration either."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError:
        return b""


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
