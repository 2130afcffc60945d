"""Kept connections (rows 13 and 14): never another's answer, never a POST lost or doubled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.exchange import Exchange
from tests.faults.conftest import Figure
from tests.faults.gateways import TOKEN, Running, apart, inside
from tests.faults.wire import ProviderWire, bot, provider, request

_POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"


async def _at_once(wire: ProviderWire, answer: bytes) -> None:
    await wire.send(answer + _POISON)


async def _later(wire: ProviderWire, answer: bytes) -> None:
    await wire.send(answer)
    await asyncio.sleep(0)
    await wire.send(_POISON)


async def _in_pieces(wire: ProviderWire, answer: bytes) -> None:
    await wire.send(answer + _POISON[:20])
    await asyncio.sleep(0)
    await wire.send(_POISON[20:])


async def _after_a_line_end(wire: ProviderWire, answer: bytes) -> None:
    await wire.send(answer + b"\r\n\r\n")
    await asyncio.sleep(0)
    await wire.send(_POISON)


async def _beginning_only(wire: ProviderWire, answer: bytes) -> None:
    """What the next answer would only complete."""
    await wire.send(answer)
    await asyncio.sleep(0)
    await wire.send(_POISON[:-1])


_POISONERS = [_at_once, _later, _in_pieces, _after_a_line_end, _beginning_only]


def _framed(body: bytes, chunked: bool) -> bytes:
    if chunked:
        framing = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    else:
        framing = b"Content-Length: %d\r\n\r\n%b"
    return b"HTTP/1.1 200 OK\r\n" + framing % (len(body), body)


@pytest.mark.parametrize("process", [inside, apart])
async def test_unsolicited_answers_poison_nobody(
    process: Callable[..., AbstractAsyncContextManager[Running]], tmp_path: Path, figure: Figure
) -> None:
    """Row 13. The bot's next request follows at once: the gateway may not have read the poison.

    What comes after a request was sent cannot be told from its answer, by anyone.
    """
    sent = asyncio.Event()

    async def script(wire: ProviderWire) -> None:
        while got := await wire.request():
            turn = int(got.body.partition(b"-")[2])
            poison = _POISONERS[turn % len(_POISONERS)]
            await poison(wire, _framed(got.body, chunked=turn % 2 == 1))
            sent.set()

    poisoned = refused = 0
    async with (
        provider(script) as origin,
        process(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        for turn in range(1000):
            sent.clear()
            nonce = b"nonce-%d" % turn
            await wire.send(request(TOKEN, nonce))
            answer = await wire.answer()
            refused += answer.status != 200
            poisoned += answer.status == 200 and answer.body != nonce
            await sent.wait()
        assert origin.connections == 1000
    figure("13 poisoned", f"{poisoned} of 1000 ({refused} refused)")
    assert (poisoned, refused) == (0, 0)


async def test_posts_survive_a_provider_that_closes_after_answering(
    tmp_path: Path, figure: Figure
) -> None:
    """Row 14, fin: the provider keeps no connection, and does not say so."""

    async def script(wire: ProviderWire) -> None:
        if got := await wire.request():
            await wire.ok(got.body)

    async with (
        provider(script) as origin,
        apart(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        good = 0
        for turn in range(200):
            await wire.send(request(TOKEN, b"post-%d" % turn))
            good += (await wire.answer()).body == b"post-%d" % turn
        served = Counter(r.body for r in origin.requests)
    figure("14 fin: POSTs answered", f"{good} of 200")
    assert good >= 199
    assert max(served.values()) == 1


async def test_posts_at_the_worst_moment_are_answered_or_refused_never_doubled(
    tmp_path: Path, figure: Figure
) -> None:
    """Row 14, the race itself: the provider's FIN and the bot's next POST cross."""

    async def script(wire: ProviderWire) -> None:
        if got := await wire.request():
            await wire.ok(got.body)
            await asyncio.sleep(random.random() * 0.002)

    statuses: Counter[int] = Counter()
    async with (
        provider(script) as origin,
        apart(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        for turn in range(200):
            await wire.send(request(TOKEN, b"post-%d" % turn))
            answer = await wire.answer()
            statuses[answer.status] += 1
            if answer.status != 200:
                assert (answer.status, answer.header("x-should-retry")) == (502, "false")
            await asyncio.sleep(random.random() * 0.002)
        served = Counter(r.body for r in origin.requests)
    figure("14 fin, crossing: statuses", dict(statuses))
    assert max(served.values()) == 1


async def _answers_then_dies(wire: ProviderWire) -> None:
    """Answer the first request of each connection, die of the second."""
    if got := await wire.request():
        await wire.ok(got.body)
        await wire.request()
        wire.reset()


async def test_posts_are_never_doubled_where_the_provider_dies_of_them(
    tmp_path: Path, figure: Figure
) -> None:
    """Row 14, die: what may have been acted upon is not sent again."""
    async with (
        provider(_answers_then_dies) as origin,
        inside(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        refused = 0
        for turn in range(200):
            await wire.send(request(TOKEN, b"post-%d" % turn))
            answer = await wire.answer()
            if turn % 2:
                refused += answer.status == 502
                assert answer.header("x-should-retry") == "false"
                assert answer.error["code"] == "upstream_closed"
            else:
                assert answer.status == 200
        served = Counter(r.body for r in origin.requests)
    doubled = sum(count > 1 for count in served.values())
    figure("14 die: POSTs doubled", f"{doubled} of 200 ({refused} refused with 502)")
    assert doubled == 0
    assert refused == 100


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_idempotent_requests_are_repeated_once(method: str, tmp_path: Path) -> None:
    async with (
        provider(_answers_then_dies) as origin,
        inside(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        for _ in range(2):
            await wire.send(request(TOKEN, b"x", method=method))
            assert (await wire.answer()).status == 200
        assert len(origin.requests) == 3
        assert (await gateway.record(2))["attempts"] == 2


async def test_a_post_with_an_idempotency_key_is_repeated_once(tmp_path: Path) -> None:
    async with (
        provider(_answers_then_dies) as origin,
        inside(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        for _ in range(2):
            await wire.send(request(TOKEN, b"x", "Idempotency-Key: 1"))
            assert (await wire.answer()).body == b"x"
        assert len(origin.requests) == 3


async def test_nothing_is_repeated_more_than_once(tmp_path: Path) -> None:
    async def script(wire: ProviderWire) -> None:
        got = await wire.request()
        if got is not None and len(wire.origin.requests) == 1:
            await wire.ok(got.body)
            await wire.request()
        wire.reset()

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN, method="GET"))
        assert (await wire.answer()).status == 200
        await wire.send(request(TOKEN, method="GET"))
        assert (await wire.answer()).status == 502
        assert len(origin.requests) == 3


async def test_a_defect_in_a_pipelined_request_ends_that_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It begins within the call that ends the one before it, which is not to take the blame."""

    async def script(wire: ProviderWire) -> None:
        while await wire.request():
            await asyncio.sleep(0.1)  # so that the next request is here by then
            await wire.ok()

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        proxy = gateway.gateway.proxy
        arrive = proxy.arrive
        arrived: list[Exchange] = []

        def fails_later(x: Exchange) -> None:
            arrived.append(x)
            arrive(x)
            if len(arrived) == 2:
                raise RuntimeError

        monkeypatch.setattr(proxy, "arrive", fails_later)
        await wire.send(request(TOKEN) + request(TOKEN))
        assert (await wire.answer()).status == 200
        assert (await gateway.record(2))["exchange"] == arrived[1].id
        assert not proxy.live
        assert gateway.gateway.store.in_use("bot:tester") == 0
