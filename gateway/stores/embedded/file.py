"""The SQLite file of the embedded store: how it is made, trusted, brought up to date and opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.core.errors import GatewayError

BUSY_SECONDS = 5.0

# What makes each version of the schema out of the one before. Released ones never change.
_VERSIONS = (
    (
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
    ),
    (
        "ALTER TABLE tokens ADD COLUMN shape TEXT NOT NULL DEFAULT 'plain'",
        """CREATE TABLE freezes (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (kind, name)
        ) STRICT""",
    ),
)
SCHEMA_VERSION = len(_VERSIONS)


@contextlib.contextmanager
def connection(directory: Path, *, create: bool = True) -> Iterator[sqlite3.Connection]:
    """Open `store.sqlite` in `directory`, whatever goes wrong within becoming a GatewayError.

    `create` makes the file where there is none. A file of an older gateway is brought up to date.
    """
    path = directory / "store.sqlite"
    try:
        if create:
            _create(directory, path)
        _check_permissions(directory, path)
        with contextlib.closing(_open(path)) as opened:
            yield opened
    except OSError as exc:
        raise unusable(f"{path} cannot be used: {exc.strerror}") from exc
    except sqlite3.Error as exc:
        raise unusable(f"{path} cannot be used: {exc}") from exc


@contextlib.contextmanager
def transaction(opened: sqlite3.Connection) -> Iterator[None]:
    """Make what is done within happen whole, or not at all."""
    opened.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        opened.execute("ROLLBACK")
        raise
    opened.execute("COMMIT")


def identity(directory: Path) -> tuple[int, int]:
    """Return what tells the file from another that was put in its place. Raises OSError."""
    status = (directory / "store.sqlite").stat()
    return status.st_dev, status.st_ino


def unusable(reason: str) -> GatewayError:
    """Return the failure of a store that cannot be used."""
    return GatewayError(503, "store_unusable", reason)


def _create(directory: Path, path: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _check_permissions(directory: Path, path: Path) -> None:
    """Refuse a file that others can write (they could issue tokens) or read."""
    if stat.S_IMODE(directory.stat().st_mode) & 0o022:
        raise unusable(f"others can write to {directory}; run: chmod 700 {directory}")
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise unusable(f"{path} is not a regular file")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise unusable(f"others have access to {path}; run: chmod 600 {path}")


def _open(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    opened = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        version = _version(opened)
        if version > SCHEMA_VERSION:
            reason = f"was written by a newer gateway (schema {version}, not {SCHEMA_VERSION})"
            raise unusable(f"{path} {reason}")
        if version < SCHEMA_VERSION:
            _update(opened, path)
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("PRAGMA synchronous = FULL")
        opened.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        opened.close()
        raise
    return opened


def _update(opened: sqlite3.Connection, path: Path) -> None:
    with transaction(opened):
        version = _version(opened)  # another process may have been faster
        if not version and opened.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise unusable(f"{path} is a database, but not a store of the gateway")
        for statements in _VERSIONS[version:]:
            for statement in statements:
                opened.execute(statement)
        opened.execute(f"PRAGMA user_version = {max(version, SCHEMA_VERSION)}")


def _version(opened: sqlite3.Connection) -> int:
    return int(opened.execute("PRAGMA user_version").fetchone()[0])
