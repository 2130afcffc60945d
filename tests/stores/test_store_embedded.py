"""The embedded store: changes of other processes are seen, reservations are exact and bounded."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Deny, GatewayError
from gateway.core.model import Token
from gateway.stores import Claim, Hold
from gateway.stores.embedded import Embedded, ListedToken

DEADLINE = 20.0
POLL = 0.01


def token(name: str, bot: str = "support", **changes: float) -> Token:
    digest = sha256(name.encode()).digest()
    return replace(Token(f"tok_{name}", digest, bot, 1_000.0), **changes)  # type: ignore[arg-type]


class Changes:
    """Lets a test wait until the store has announced what it waits for."""

    def __init__(self) -> None:
        self.count = 0
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._event.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not happened():
                self._event.clear()
                await self._event.wait()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
async def store(directory: Path, changes: Changes) -> AsyncIterator[Embedded]:
    store = Embedded(directory, POLL)
    await store.start(changes)
    yield store
    await store.stop()


# Tokens


async def test_tokens_are_there_after_start(directory: Path, changes: Changes) -> None:
    Embedded(directory).issue(token("a", expires=2_000.0))
    Embedded(directory).issue(token("gone", revoked=1_500.0))
    store = Embedded(directory, POLL)
    await store.start(changes)
    assert dict(store.tokens) == {token("a").digest: token("a", expires=2_000.0)}
    assert changes.count == 0
    await store.stop()


async def test_what_another_connection_issues_and_revokes_is_seen(
    store: Embedded, directory: Path, changes: Changes
) -> None:
    other = Embedded(directory)
    first = store.tokens
    await asyncio.to_thread(other.issue, token("a"))
    await changes.until(lambda: token("a").digest in store.tokens)
    assert not first  # replaced, not mutated
    assert await asyncio.to_thread(other.revoke, "tok_a", 1_500.0) == 1
    await changes.until(lambda: not store.tokens)


async def test_what_another_process_issues_is_seen(
    store: Embedded, directory: Path, changes: Changes
) -> None:
    script = (
        "import sys; from pathlib import Path; from gateway.core.model import Token; "
        "from gateway.stores.embedded import Embedded; "
        "Embedded(Path(sys.argv[1])).issue(Token('tok_x', b'x' * 32, 'support', 1.0))"
    )
    root = Path(__file__).parents[2]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(directory), cwd=root
    )
    assert await child.wait() == 0
    await changes.until(lambda: b"x" * 32 in store.tokens)


async def test_a_note_of_use_is_no_change(
    store: Embedded, directory: Path, changes: Changes
) -> None:
    other = Embedded(directory, POLL)
    await other.start(lambda: None)
    other.used("tok_a", "10.0.0.1", 1_200.0)
    await other.stop()
    await asyncio.to_thread(Embedded(directory).issue, token("a"))
    await changes.until(lambda: bool(store.tokens))
    assert changes.count == 1


async def test_uses_are_written_at_the_latest_when_the_store_stops(directory: Path) -> None:
    Embedded(directory).issue(token("a"))
    Embedded(directory).issue(token("b"))
    store = Embedded(directory, POLL)
    await store.start(lambda: None)
    store.used("tok_a", "10.0.0.1", 1_100.0)
    store.used("tok_a", "10.0.0.2", 1_200.0)
    store.used("pin_x", "10.0.0.3", 1_300.0)
    await store.stop()
    assert store.list_tokens() == [
        ListedToken(token("a"), 1_200.0, "10.0.0.2"),
        ListedToken(token("b"), None, None),
    ]


async def test_an_older_use_does_not_replace_a_newer_one(directory: Path) -> None:
    Embedded(directory).issue(token("a"))
    for now in (1_200.0, 1_100.0):
        store = Embedded(directory, POLL)
        await store.start(lambda: None)
        store.used("tok_a", f"at-{now:.0f}", now)
        await store.stop()
    assert Embedded(directory).list_tokens()[0].last_address == "at-1200"


def test_all_tokens_of_a_bot_are_revoked_and_nobody_elses(directory: Path) -> None:
    store = Embedded(directory)
    for one in (token("a"), token("b"), token("c", "other")):
        store.issue(one)
    assert store.revoke("tok_a", 1_500.0) == 1
    assert store.revoke("tok_a", 1_600.0) == 0
    assert store.revoke("tok_nope", 1_600.0) == 0
    assert store.revoke_bot("support", 1_700.0) == 1
    revoked = {one.token.id: one.token.revoked for one in store.list_tokens()}
    assert revoked == {"tok_a": 1_500.0, "tok_b": 1_700.0, "tok_c": None}


@pytest.mark.parametrize("again", [token("a"), replace(token("b"), digest=token("a").digest)])
def test_an_id_and_a_digest_are_issued_once(directory: Path, again: Token) -> None:
    Embedded(directory).issue(token("a"))
    with pytest.raises(GatewayError, match="a token with this id or digest"):
        Embedded(directory).issue(again)


def test_two_processes_may_create_the_store_at_the_same_time(directory: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from gateway.core.model import Token; "
        "from gateway.stores.embedded import Embedded; sys.stdin.read(); "
        "Embedded(Path(sys.argv[1])).issue(Token(sys.argv[2], os.urandom(32), 'b', 1.0))"
    )
    root = Path(__file__).parents[2]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(directory), f"tok_{number}"],
            stdin=subprocess.PIPE,
            cwd=root,
        )
        for number in range(6)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
    assert [child.wait(DEADLINE) for child in children] == [0] * 6
    assert len(Embedded(directory).list_tokens()) == 6


# The file


def test_the_file_is_its_owners_alone(directory: Path) -> None:
    before = os.umask(0)
    try:
        Embedded(directory).issue(token("a"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "store.sqlite").stat().st_mode) == 0o600


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
    Embedded(directory).issue(token("a"))
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
    await asyncio.to_thread(other.issue, token("b"))
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
    Embedded(directory).issue(token("a"))
    store = Embedded(directory, POLL)
    await store.start(changes)
    assert store.healthy() is None
    moved = directory.with_name("moved")
    await asyncio.to_thread(directory.rename, moved)
    await _until(lambda: store.healthy() is not None)
    assert "No such file" in (store.healthy() or "")
    assert token("a").digest in store.tokens
    assert not await asyncio.to_thread(directory.exists)
    await asyncio.to_thread(moved.rename, directory)
    await _until(lambda: store.healthy() is None)
    await store.stop()


async def _until(happened: Callable[[], bool]) -> None:
    """Wait for what the store's thread does without telling the loop."""
    async with asyncio.timeout(DEADLINE):
        while not happened():
            await asyncio.to_thread(lambda: None)


