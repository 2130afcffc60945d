"""The embedded store's file: brought up to date, trusted or refused, and watched."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.errors import GatewayError
from gateway.stores.embedded import Embedded, ListedToken
from tests.support.stored import BOT, DEADLINE, POLL, Changes, token


def test_the_file_is_its_owners_alone(directory: Path) -> None:
    before = os.umask(0)
    try:
        Embedded(directory).issue([token("a")])
    finally:
        os.umask(before)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "store.sqlite").stat().st_mode) == 0o600


# As the first release made it.
FIRST_SCHEMA = """
    CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        bot TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL,
        revoked REAL
    ) STRICT;
    CREATE INDEX tokens_of_bot ON tokens (bot);
    CREATE TABLE uses (token TEXT PRIMARY KEY, at REAL NOT NULL, address TEXT NOT NULL) STRICT;
    PRAGMA user_version = 1;
"""


def _first(directory: Path) -> sqlite3.Connection:
    """Make a file of the first schema, with a token that was used."""
    directory.mkdir(mode=0o700)
    path = directory / "store.sqlite"
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(FIRST_SCHEMA)
    one = token("a", expires=2_000.0)
    row = (one.id, one.digest, one.bot, one.created, one.expires, one.revoked)
    connection.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.execute("INSERT INTO uses VALUES ('tok_a', 1200.0, '10.0.0.1')")
    return connection


async def test_a_file_of_the_first_schema_is_brought_up_to_date(
    directory: Path, changes: Changes
) -> None:
    _first(directory).close()
    store = Embedded(directory, POLL)
    await store.start(changes)
    assert list(store.tokens.values()) == [token("a", expires=2_000.0)]
    await store.stop()
    store.issue([token("b", shape="telegram")])
    store.freeze([BOT], 1_500.0)
    assert store.list_tokens() == [
        ListedToken(token("a", expires=2_000.0), 1_200.0, "10.0.0.1"),
        ListedToken(token("b", shape="telegram"), None, None),
    ]
    new = Embedded(directory.with_name("new"))
    new.list_tokens()
    assert _schema(directory) == _schema(directory.with_name("new"))


def _schema(directory: Path) -> list[object]:
    connection = sqlite3.connect(directory / "store.sqlite")
    version = connection.execute("PRAGMA user_version").fetchall()
    columns = [
        connection.execute(f"PRAGMA table_info({table})").fetchall()
        for table in ("tokens", "uses", "freezes")
    ]
    connection.close()
    return [version, *columns]


def test_a_file_that_cannot_be_brought_up_to_date_stays_as_it_was(directory: Path) -> None:
    connection = _first(directory)
    connection.execute("CREATE TABLE freezes (in_the_way)")
    with pytest.raises(GatewayError, match="table freezes already exists"):
        Embedded(directory).list_tokens()
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(tokens)")]
    assert columns == ["id", "digest", "bot", "created", "expires", "revoked"]
    connection.close()


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE diary (entry)")
    connection.close()
    path.chmod(0o600)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer": (_newer, "was written by a newer gateway"),
    "corrupt": (lambda path: path.write_bytes(b"rubbish" * 1000), "file is not a database"),
    "cut short": (lambda path: os.truncate(path, 5000), "malformed"),
    "foreign": (_foreign, "is a database, but not a store"),
    "readable by others": (lambda path: path.chmod(0o644), "chmod 600"),
    "in a directory others write": (lambda path: path.parent.chmod(0o777), "chmod 700"),
    "a link": (_link, "is not a regular file"),
    "a directory": (_folder, "is not a regular file"),
}


@pytest.mark.parametrize("case", SPOILED)
async def test_a_file_that_cannot_be_trusted_is_refused(directory: Path, case: str) -> None:
    spoil, why = SPOILED[case]
    Embedded(directory).issue([token("a")])
    spoil(directory / "store.sqlite")
    with pytest.raises(GatewayError, match=why):
        Embedded(directory).list_tokens()
    store = Embedded(directory, POLL)
    with pytest.raises(GatewayError, match=why):
        await store.start(lambda: None)
    await store.stop()


async def test_a_file_put_in_the_stores_place_is_read(
    store: Embedded, directory: Path, changes: Changes
) -> None:
    other = Embedded(directory.with_name("other"))
    await asyncio.to_thread(other.issue, [token("b")])
    connection = sqlite3.connect(directory.with_name("other") / "store.sqlite")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for suffix in ("-wal", "-shm"):
        (directory / f"store.sqlite{suffix}").unlink(missing_ok=True)
    (directory.with_name("other") / "store.sqlite").replace(directory / "store.sqlite")
    await changes.until(lambda: token("b").digest in store.tokens)


async def test_a_store_that_vanishes_is_unhealthy_and_keeps_what_it_knew(
    directory: Path, changes: Changes
) -> None:
    Embedded(directory).issue([token("a")])
    Embedded(directory).freeze([BOT], 1_000.0)
    store = Embedded(directory, POLL)
    await store.start(changes)
    assert store.healthy() is None
    moved = directory.with_name("moved")
    await asyncio.to_thread(directory.rename, moved)
    await _until(lambda: store.healthy() is not None)
    assert "No such file" in (store.healthy() or "")
    assert token("a").digest in store.tokens
    assert store.freezes == {BOT}
    assert not await asyncio.to_thread(directory.exists)
    await asyncio.to_thread(moved.rename, directory)
    await _until(lambda: store.healthy() is None)
    await store.stop()


async def _until(happened: Callable[[], bool]) -> None:
    """Wait for what the store's thread does without telling the loop."""
    async with asyncio.timeout(DEADLINE):
        while not happened():
            await asyncio.to_thread(lambda: None)
