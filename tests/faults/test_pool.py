"""Kept connections (rows 13 and 14): never another's answer, never a POST lost or doubled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import Figure
from tests.faults.gateways import TOKEN, apart, inside
from tests.faults.wire import ProviderWire, Script, bot, provider, request

_POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"


async def _at_once(wire: ProviderWire, answer: bytes) -> None:
    await wire.send(answer + _POISON)


async def _later(wire: ProviderWire, answer: bytes) -> None:
    await wire.send(answer)
    await asyncio.sleep(0)
    await wire.send(_POISON)


async def _just_in_time(wire: ProviderWire, answer: bytes) -> None:
    """When the bot has its answer, and sends its next request in the same moment."""
    await wire.send(answer)
    await asyncio.sleep(random.random() * 0.001)
    await wire.send(_POISON)


async def _in_pieces(wire: ProviderWire, answer: bytes) -> None:
    await wire.send(answer + _POISON[:20])
    await asyncio.sleep(0)
    await wire.send(_POISON[20:])


async def _line_ends(wire: ProviderWire, answer: bytes) -> None:
    await wire.send(answer + b"\r\n\r\n")
    await asyncio.sleep(0)
    await wire.send(_POISON)


_POISONERS = [_at_once, _later, _just_in_time, _in_pieces, _line_ends]
_FRAMINGS = {
    "length": lambda body: b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
    "chunked": lambda body: b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (len(body), body),
}


def _poisoner(number: int, framing: str) -> Script:
    async def script(wire: ProviderWire) -> None:
        while got := await wire.request():
            head = b"HTTP/1.1 200 OK\r\n"
            await _POISONERS[number](wire, head + _FRAMINGS[framing](got.body))

    return script


@pytest.mark.parametrize("process", [inside, apart])
async def test_unsolicited_answers_poison_nobody(
    process: object, tmp_path: Path, figure: Figure
) -> None:
    """Row 13. Every bot gets its own nonce back, or an error; 1,000 attempts for each process."""
    poisoned = refused = attempts = 0
    assert callable(process)
    for number in range(len(_POISONERS)):
        for framing in _FRAMINGS:
            folder = tmp_path / f"{number}-{framing}"
            folder.mkdir()
            async with (
                provider(_poisoner(number, framing)) as origin,
                process(folder, origin.port) as gateway,
                bot(gateway.port) as wire,
            ):
                for turn in range(100):
                    nonce = b"nonce-%d" % turn
                    await wire.send(request(TOKEN, nonce))
                    answer = await wire.answer()
                    attempts += 1
                    refused += answer.status == 502
                    poisoned += answer.status == 200 and answer.body != nonce
                assert len({r.body for r in origin.requests}) == len(origin.requests)
    figure("13 poisoned", f"{poisoned} of {attempts} ({refused} refused with 502)")
    assert poisoned == 0
    assert attempts == 1000


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