async def test_a_store_that_is_not_started_says_so(directory: Path) -> None:
    store = Embedded(directory)
    assert store.healthy() == "the store is not started"
    store.used("tok_a", "10.0.0.1", 1.0)
    await store.stop()


# Reservations


def claim(amount: int = 1, ceiling: int = 2, scope: str = "bot:a") -> Claim:
    return Claim(scope, "exchanges", amount, ceiling)


def test_a_ceiling_is_kept_and_a_settled_hold_makes_room(directory: Path) -> None:
    store = Embedded(directory)
    first = store.reserve("1", (claim(),), 0.0)
    assert isinstance(first, Hold)
    assert isinstance(store.reserve("2", (claim(),), 0.0), Hold)
    assert store.reserve("3", (claim(),), 0.0) == Deny(
        429,
        "too_many_exchanges",
        "bot:a is at its ceiling of 2 exchanges; repeat the request when one has ended",
        repeatable=True,
    )
    store.settle(first)
    store.settle(first)
    assert store.in_use("bot:a", "exchanges") == 1
    assert isinstance(store.reserve("3", (claim(),), 0.0), Hold)


def test_all_claims_are_reserved_or_none(directory: Path) -> None:
    store = Embedded(directory)
    refused = store.reserve("1", (claim(), claim(scope="all", ceiling=0)), 0.0)
    assert isinstance(refused, Deny)
    assert store._used == {}


def test_two_claims_on_one_limit_add_up(directory: Path) -> None:
    store = Embedded(directory)
    assert isinstance(store.reserve("1", (claim(), claim(2)), 0.0), Deny)
    assert store._used == {}


CLAIMS = st.builds(
    Claim,
    scope=st.sampled_from(["a", "b", "all"]),
    unit=st.sampled_from(["exchanges", "bytes"]),
    amount=st.integers(0, 5),
    ceiling=st.integers(0, 12),
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.lists(CLAIMS, max_size=4).map(tuple)),
        st.tuples(st.just("settle"), st.integers(0, 30)),
    ),
    max_size=40,
)


@given(ACTIONS)
def test_reservations_are_as_in_a_plain_model(
    actions: list[tuple[str, tuple[Claim, ...] | int]],
) -> None:
    store = Embedded(Path("unused"))
    holds: list[Hold] = []
    open_claims: dict[int, tuple[Claim, ...]] = {}

    def used(extra: tuple[Claim, ...] = ()) -> dict[tuple[str, str], int]:
        total: dict[tuple[str, str], int] = {}
        for one in [*(one for claims in open_claims.values() for one in claims), *extra]:
            total[one.scope, one.unit] = total.get((one.scope, one.unit), 0) + one.amount
        return {key: amount for key, amount in total.items() if amount}

    for _, argument in actions:
        if isinstance(argument, int):
            if argument < len(holds):
                store.settle(holds[argument])
                open_claims.pop(argument, None)
        else:
            fits = all(
                used(argument[: n + 1]).get((one.scope, one.unit), 0) <= one.ceiling
                for n, one in enumerate(argument)
            )
            answer = store.reserve("x", argument, 0.0)
            assert isinstance(answer, Hold) == fits
            if isinstance(answer, Hold):
                open_claims[len(holds)] = argument
                holds.append(answer)
        assert store._used == used()
    for hold in holds:
        store.settle(hold)
    assert store._used == {}
