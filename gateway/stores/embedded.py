"""The store of a single machine: tokens in a SQLite file, reservations in memory.

Other processes (the command line) change the file; a thread of the store's own sees that by
polling `data_version`, and does every read and write, so that the event loop never waits for
SQLite. `issue`, `list_tokens`, `revoke` and `revoke_bot` are for those other processes: they
block, and need no `start`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from gateway.core.errors import Deny, GatewayError
from gateway.core.model import Token
from gateway.stores import Claim, Hold

SCHEMA_VERSION = 1
BUSY_SECONDS = 5.0
FLUSH_SECONDS = 5.0
MAX_PENDING_USES = 100_000

_SCHEMA = (
    """CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        bot TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL,
        revoked REAL
    ) STRICT""",
    "CREATE INDEX tokens_of_bot ON tokens (bot)",
    # No foreign key: a token pinned in the configuration is used without being in `tokens`.
    """CREATE TABLE uses (
        token TEXT PRIMARY KEY,
        at REAL NOT NULL,
        address TEXT NOT NULL
    ) STRICT""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_NOTE_USE = """
    INSERT INTO uses (token, at, address) VALUES (?, ?, ?)
    ON CONFLICT (token) DO UPDATE SET at = excluded.at, address = excluded.address
    WHERE excluded.at >= uses.at
"""
_LIST = """
    SELECT id, digest, bot, created, expires, revoked, at, address
    FROM tokens LEFT JOIN uses ON token = id ORDER BY created, id
"""
_log = logging.getLogger(__name__)
Argument = TypeVar("Argument")


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A token as an operator sees it: with its last use, as far as that was written yet."""

    token: Token
    last_used: float | None
    last_address: str | None


class Embedded:
    """Implements `gateway.stores.Store` on one file, `store.sqlite` in `directory`."""

    tokens: Mapping[bytes, Token]

    def __init__(self, directory: Path, poll: float = 0.25) -> None:
        self.tokens = MappingProxyType({})
        self._directory = directory
        self._poll = poll
        self._used: dict[tuple[str, str], int] = {}
        self._watcher: _Watcher | None = None

    # Store

    async def start(self, on_change: Callable[[], None]) -> None:
        """Load the tokens and watch the file. Raises GatewayError where it cannot be used."""
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[None] = loop.create_future()

        def on_load(tokens: Mapping[bytes, Token]) -> None:
            self.tokens = tokens
            if loaded.done():
                on_change()
            else:
                loaded.set_result(None)

        def on_failure(error: GatewayError) -> None:
            if not loaded.done():
                loaded.set_exception(error)

        self._watcher = _Watcher(self._directory, self._poll, loop, on_load, on_failure)
        self._watcher.start()
        await loaded

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

    def reserve(self, exchange: str, claims: tuple[Claim, ...], now: float) -> Hold | Deny:
        """Reserve all of `claims` or none. Atomic: nothing here waits."""
        for taken, claim in enumerate(claims):
            key = claim.counter
            amount = self._used.get(key, 0) + claim.amount
            if amount > claim.ceiling:
                self._give_back(claims[:taken])
                return _refusal(claim)
            if amount:
                self._used[key] = amount
        return Hold(exchange, claims)

    def settle(self, hold: Hold) -> None:
        """Give back what was reserved, once."""
        if hold.open:
            hold.open = False
            self._give_back(hold.claims)

    def in_use(self, scope: str, unit: str) -> int:
        """Return how much is reserved at this moment."""
        return self._used.get((scope, unit), 0)

    def used(self, token_id: str, address: str, now: float) -> None:
        """Note a use; written by the thread every few seconds and at the end."""
        if self._watcher is not None:
            self._watcher.note_use(token_id, address, now)

    def _give_back(self, claims: tuple[Claim, ...]) -> None:
        for claim in claims:
            key = claim.counter
            left = self._used.get(key, 0) - claim.amount
            if left > 0:
                self._used[key] = left
            else:
                self._used.pop(key, None)

    # Administration of tokens, from any process

    def issue(self, token: Token) -> None:
        """Add a token. Raises GatewayError where its id or its digest is there already."""
        row = (token.id, token.digest, token.bot, token.created, token.expires, token.revoked)
        with _connection(self._directory) as connection:
            try:
                connection.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                reason = "a token with this id or digest is in the store already"
                raise GatewayError(409, "token_exists", reason) from None

    def list_tokens(self) -> list[ListedToken]:
        """Return every token that was ever issued, revoked ones too, oldest first."""
        with _connection(self._directory) as connection:
            rows = connection.execute(_LIST).fetchall()
        return [ListedToken(Token(*row[:6]), row[6], row[7]) for row in rows]

    def revoke(self, token_id: str, now: float) -> int:
        """Revoke one token. Return how many were valid until now: 0 or 1."""
        return self._revoke("id", token_id, now)

    def revoke_bot(self, bot: str, now: float) -> int:
        """Revoke every token of a bot. Return how many were valid until now."""
        return self._revoke("bot", bot, now)

    def _revoke(self, column: str, value: str, now: float) -> int:
        update = f"UPDATE tokens SET revoked = ? WHERE {column} = ? AND revoked IS NULL"  # noqa: S608 -- one of two literals
        with _connection(self._directory) as connection:
            return connection.execute(update, (now, value)).rowcount


def _refusal(claim: Claim) -> Deny:
    reason = (
        f"{claim.scope} is at its ceiling of {claim.ceiling} {claim.unit}; "
        "repeat the request when one has ended"
    )
    return Deny(429, "too_many_exchanges", reason, repeatable=True)


class _Watcher(threading.Thread):
    """The only thread of a running store that touches its file."""

    def __init__(
        self,
        directory: Path,
        poll: float,
        loop: asyncio.AbstractEventLoop,
        on_load: Callable[[Mapping[bytes, Token]], None],
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
        self._tokens: Mapping[bytes, Token] | None = None
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
            self._call(self._on_failure, _unusable("the store's thread has ended"))

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                with _connection(self._directory, create=self._tokens is None) as connection:
                    self._watch(connection)
            except GatewayError as exc:
                self._fail(exc)
                if self._tokens is None:
                    return
            self.stopping.wait(self._poll)

    def _watch(self, connection: sqlite3.Connection) -> None:
        """Return when the file was replaced by another, or at the end."""
        version = None
        opened = _identity(self._directory)
        while _identity(self._directory) == opened:
            current = connection.execute("PRAGMA data_version").fetchone()[0]
            if current != version:
                self._load(connection)
                version = current
            self.failure = None
            if time.monotonic() - self._flushed >= FLUSH_SECONDS:
                self._flush(connection)
            if self.stopping.wait(self._poll):
                self._flush(connection)
                return

    def _load(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT id, digest, bot, created, expires FROM tokens WHERE revoked IS NULL"
        )
        tokens = MappingProxyType({row[1]: Token(*row) for row in rows})
        if tokens != self._tokens:
            self._tokens = tokens
            self._call(self._on_load, tokens)

    def _flush(self, connection: sqlite3.Connection) -> None:
        self._flushed = time.monotonic()
        with self._lock:
            uses, self._uses = self._uses, {}
        if uses:
            rows = [(token, at, address) for token, (at, address) in uses.items()]
            with _transaction(connection):
                connection.executemany(_NOTE_USE, rows)

    def _fail(self, error: GatewayError) -> None:
        if self.failure != error.deny.reason:
            _log.error("store: %s", error.deny.reason)
        self.failure = error.deny.reason
        self._call(self._on_failure, error)

    def _call(self, callback: Callable[[Argument], None], argument: Argument) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(callback, argument)


# The file


@contextlib.contextmanager
def _connection(directory: Path, *, create: bool = True) -> Iterator[sqlite3.Connection]:
    """Open the store's file, whatever goes wrong within becoming a GatewayError."""
    path = directory / "store.sqlite"
    try:
        if create:
            _create(directory, path)
        _check_permissions(directory, path)
        with contextlib.closing(_open(path)) as connection:
            yield connection
    except OSError as exc:
        raise _unusable(f"{path} cannot be used: {exc.strerror}") from exc
    except sqlite3.Error as exc:
        raise _unusable(f"{path} cannot be used: {exc}") from exc


def _unusable(reason: str) -> GatewayError:
    return GatewayError(503, "store_unusable", reason)


def _create(directory: Path, path: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _check_permissions(directory: Path, path: Path) -> None:
    """Refuse a file that others can write (they could issue tokens) or read."""
    if stat.S_IMODE(directory.stat().st_mode) & 0o022:
        raise _unusable(f"others can write to {directory}; run: chmod 700 {directory}")
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise _unusable(f"{path} is not a regular file")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise _unusable(f"others have access to {path}; run: chmod 600 {path}")


def _identity(directory: Path) -> tuple[int, int]:
    status = (directory / "store.sqlite").stat()
    return status.st_dev, status.st_ino


def _open(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _check_schema(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        _create_schema(connection, path)
    elif version > SCHEMA_VERSION:
        reason = f"{path} was written by a newer gateway (schema {version}, not {SCHEMA_VERSION})"
        raise _unusable(reason)


def _create_schema(connection: sqlite3.Connection, path: Path) -> None:
    with _transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0]:
            return  # another process was faster
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise _unusable(f"{path} is a database, but not a store of the gateway")
        for statement in _SCHEMA:
            connection.execute(statement)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
