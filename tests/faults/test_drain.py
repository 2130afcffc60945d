"""SIGTERM (row 42): what is under way ends, nothing new begins, and the exit is in time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter

import pytest

from tests.faults.conftest import Figure
from tests.faults.gateways import TOKEN, apart
from tests.faults.wire import Answer, ProviderWire, bot, provider, request

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_EVENT = b"data: x\n\n"
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)
_STREAMS = 20
_LIMIT = 2.0


async def test_open_streams_end_and_the_exit_is_clean(tmp_path: Path, figure: Figure) -> None:
    going = asyncio.Event()

    async def script(wire: ProviderWire) -> None:
        await wire.request()
        await wire.send(_HEAD + _CHUNK)
        await going.wait()
        for _ in range(10):
            await wire.send(_CHUNK)
            await asyncio.sleep(0.05)
        await wire.send(b"0\r\n\r\n")

    async with (
        provider(script) as origin,
        apart(tmp_path, origin.port, deadlines={"drain": _LIMIT}) as gateway,
        bot(gateway.port) as idle,
    ):
        async with asyncio.TaskGroup() as group:
            begun = asyncio.Semaphore(0)
            streams = [group.create_task(_stream(gateway.port, begun)) for _ in range(_STREAMS)]
            for _ in streams:
                await begun.acquire()
            gateway.terminate()
            began = perf_counter()
            await idle.ended()  # an idle connection is closed at once
            closed = perf_counter() - began
            with pytest.raises(OSError, match="refused"):
                await asyncio.open_connection("127.0.0.1", gateway.port)
            going.set()
        async with asyncio.timeout(_LIMIT + 5):
            code = await gateway.process.wait()
        took = perf_counter() - began
        whole = sum(s.result().whole and s.result().body == _EVENT * 11 for s in streams)
        records = gateway.records()
    figure("42 streams whole after SIGTERM", f"{whole} of {_STREAMS}; exit {code} at {took:.2f} s")
    assert whole == _STREAMS
    assert code == 0
    assert took <= _LIMIT + 1
    assert closed < 0.5
    assert [r["outcome"] for r in records] == ["answered"] * _STREAMS


async def _stream(port: int, begun: asyncio.Semaphore) -> Answer:
    async with bot(port) as wire:
        await wire.send(request(TOKEN))
        reading = asyncio.ensure_future(wire.answer(seconds=_LIMIT + 5))
        begun.release()
        return await reading


async def test_streams_beyond_the_limit_are_cut_cleanly(tmp_path: Path, figure: Figure) -> None:
    async def script(wire: ProviderWire) -> None:
        await wire.request()
        await wire.send(_HEAD)
        while True:
            await wire.send(_CHUNK)
            await asyncio.sleep(0.05)

    async with (
        provider(script) as origin,
        apart(tmp_path, origin.port, deadlines={"drain": 1.0}) as gateway,
    ):
        async with asyncio.TaskGroup() as group:
            begun = asyncio.Semaphore(0)
            streams = [group.create_task(_stream(gateway.port, begun)) for _ in range(_STREAMS)]
            for _ in streams:
                await begun.acquire()
            gateway.terminate()
            began = perf_counter()
        async with asyncio.timeout(6):
            code = await gateway.process.wait()
        took = perf_counter() - began
        records = gateway.records()
        said = gateway.said.read_text()
    answers = [s.result() for s in streams]
    figure("42 beyond the limit", f"all cut; exit {code} at {took:.2f} s of 1.0 s")
    assert code == 0
    assert took <= 2.0
    assert all((a.status, a.whole) == (200, False) for a in answers)
    assert all(a.body == _EVENT * (len(a.body) // len(_EVENT)) for a in answers)
    assert len(records) == _STREAMS
    assert {(r["outcome"], r["code"]) for r in records} == {("cut", "stopping")}
    assert "Traceback" not in said
