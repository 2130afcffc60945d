"""From a secret's name to the secret: cached, fetched once however many wait, bounded in time."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Collection, Mapping

from gateway.core.errors import SecretUnavailable
from gateway.core.secret import Secret, SecretRef
from gateway.sources import Source

_FRESH = 30.0
_FAILED = 1.0


class _Entry:
    """What is known of one secret. `until` is when to ask again, in the loop's seconds."""

    __slots__ = ("failure", "secret", "until", "value", "version", "waiting")

    def __init__(self) -> None:
        self.secret: Secret | None = None
        self.failure: SecretUnavailable | None = None
        self.until = 0.0
        self.version = 0
        self.waiting: Future[Secret] | None = None


class Keyring:
    """The secrets in use. A value that changed gets a new version, and `on_change` is told.

    Entries are bounded by the configuration: one for each secret that a route names.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        sources: Mapping[str, Source],
        seconds: float,
        on_change: Callable[[Secret], None],
    ) -> None:
        self._loop = loop
        self._sources = sources
        self._seconds = seconds
        self._on_change = on_change
        self._entries: dict[SecretRef, _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, ref: SecretRef, bot: str) -> Secret | Future[Secret]:
        """Return the secret, or the promise of it where it must be fetched first.

        The promise fails with SecretUnavailable within the deadline for secrets. `bot` is who
        asks, for references that differ by bot.
        """
        entry = self._entries.get(ref)
        if entry is not None and self._loop.time() < entry.until:
            if entry.secret is not None:
                return entry.secret
            return self._failed(entry)
        return self._fetch(ref)

    def _failed(self, entry: _Entry) -> Future[Secret]:
        promise: Future[Secret] = self._loop.create_future()
        promise.set_exception(entry.failure or SecretUnavailable("The secret is not at hand"))
        return promise

    def _fetch(self, ref: SecretRef) -> Future[Secret]:
        entry = self._entries.setdefault(ref, _Entry())
        if entry.waiting is None:
            entry.waiting = self._loop.create_future()
            task = self._loop.create_task(self._ask(ref, entry), name=f"secret {ref}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # Each waiter gets a promise of its own: one that leaves takes nothing from the others.
        promise: Future[Secret] = self._loop.create_future()
        entry.waiting.add_done_callback(lambda done: _pass_on(done, promise))
        return promise

    async def _ask(self, ref: SecretRef, entry: _Entry) -> None:
        waiting = entry.waiting
        assert waiting is not None
        try:
            async with asyncio.timeout(self._seconds):
                value = await self._sources[ref.source].fetch(ref.name)
            secret = self._named(ref, entry, value)
        except Exception as error:
            entry.secret = None
            entry.failure = _why(ref, error)
            entry.until = self._loop.time() + _FAILED
            entry.waiting = None
            waiting.set_exception(entry.failure)
            return
        entry.secret, entry.failure = secret, None
        entry.until = self._loop.time() + _FRESH
        entry.waiting = None
        waiting.set_result(secret)

    def _named(self, ref: SecretRef, entry: _Entry, value: bytes) -> Secret:
        old = entry.secret
        if old is not None and old.holds(value):
            return old
        entry.version += 1
        secret = Secret(ref, value, f"v{entry.version}")
        if old is not None:
            self._on_change(old)
        return secret

    def use(
        self, sources: Mapping[str, Source], refs: Collection[SecretRef], seconds: float
    ) -> None:
        """Ask these sources from now on, about these secrets: each again at its next use."""
        self._sources = sources
        self._seconds = seconds
        entries, self._entries = self._entries, {}
        for ref, entry in entries.items():
            entry.until = 0.0
            if ref in refs:
                self._entries[ref] = entry
            elif entry.secret is not None:
                self._on_change(entry.secret)

    async def stop(self) -> None:
        """Stop fetching."""
        for task in list(self._tasks):
            task.cancel()


def _why(ref: SecretRef, error: Exception) -> SecretUnavailable:
    if isinstance(error, SecretUnavailable):
        return error
    if isinstance(error, TimeoutError):
        return SecretUnavailable(f"The source of {ref} did not answer in time")
    if isinstance(error, ValueError):  # Secret's own sentence, which holds no value
        return SecretUnavailable(str(error))
    return SecretUnavailable(f"The source of {ref} failed ({type(error).__name__})")


def _pass_on(done: Future[Secret], promise: Future[Secret]) -> None:
    if promise.done():
        return
    error = done.exception()
    if error is not None:
        promise.set_exception(error)
    else:
        promise.set_result(done.result())
