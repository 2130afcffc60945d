"""Very many streams (row 23), and more connections than there are file descriptors (row 24)."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections import Counter
from pathlib import Path
from time import perf_counter

import aiohttp
import pytest

from tests.faults.conftest import Figure
from tests.faults.gateways import TOKEN, Apart, apart
from tests.faults.wire import BotWire, ProviderWire, bot, provider, request, until, until_told

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_EVENT = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)


class _Streams:
    """Streams that all are open before the first goes on, and their figures."""

    def __init__(self, count: int, events: int) -> None:
        self.count = count
        self.events = events
        self.opened = 0
        self.whole = 0
        self.starved = 0.0
        """The longest time that any stream waited for an event beyond the pace."""
        self.going = asyncio.Event()

    async def script(self, wire: ProviderWire) -> None:
        """The provider's side: an event a second."""
        await wire.request()
        await wire.send(_HEAD + _CHUNK)
        await self.going.wait()
        for _ in range(self.events - 1):
            wire.writer.write(_CHUNK)
            await asyncio.sleep(1.0)
        wire.writer.write(b"0\r\n\r\n")
        await wire.ended()

    async def stream(self, port: int) -> None:
        """The bot's side."""
        async with bot(port) as wire:
            await wire.send(request(TOKEN))
            head = await wire.head()
            assert head.startswith(b"HTTP/1.1 200 ")
            await self._read(wire)

    async def _read(self, wire: BotWire) -> None:
        got = 0
        last = 0.0
        async for piece in wire.chunks():
            got += piece.count(_EVENT)
            now = perf_counter()
            if not last:
                self.opened += 1
                await self.going.wait()
                now = perf_counter()
            elif got > 2:
                self.starved = max(self.starved, now - last - 1.0)
            last = now
        self.whole += got == self.events


async def _run(count: int, folder: Path, figure: Figure) -> None:
    streams = _Streams(count, 4)
    most = dict.fromkeys(["total", "per_address", "per_bot", "pooled"], 20_000)
    async with (
        provider(streams.script) as origin,
        apart(folder, origin.port, connections=most, log="warning") as gateway,
    ):
        async with bot(gateway.port) as wire:  # warm
            await wire.send(request("wrong"))
            await wire.answer()
        before = gateway.rss
        async with asyncio.TaskGroup() as group:
            for start in range(0, count, 200):
                for _ in range(min(200, count - start)):
                    group.create_task(streams.stream(gateway.port))
                await until(lambda: streams.opened >= min(start + 200, count), 30)  # noqa: B023
            each = (gateway.rss - before) / count / 1024
            cpu = gateway.cpu
            streams.going.set()
        cpu = gateway.cpu - cpu
    what = f"{streams.whole} whole, {each:.1f} KiB each, starved {streams.starved:.2f} s at most"
    figure(f"23 {count} streams", f"{what}, {cpu:.2f} s of processor time")
    assert streams.whole == count
    assert each <= 40
    assert streams.starved <= 1.0


async def test_1000_streams(tmp_path: Path, figure: Figure) -> None:
    await _run(1000, tmp_path, figure)


@pytest.mark.full
@pytest.mark.timeout(120)
async def test_5000_streams(tmp_path: Path, figure: Figure) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= 12_000, "this needs 12,000 file descriptors"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        await _run(5000, tmp_path, figure)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Row 24


async def _answers(wire: ProviderWire) -> None:
    while await wire.request():
        await wire.ok()


async def _knocks(gateway: Apart) -> str:
    """Connect and ask; return the status, or how the connection was refused."""
    try:
        async with bot(gateway.port) as wire:
            await wire.send(request(TOKEN))
            answer = await wire.answer(seconds=2.0)
            return str(answer.status or "closed")
    except (OSError, TimeoutError) as error:
        return type(error).__name__


async def _is_served(gateway: Apart) -> bool:
    return await _knocks(gateway) == "200"


async def _is_ready(gateway: Apart, session: aiohttp.ClientSession) -> bool:
    return (await gateway.readiness(session))[0] == 200


async def test_running_out_of_file_descriptors(tmp_path: Path, figure: Figure) -> None:
    """Row 24: 120 connections, 64 file descriptors."""
    async with (
        provider(_answers) as origin,
        apart(tmp_path, origin.port, files=64) as gateway,
        aiohttp.ClientSession() as scraper,  # as Prometheus does, on one connection
    ):
        assert await gateway.readiness(scraper) == (
            200,
            {"ready": True, "not_ready": {}, "notes": {}},
        )
        quiet = gateway.said.read_bytes().count(b"\n")
        began = perf_counter()
        async with contextlib.AsyncExitStack() as stack:
            answers, wires = await _crowd(stack, gateway, 120)
            ready, why = await gateway.readiness(scraper)
            served = await _all_at_once(wires)
            during: Counter[str] = Counter()
            while (crowded := perf_counter() - began) < 2.0:
                during[await _knocks(gateway)] += 1
            lines = gateway.said.read_bytes().count(b"\n") - quiet
        left = perf_counter()
        await until_told(lambda: _is_served(gateway))
        await until_told(lambda: _is_ready(gateway, scraper))
        recovered = perf_counter() - left
        assert gateway.process.returncode is None
    figure("24 of 120 connections", dict(answers))
    figure("24 while full", f"ready {ready}, others get {dict(during)}")
    figure("24 those inside, while full", dict(served))
    figure("24 log lines", f"{lines} in {crowded:.1f} s")
    figure("24 recovered after", f"{recovered:.2f} s")
    assert (ready, why["not_ready"]) == (503, {"connections": "no room for more"})
    assert served == {200: answers["200"]}
    assert answers["200"] >= 4
    assert answers["503"] >= 1
    assert set(answers) <= {"200", "503", "closed", "ConnectionResetError"}
    assert set(during) <= {"503", "closed", "ConnectionResetError"}
    assert lines <= max(1.0, crowded)
    assert recovered <= 2.0


async def _crowd(
    stack: contextlib.AsyncExitStack, gateway: Apart, count: int
) -> tuple[Counter[str], list[BotWire]]:
    """Open connections and keep them; return what each was told, and those that were served."""
    answers: Counter[str] = Counter()
    served = []
    for _ in range(count):
        try:
            wire = await stack.enter_async_context(bot(gateway.port))
            await wire.send(request(TOKEN))
            status = (await wire.answer()).status
            answers[str(status or "closed")] += 1
            if status == 200:
                served.append(wire)
        except OSError as error:
            answers[type(error).__name__] += 1
    return answers, served


async def _all_at_once(wires: list[BotWire]) -> Counter[int]:
    """Ask on every connection in the same moment: each needs a connection to the provider."""
    for wire in wires:
        await wire.send(request(TOKEN))
    return Counter([(await wire.answer()).status for wire in wires])


async def test_its_own_cap_is_kept_and_explained(tmp_path: Path, figure: Figure) -> None:
    """Row 24: above `connections.total` a bot reads 503, and above `per_address` 429."""
    for limit, status in (("total", "503"), ("per_address", "429")):
        folder = tmp_path / limit
        folder.mkdir()
        async with (
            provider(_answers) as origin,
            apart(folder, origin.port, connections={limit: 10}) as gateway,
        ):
            async with contextlib.AsyncExitStack() as stack:
                answers, _ = await _crowd(stack, gateway, 30)
            figure(f"24 above {limit}: 10", dict(answers))
            assert answers == {"200": 10, status: 20}
            await until_told(lambda: _is_served(gateway))
