"""Bots that are slow, on purpose or not (rows 19 and 20): cut in time, and cheap meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter

import pytest

from tests.faults.conftest import Figure
from tests.faults.gateways import TOKEN, Running, apart, inside
from tests.faults.wire import BotWire, ProviderWire, bot, provider, request

_LIMIT = 0.4
_LATE = 0.3
"""How much later than its deadline a cut may come: the interval of looking, and a busy machine."""
_WHOLE = request(TOKEN)
_BODY_TO_COME = request(TOKEN, b"x" * 5000)[:-5000]
_CHUNKS_TO_COME = request(TOKEN, b"", "Transfer-Encoding: chunked")


async def _answers(wire: ProviderWire) -> None:
    while await wire.request():
        await wire.ok()


async def _drip(wire: BotWire, data: bytes, every: float = 0.05) -> None:
    with contextlib.suppress(OSError):
        for byte in data:
            await wire.send(bytes([byte]))
            await asyncio.sleep(every)


async def _nothing(wire: BotWire) -> None:
    pass


async def _half_a_head(wire: BotWire) -> None:
    await wire.send(_WHOLE[:30])


async def _dripping_head(wire: BotWire) -> None:
    await _drip(wire, b"POST /openai HTTP/1.1\r\n" + b"X-A: b\r\n" * 1000)


async def _head_without_body(wire: BotWire) -> None:
    await wire.send(_BODY_TO_COME)


async def _stalled_body(wire: BotWire) -> None:
    await wire.send(_BODY_TO_COME + b"x" * 100)


async def _dripping_body(wire: BotWire) -> None:
    await wire.send(_BODY_TO_COME)
    await _drip(wire, b"x" * 1000)


async def _stalled_chunks(wire: BotWire) -> None:
    await wire.send(_CHUNKS_TO_COME + b"5\r\nhel")


async def _dripping_chunks(wire: BotWire) -> None:
    await wire.send(_CHUNKS_TO_COME)
    await _drip(wire, b"1\r\nx\r\n" * 1000)


async def _used_then_idle(wire: BotWire) -> None:
    await wire.send(_WHOLE)
    assert (await wire.answer()).status == 200


async def _used_then_half_a_head(wire: BotWire) -> None:
    await _used_then_idle(wire)
    await _half_a_head(wire)


_SLOW: dict[str, tuple[Callable[[BotWire], Awaitable[None]], str, int | None]] = {
    "nothing at all": (_nothing, "idle", None),
    "half a head": (_half_a_head, "head", 408),
    "dripping head": (_dripping_head, "head", 408),
    "no body": (_head_without_body, "body", 408),
    "stalled body": (_stalled_body, "body", 408),
    "dripping body": (_dripping_body, "body", 408),
    "stalled chunks": (_stalled_chunks, "body", 408),
    "dripping chunks": (_dripping_chunks, "body", 408),
    "idle between requests": (_used_then_idle, "idle", None),
    "half a second head": (_used_then_half_a_head, "head", 408),
}


@contextlib.asynccontextmanager
async def _legitimate(gateway: Running, pause: float = 0.005) -> AsyncIterator[list[float]]:
    """A bot that goes about its business meanwhile; the seconds that each request took."""
    took: list[float] = []

    async def works() -> None:
        async with bot(gateway.port) as wire:
            while True:
                began = perf_counter()
                await wire.send(_WHOLE)
                answer = await wire.answer()
                assert answer.body == b"ok"
                took.append(perf_counter() - began)
                await asyncio.sleep(pause)

    task = asyncio.ensure_future(works())
    try:
        yield took
        assert not task.done(), "the legitimate bot was harmed"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("case", _SLOW)
async def test_slow_bot_is_cut_at_its_deadline(case: str, tmp_path: Path, figure: Figure) -> None:
    """Row 19. Every other deadline is far away, so it is the right one that cuts."""
    behave, deadline, status = _SLOW[case]
    deadlines = dict.fromkeys(["head", "idle", "body", "write", "first_byte", "stream"], 30.0)
    deadlines |= {deadline: _LIMIT, "linger": 0.2}
    async with (
        provider(_answers) as origin,
        inside(tmp_path, origin.port, deadlines=deadlines) as gateway,
        _legitimate(gateway) as took,
        bot(gateway.port) as wire,
    ):
        began = perf_counter()
        behaving = asyncio.ensure_future(behave(wire))
        if case.startswith(("idle", "half a second")):
            await behaving
            began = perf_counter()
        answer = await wire.answer()
        seconds = perf_counter() - began
        await wire.ended()
        behaving.cancel()
        assert answer.status == (status or 0)
    figure(f"19 {case}: cut after", f"{seconds:.2f} s of {_LIMIT} s; others <= {max(took):.3f} s")
    assert _LIMIT - 0.05 <= seconds <= _LIMIT + _LATE


async def test_reader_that_stops_reading_is_cut(tmp_path: Path, figure: Figure) -> None:
    """Row 19, slow read: the provider is let go when the bot takes nothing."""
    freed = asyncio.Event()

    async def script(wire: ProviderWire) -> None:
        got = await wire.request()
        if got is not None and got.body == b"big":
            wire.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
            wire.writer.write(b"x" * 50_000_000)
            await wire.ended()
            freed.set()
        while got:
            await wire.ok()
            got = await wire.request()

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines={"write": _LIMIT}) as gateway,
        _legitimate(gateway) as took,
        bot(gateway.port) as wire,
    ):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        began = perf_counter()
        await wire.send(request(TOKEN, b"big"))
        async with asyncio.timeout(5):
            await freed.wait()
        seconds = perf_counter() - began
    what = f"{seconds:.2f} s of {_LIMIT} s; others <= {max(took):.3f} s"
    figure("19 stalled reader: cut after", what)
    assert _LIMIT - 0.05 <= seconds <= _LIMIT + _LATE


def _p99(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.99)]


# As a process of its own, so that it takes no time from the bot that is measured.
_ATTACKERS = """
import socket, sys, time
port, beginnings = int(sys.argv[1]), [bytes.fromhex(text) for text in sys.argv[2:]]
open_ones = [socket.create_connection(("127.0.0.1", port)) for _ in range(500)]
for number, one in enumerate(open_ones):
    one.sendall(beginnings[number % len(beginnings)])
