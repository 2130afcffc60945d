"""Requests built to cost much (row 21): refused or answered, in little memory and time."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.conftest import Figure
from tests.faults.gateways import TOKEN, Apart, apart
from tests.faults.wire import Answer, BotWire, ProviderWire, bot, provider, request

_MOST = 16 * 2**20
_FULL = os.environ.get("GATEWAY_TEST_ALL") == "1"


async def _answers(wire: ProviderWire) -> None:
    while got := await wire.request():
        await wire.ok(b"%d" % len(got.body))


@dataclass
class _Cost:
    """What the gateway spent meanwhile."""

    memory: int = 0
    cpu: float = 0.0

    def __str__(self) -> str:
        return f"+{self.memory / 2**20:.1f} MiB, {self.cpu:.2f} s of processor time"


@contextlib.asynccontextmanager
async def _cost(gateway: Apart) -> AsyncIterator[_Cost]:
    cost = _Cost()
    gateway.forget_peak()
    memory, cpu = gateway.rss, gateway.cpu
    yield cost
    cost.memory = gateway.peak - memory
    cost.cpu = gateway.cpu - cpu


@contextlib.asynccontextmanager
async def _warm(folder: Path) -> AsyncIterator[tuple[Apart, BotWire]]:
    async with provider(_answers) as origin, apart(folder, origin.port, log="warning") as gateway:
        async with bot(gateway.port) as wire:
            await wire.send(request(TOKEN))
            assert (await wire.answer()).status == 200
        async with bot(gateway.port) as wire:
            yield gateway, wire


async def _sent(wire: BotWire, data: bytes, seconds: float = 20.0) -> Answer:
    """Send, however far it gets, while the answer is awaited."""

    async def sends() -> None:
        with contextlib.suppress(OSError):
            await wire.send(data)

    sending = asyncio.ensure_future(sends())
    try:
        return await wire.answer(seconds=seconds)
    finally:
        sending.cancel()


_HEAD = request(TOKEN, b"")[:-2]
_BOMBS = {
    "10k headers": (_HEAD + b"".join(b"X-%d: v\r\n" % n for n in range(10_000)) + b"\r\n", 431),
    "10k headers, short": (_HEAD + b"a:\r\n" * 10_000 + b"\r\n", 431),
    "1 MB header": (_HEAD + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n", 431),
    "1 MB name": (_HEAD + b"a" * 1_000_000 + b": b\r\n\r\n", 431),
    "1 MB URL": (b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    "1 MB without a line end": (b"G" * 1_000_000, 431),
    "64 kB chunk extension": (
        request(TOKEN, b"1;" + b"a" * 64_000 + b"\r\nx\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        400,
    ),
    "100 kB of trailers": (
        request(TOKEN, b"0\r\n" + b"X-A: b\r\n" * 12_500 + b"\r\n", "Transfer-Encoding: chunked"),
        400,
    ),
}


async def test_bombs_are_refused_cheaply(tmp_path: Path, figure: Figure) -> None:
    async with _warm(tmp_path) as (gateway, _):
        for bomb, (data, status) in _BOMBS.items():
            async with bot(gateway.port) as wire, _cost(gateway) as cost:
                answer = await _sent(wire, data)
            figure(f"21 {bomb}: {answer.status}", cost)
            assert answer.status == status, bomb
            assert cost.memory <= _MOST, bomb
            await _works(gateway)


async def _works(gateway: Apart) -> None:
    async with bot(gateway.port) as wire:
        await wire.send(request(TOKEN))
        assert (await wire.answer()).status == 200


async def test_one_byte_chunks(tmp_path: Path, figure: Figure) -> None:
    """1e5 of them, 1e6 in the full tier."""
    count = 1_000_000 if _FULL else 100_000
    data = request(TOKEN, b"1\r\nx\r\n" * count + b"0\r\n\r\n", "Transfer-Encoding: chunked")
    async with _warm(tmp_path) as (gateway, wire):
        async with _cost(gateway) as cost:
            answer = await _sent(wire, data)
        figure(f"21 {count} chunks of one byte: {answer.status}", cost)
        assert (answer.status, answer.body) == (200, b"%d" % count)
        assert cost.memory <= _MOST


async def test_one_byte_chunks_of_the_provider(tmp_path: Path, figure: Figure) -> None:
    count = 1_000_000 if _FULL else 100_000

    async def script(wire: ProviderWire) -> None:
        while await wire.request():
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            await wire.send(head + b"1\r\nx\r\n" * count + b"0\r\n\r\n")

    async with (
        provider(script) as origin,
        apart(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        async with _cost(gateway) as cost:
            await wire.send(request(TOKEN))
            answer = await wire.answer(seconds=20)
        figure(f"21 {count} chunks of one byte answered", cost)
        assert (answer.status, len(answer.body), answer.whole) == (200, count, True)
        assert cost.memory <= _MOST


async def test_10k_pipelined_requests_are_answered_in_order(tmp_path: Path, figure: Figure) -> None:
    count = 10_000
    async with _warm(tmp_path) as (gateway, wire):
        async with _cost(gateway) as cost:
            data = b"".join(request(TOKEN, b"x" * (n % 7)) for n in range(count))
            sending = asyncio.ensure_future(wire.send(data))
            for number in range(count):
                answer = await wire.answer()
                assert answer.body == b"%d" % (number % 7)
            await sending
        figure(f"21 {count} pipelined", cost)
        assert cost.memory <= _MOST


@pytest.mark.parametrize("token", [TOKEN, "wrong"], ids=["carried", "refused"])
async def test_pipelined_requests_of_a_bot_that_reads_nothing(
    token: str, tmp_path: Path, figure: Figure
) -> None:
    """What is answered without being read must not pile up, whoever answers."""
    async with _warm(tmp_path) as (gateway, wire):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with _cost(gateway) as cost:
            sending = asyncio.ensure_future(wire.send(request(token, method="GET") * 200_000))
            # It ends where the gateway reads no further; that is when its queue stands still.
            await _stands_still(wire)
            sending.cancel()
        figure(f"21 pipelined and unread, {token}", cost)
        assert cost.memory <= _MOST
        await _works(gateway)


async def _stands_still(wire: BotWire) -> None:
    left = -1
    async with asyncio.timeout(20):
        while left != (left := wire.writer.transport.get_write_buffer_size()):  # noqa: ASYNC110
            await asyncio.sleep(0.5)
