"""The embedded store: what other processes do to tokens and freezes is seen while it runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.errors import GatewayError
from gateway.core.model import Freeze, Token
from gateway.stores.embedded import Embedded, ListedToken
from tests.support.stored import ALL, BOT, DEADLINE, POLL, ROUTE, Changes, token

# Tokens


async def test_tokens_are_there_after_start(directory: Path, changes: Changes) -> None:
    Embedded(directory).issue([token("a", expires=2_000.0)])
    Embedded(directory).issue([token("gone", revoked=1_500.0)])
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
    await asyncio.to_thread(other.issue, [token("a")])
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
        "Embedded(Path(sys.argv[1])).issue([Token('tok_x', b'x' * 32, 'support', 1.0)])"
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
    await asyncio.to_thread(Embedded(directory).issue, [token("a")])
    await changes.until(lambda: bool(store.tokens))
    assert changes.count == 1


async def test_uses_are_written_at_the_latest_when_the_store_stops(directory: Path) -> None:
    Embedded(directory).issue([token("a")])
    Embedded(directory).issue([token("b")])
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
    Embedded(directory).issue([token("a")])
    for now in (1_200.0, 1_100.0):
        store = Embedded(directory, POLL)
        await store.start(lambda: None)
        store.used("tok_a", f"at-{now:.0f}", now)
        await store.stop()
    assert Embedded(directory).list_tokens()[0].last_address == "at-1200"


def test_all_tokens_of_a_bot_are_revoked_and_nobody_elses(directory: Path) -> None:
    store = Embedded(directory)
    store.issue([token("a"), token("b"), token("c", "other")])
    assert store.revoke("tok_a", 1_500.0) == 1
    assert store.revoke("tok_a", 1_600.0) == 0
    assert store.revoke("tok_nope", 1_600.0) == 0
    assert store.revoke_bot("support", 1_700.0) == 1
    revoked = {one.token.id: one.token.revoked for one in store.list_tokens()}
    assert revoked == {"tok_a": 1_500.0, "tok_b": 1_700.0, "tok_c": None}


@pytest.mark.parametrize("again", [token("a"), replace(token("b"), digest=token("a").digest)])
def test_an_id_and_a_digest_are_issued_once(directory: Path, again: Token) -> None:
    Embedded(directory).issue([token("a")])
    with pytest.raises(GatewayError, match="a token with this id or digest"):
        Embedded(directory).issue([again])


def test_several_tokens_are_issued_all_or_none(directory: Path) -> None:
    store = Embedded(directory)
    store.issue([token("a")])
    with pytest.raises(GatewayError, match="a token with this id or digest"):
        store.issue([token("b"), token("a")], until=2_000.0)
    assert store.list_tokens() == [ListedToken(token("a"), None, None)]


def test_a_token_keeps_its_shape(directory: Path) -> None:
    Embedded(directory).issue([token("a", shape="slack-bot", expires=2_000.0)])
    listed = Embedded(directory).list_tokens()[0].token
    assert listed == token("a", shape="slack-bot", expires=2_000.0)


EXPIRING = [
    token("endless"),
    token("later", expires=3_000.0),
    token("sooner", expires=1_500.0),
    token("revoked", revoked=1_100.0),
    token("elsewhere", "other"),
]


def test_new_tokens_let_the_older_ones_of_their_bots_end(directory: Path) -> None:
    store = Embedded(directory)
    store.issue(EXPIRING)
    store.issue([token("new"), token("newer", expires=9_000.0)], until=2_000.0)
    assert expiries(store) == {
        "tok_endless": 2_000.0,
        "tok_later": 2_000.0,
        "tok_sooner": 1_500.0,
        "tok_revoked": None,
        "tok_elsewhere": None,
        "tok_new": None,
        "tok_newer": 9_000.0,
    }


def test_the_tokens_of_a_bot_expire_but_for_some(directory: Path) -> None:
    store = Embedded(directory)
    store.issue(EXPIRING)
    assert store.expire("support", 2_000.0, but=["tok_endless", "tok_sooner", "tok_nope"]) == 1
    assert expiries(store)["tok_endless"] is None
    assert expiries(store)["tok_later"] == 2_000.0
    assert store.expire("support", 2_000.0) == 1
    assert store.expire("support", 2_000.0) == 0
    assert expiries(store)["tok_endless"] == 2_000.0
    assert expiries(store)["tok_elsewhere"] is None


def expiries(store: Embedded) -> dict[str, float | None]:
    return {one.token.id: one.token.expires for one in store.list_tokens()}


def test_two_processes_may_create_the_store_at_the_same_time(directory: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from gateway.core.model import Token; "
        "from gateway.stores.embedded import Embedded; sys.stdin.read(); "
        "Embedded(Path(sys.argv[1])).issue([Token(sys.argv[2], os.urandom(32), 'b', 1.0)])"
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


# Freezes


def test_what_is_frozen_is_listed_until_it_is_let_go(directory: Path) -> None:
    store = Embedded(directory)
    assert store.list_freezes() == []
    assert store.freeze([ROUTE, BOT], 1_000.0) == 2
    assert store.freeze([BOT, ALL], 2_000.0) == 1
    assert store.list_freezes() == [(BOT, 1_000.0), (ROUTE, 1_000.0), (ALL, 2_000.0)]
    assert store.unfreeze([ROUTE, ALL, Freeze("bot", "other")]) == 2
    assert store.unfreeze([]) == 0
    assert store.list_freezes() == [(BOT, 1_000.0)]


async def test_what_another_connection_freezes_and_lets_go_is_seen(
    store: Embedded, directory: Path, changes: Changes
) -> None:
    assert store.freezes == frozenset()
    other = Embedded(directory)
    await asyncio.to_thread(other.freeze, [BOT, ALL], 1_000.0)
    await changes.until(lambda: store.freezes == {BOT, ALL})
    await asyncio.to_thread(other.unfreeze, [ALL])
    await changes.until(lambda: store.freezes == {BOT})
    assert changes.count == 2


async def test_what_is_frozen_is_known_from_the_start(directory: Path) -> None:
    Embedded(directory).freeze([BOT], 1_000.0)
    store = Embedded(directory, POLL)
    await store.start(lambda: None)
    assert store.freezes == {BOT}
    await store.stop()


async def test_a_store_that_is_not_started_says_so(directory: Path) -> None:
    store = Embedded(directory)
    assert store.healthy() == "the store is not started"
    store.used("tok_a", "10.0.0.1", 1.0)
    await store.stop()