print("ready", flush=True)
while True:
    for one in open_ones:
        one.send(b"x")
        time.sleep(0.01)
"""


@contextlib.asynccontextmanager
async def _attacked(gateway: Running) -> AsyncIterator[None]:
    """500 slow heads and bodies, of which one goes on by a byte every 10 ms."""
    beginnings = [_WHOLE[:30].hex(), _BODY_TO_COME.hex()]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ATTACKERS, str(gateway.port), *beginnings, stdout=PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield
        assert process.returncode is None, "the attack was over too soon"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.soak  # ten per cent can only be told on a quiet machine
async def test_500_attackers_hardly_slow_a_legitimate_bot(tmp_path: Path, figure: Figure) -> None:
    """Row 19: p99 of a legitimate bot with 500 slow heads and bodies open, against without."""

    async def measured(gateway: Running) -> float:
        async with _legitimate(gateway, pause=0.001) as took, asyncio.timeout(60):
            while len(took) < 400:  # noqa: ASYNC110 a number of requests, whatever they take
                await asyncio.sleep(0.05)
        return _p99(took)

    deadlines = {"head": 60.0, "body": 60.0}  # so that none is cut while it is measured
    async with (
        provider(_answers) as origin,
        apart(tmp_path, origin.port, deadlines=deadlines) as gateway,
    ):
        quiet, attacked = [], []
        for _ in range(15):  # other work on the machine only ever adds: the best rounds count
            quiet.append(await measured(gateway))
            async with _attacked(gateway):
                attacked.append(await measured(gateway))
    best, worst = min(quiet) * 1000, min(attacked) * 1000
    figure("19 p99 with 500 attackers", f"{worst:.2f} ms, without {best:.2f} ms")
    assert worst <= best * 1.10


# Row 20

_MB = 1_000_000


async def _grown_by_a_slow_reader(folder: Path, size: int, pause: float) -> tuple[int, int]:
    """Return the bytes that came, and by how many the gateway grew at most."""
    block = b"x" * _MB

    async def script(wire: ProviderWire) -> None:
        while got := await wire.request():
            if got.body != b"big":
                await wire.ok()
                continue
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // _MB):
                await wire.send(block)

    async with (
        provider(script) as origin,
        apart(folder, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(_WHOLE)
        assert (await wire.answer()).status == 200
        gateway.forget_peak()
        before = gateway.rss
        await wire.send(request(TOKEN, b"big"))
        await wire.head()
        came = 0
        while came < size:
            piece = await wire.reader.read(4 * _MB)
            if not piece:
                break
            came += len(piece)
            await asyncio.sleep(pause)
        return came, gateway.peak - before


async def test_large_answer_to_a_slow_reader_takes_little_memory(
    tmp_path: Path, figure: Figure
) -> None:
    """Row 20, 200 MB."""
    size = 200 * _MB
    came, grown = await _grown_by_a_slow_reader(tmp_path, size, 0.005)
    figure("20 200 MB to a slow reader", f"+{grown / 2**20:.1f} MiB")
    assert came == size
    assert grown <= 8 * 2**20


@pytest.mark.full
async def test_1_gib_to_a_slow_reader_takes_little_memory(tmp_path: Path, figure: Figure) -> None:
    """Row 20, 1 GiB."""
    size = 1074 * _MB
    came, grown = await _grown_by_a_slow_reader(tmp_path, size, 0.005)
    figure("20 1 GiB to a slow reader", f"+{grown / 2**20:.1f} MiB")
    assert came == size
    assert grown <= 8 * 2**20
