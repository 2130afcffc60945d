"""Everything at the same time: streams, uploads, downloads and slow readers, to the byte."""

from __future__ import annotations

import asyncio
from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random
from time import perf_counter

import pytest

from tests.faults.conftest import Figure
from tests.faults.gateways import TOKEN, apart
from tests.faults.wire import BotWire, ProviderWire, bot, provider, request

_MB = 1_000_000
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_BLOCK = Random(1).randbytes(_MB)
_UPLOAD = 10
_DOWNLOAD = 50


def _event(number: int, turn: int) -> bytes:
    return b"data: %d of stream %d\n\n" % (turn, number)


class _Load:
    """What is asked of the gateway, from both ends. Bodies name the job: `stream 7 10`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.right: Counter[str] = Counter()

    async def stream(self, number: int, events: int) -> None:
        """A paced stream."""
        async with bot(self.port) as wire:
            await wire.send(request(TOKEN, b"stream %d %d" % (number, events)))
            answer = await wire.answer(seconds=60)
            expected = b"".join(_event(number, turn) for turn in range(events))
            assert answer.whole
            assert answer.body == expected
            self.right["streams"] += 1

    async def upload(self, megabytes: int) -> None:
        """A large request; the provider answers its digest."""
        async with bot(self.port) as wire:
            await wire.send(request(TOKEN, b"upload " + _BLOCK * megabytes))
            answer = await wire.answer(seconds=60)
            digest = sha256(b"upload " + _BLOCK * megabytes).hexdigest()
            assert answer.body == digest.encode()
            self.right["uploads"] += 1

    async def download(self, megabytes: int, pause: float = 0.0) -> None:
        """A large answer, read slowly where there is a pause."""
        async with bot(self.port) as wire:
            await wire.send(request(TOKEN, b"download %d" % megabytes))
            await wire.head()
            digest = sha256()
            await self._read(wire, digest.update, megabytes * _MB, pause)
            assert digest.digest() == sha256(_BLOCK * megabytes).digest()
            self.right["slow downloads" if pause else "downloads"] += 1

    async def _read(self, wire: BotWire, take: object, left: int, pause: float) -> None:
        assert callable(take)
        while left:
            piece = await wire.reader.read(_MB)
            assert piece, "cut short"
            take(piece)
            left -= len(piece)
            await asyncio.sleep(pause)


async def _provides(wire: ProviderWire) -> None:
    while got := await wire.request():
        wire.origin.requests.clear()  # they are large
        kind, *rest = got.body[:40].split(b" ")
        if kind == b"stream":
            await _streams(wire, int(rest[0]), int(rest[1]))
        elif kind == b"upload":
            await wire.ok(sha256(got.body).hexdigest().encode())
        else:
            size = int(rest[0])
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size * _MB))
            for _ in range(size):
                await wire.send(_BLOCK)


async def _streams(wire: ProviderWire, number: int, events: int) -> None:
    await wire.send(_HEAD)
    for turn in range(events):
        data = _event(number, turn)
        await wire.send(b"%x\r\n%b\r\n" % (len(data), data))
        await asyncio.sleep(0.2)
    await wire.send(b"0\r\n\r\n")


async def _run(streams: int, each: int, rounds: int, folder: Path, figure: Figure) -> None:
    most = dict.fromkeys(["total", "per_address", "per_bot", "pooled"], 10_000)
    async with (
        provider(_provides) as origin,
        apart(folder, origin.port, connections=most, log="warning") as gateway,
    ):
        load = _Load(gateway.port)
        await load.stream(0, 1)
        before = settled = gateway.rss
        began = perf_counter()
        for turn in range(rounds):
            async with asyncio.TaskGroup() as group:
                for number in range(streams):
                    group.create_task(load.stream(number, 20 if each > 1 else 5))
                for _ in range(each):
                    group.create_task(load.upload(_UPLOAD))
                    group.create_task(load.download(_DOWNLOAD))
                    group.create_task(load.download(_DOWNLOAD, pause=0.02))
            if not turn:
                settled = gateway.rss
        took = perf_counter() - began
        grown, crept = gateway.peak - before, gateway.rss - settled
        open_files = gateway.descriptors
        records = Counter(r["outcome"] for r in gateway.records())
    what = f"{dict(load.right)} right in {took:.1f} s, peak +{grown / 2**20:.1f} MiB"
    figure("load", f"{what}, after the first round +{crept / 2**20:.1f} MiB, {open_files} files")
    assert load.right["streams"] == streams * rounds + 1
    assert load.right["uploads"] == load.right["downloads"] == each * rounds
    assert load.right["slow downloads"] == each * rounds
    # Streams by row 23's measure; each large body by row 20's.
    assert grown <= streams * 40 * 1024 + each * 3 * 8 * 2**20
    assert set(records) == {"answered"}


async def test_mixed_load(tmp_path: Path, figure: Figure) -> None:
    """A small one, for every run of the tests."""
    await _run(100, 1, 1, tmp_path, figure)


@pytest.mark.full
@pytest.mark.timeout(120)
async def test_heavy_mixed_load(tmp_path: Path, figure: Figure) -> None:
    await _run(1000, 5, 1, tmp_path, figure)


@pytest.mark.soak
async def test_long_mixed_load(tmp_path: Path, figure: Figure) -> None:
    await _run(1000, 5, 20, tmp_path, figure)
