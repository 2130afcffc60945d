"""The record: one canonical JSON line per exchange, written by a thread, bounded, never dropped."""

from __future__ import annotations

import logging
import os
import sys
from asyncio import AbstractEventLoop, TimerHandle
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread

import msgspec

_LOG = logging.getLogger("gateway.audit")
_FLUSH = 0.05
_BATCH = 256
_RETRY = 0.5
_BACKLOG = 16 * 1024 * 1024
_REOPEN = b""


class Record(msgspec.Struct, gc=False):
    """One exchange. No body, no query value, no token and no secret is in it.

    `time` is Unix seconds at arrival, `seconds` the whole exchange, `first_byte` until the
    provider's answer began. `rule` names the line of the configuration that let it pass, or
    that came nearest. `found` says how `address` was found, "" for the connection's own.
    `observed` is the code of a refusal that was let pass because of `mode: observe`.
    """

    exchange: str
    time: float
    bot: str
    token: str
    address: str
    found: str
    method: str
    route: str
    rule: str
    path: str
    subject: str
    secret: str
    status: int
    outcome: str
    code: str
    observed: str
    request_id: str
    bytes_in: int
    bytes_out: int
    first_byte: float
    seconds: float
    attempts: int


class Audit:
    """Writes records to a file or to standard output (`-`), in order.

    Records wait in memory for at most 50 ms. Where the disk does not keep up, or refuses, they
    wait on, up to 16 MiB; `full` then asks the journey to refuse requests it could not record.
    """

    def __init__(self, loop: AbstractEventLoop, path: str) -> None:
        self._loop = loop
        self._encode = msgspec.json.Encoder().encode_lines
        self._records: list[Record] = []
        self._timer: TimerHandle | None = None
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._path = path
        self._owned = path != "-"
        self._file = _open(path) if self._owned else sys.stdout.fileno()
        self.backlog = 0
        """Bytes handed to the writing thread and not yet written."""
        self.failing = False
        self._retry = Event()
        self._thread = Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether no further exchange may begin, because it could not be recorded."""
        return self.backlog > _BACKLOG

    def write(self, record: Record) -> None:
        """Add one line."""
        self._records.append(record)
        if self._timer is None:
            self._timer = self._loop.call_later(_FLUSH, self.flush)
        elif len(self._records) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand what waits to the writing thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._records:
            batch = self._encode(self._records)
            self._records = []
            self.backlog += len(batch)
            self._queue.put(batch)

    def reopen(self) -> None:
        """Go on in a new file where the old one was moved away; for log rotation."""
        self.flush()
        if self._owned:
            self._queue.put(_REOPEN)

    def stop(self, seconds: float = 5.0) -> None:
        """Write what is left, waiting for at most `seconds`."""
        self.flush()
        self._queue.put(None)
        self._thread.join(seconds)
        if self._owned and not self._thread.is_alive():
            os.close(self._file)

    def _write_all(self) -> None:
        while (batch := self._queue.get()) is not None:
            if batch is _REOPEN:
                self._open_anew()
                continue
            self._write(batch)
            with suppress(RuntimeError):  # the loop is closed: nobody counts any more
                self._loop.call_soon_threadsafe(self._written, len(batch))

    def _open_anew(self) -> None:
        try:
            fresh = _open(self._path)
        except OSError as error:
            _LOG.error("the record's file stays as it is: %s", error.strerror)
            return
        old, self._file = self._file, fresh
        os.close(old)

    def _write(self, batch: bytes) -> None:
        left = memoryview(batch)
        while left:
            try:
                left = left[os.write(self._file, left) :]
                self.failing = False
            except OSError as error:
                if not self.failing:
                    _LOG.error("the record cannot be written: %s", error.strerror)
                self.failing = True
                self._retry.wait(_RETRY)

    def _written(self, size: int) -> None:
        self.backlog -= size


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
