"""The only thread of a running store that touches its file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from gateway.core.errors import GatewayError
from gateway.core.model import Freeze, Token
from gateway.stores.embedded.file import connection, identity, transaction, unusable

FLUSH_SECONDS = 5.0
MAX_PENDING_USES = 100_000

_NOTE_USE = """
    INSERT INTO uses (token, at, address) VALUES (?, ?, ?)
    ON CONFLICT (token) DO UPDATE SET at = excluded.at, address = excluded.address
    WHERE excluded.at >= uses.at
"""
_VALID = "SELECT id, digest, bot, created, expires, shape FROM tokens WHERE revoked IS NULL"
_log = logging.getLogger(__name__)
Argument = TypeVar("Argument")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a running gateway goes by."""

    tokens: Mapping[bytes, Token]
    freezes: frozenset[Freeze]


class Watcher(threading.Thread):
    """Tells `on_load` on the loop what the file holds, at first and after every change."""

    def __init__(
        self,
        directory: Path,
        poll: float,
        loop: asyncio.AbstractEventLoop,
        on_load: Callable[[Loaded], None],
        on_failure: Callable[[GatewayError], None],
    ) -> None:
        super().__init__(name="embedded-store", daemon=True)
        self.stopping = threading.Event()
        self.failure: str | None = None
        self._directory = directory
        self._poll = poll
        self._loop = loop
        self._on_load = on_load
        self._on_failure = on_failure
        self._loaded: Loaded | None = None
        self._lock = threading.Lock()
        self._uses: dict[str, tuple[float, str]] = {}
        self._flushed = time.monotonic()

    def note_use(self, token_id: str, address: str, now: float) -> None:
        """Remember a use until the next write; called on the event loop."""
        with self._lock:
            if token_id in self._uses or len(self._uses) < MAX_PENDING_USES:
                self._uses[token_id] = (now, address)

    def run(self) -> None:
        """Watch the file until told to stop; after a failure, open it anew."""
        try:
            self._run()
        finally:  # whoever still waits for the first load would wait for ever
            self._call(self._on_failure, unusable("the store's thread has ended"))

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                with connection(self._directory, create=self._loaded is None) as opened:
                    self._watch(opened)
            except GatewayError as exc:
                self._fail(exc)
                if self._loaded is None:
                    return
            self.stopping.wait(self._poll)

    def _watch(self, opened: sqlite3.Connection) -> None:
        """Return when the file was replaced by another, or at the end."""
        version = None
        file = identity(self._directory)
        while identity(self._directory) == file:
            current = opened.execute("PRAGMA data_version").fetchone()[0]
            if current != version:
                self._load(opened)
                version = current
            self.failure = None
            if time.monotonic() - self._flushed >= FLUSH_SECONDS:
                self._flush(opened)
            if self.stopping.wait(self._poll):
                self._flush(opened)
                return

    def _load(self, opened: sqlite3.Connection) -> None:
        tokens = {
            digest: Token(name, digest, bot, created, expires, shape=shape)
            for name, digest, bot, created, expires, shape in opened.execute(_VALID)
        }
        freezes = opened.execute("SELECT kind, name FROM freezes")
        loaded = Loaded(MappingProxyType(tokens), frozenset(Freeze(*row) for row in freezes))
        if loaded != self._loaded:
            self._loaded = loaded
            self._call(self._on_load, loaded)

    def _flush(self, opened: sqlite3.Connection) -> None:
        self._flushed = time.monotonic()
        with self._lock:
            uses, self._uses = self._uses, {}
        if uses:
            rows = [(token, at, address) for token, (at, address) in uses.items()]
            with transaction(opened):
                opened.executemany(_NOTE_USE, rows)

    def _fail(self, error: GatewayError) -> None:
        if self.failure != error.deny.reason:
            _log.error("store: %s", error.deny.reason)
        self.failure = error.deny.reason
        self._call(self._on_failure, error)

    def _call(self, callback: Callable[[Argument], None], argument: Argument) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(callback, argument)
