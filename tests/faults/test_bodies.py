"""Bodies that are read before they are sent: what they take of the memory for all, and how long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.gateways import TOKEN, inside
from tests.faults.wire import ProviderWire, bot, provider, request, until

_BODY = b"x" * 90_000
_SIZES = {"peek": "100KiB", "peeks": "150KiB"}
_READ = {"token": ["bearer", {"form": "token"}]}
"""A token may stand in the body, so each is read whole."""


@pytest.mark.asyncio
async def test_an_answer_that_lasts_takes_no_memory_for_bodies(tmp_path: Path) -> None:
    ends = asyncio.Event()

    async def answers(wire: ProviderWire) -> None:
        while await wire.request():
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
            await ends.wait()
            await wire.send(b"ay")

    async with (
        provider(answers) as origin,
        inside(tmp_path, origin.port, sizes=_SIZES, route=_READ) as gateway,
        bot(gateway.port) as first,
        bot(gateway.port) as second,
    ):
        await first.send(request(TOKEN, _BODY))
        assert b"200" in (await first.head()).splitlines()[0]
        await second.send(request(TOKEN, _BODY))
        assert b"200" in (await second.head()).splitlines()[0]
        ends.set()
        assert await first.reader.readexactly(4) == b"okay"
        assert await second.reader.readexactly(4) == b"okay"


@pytest.mark.asyncio
async def test_a_body_that_is_being_read_takes_its_part(tmp_path: Path) -> None:
    async def answers(wire: ProviderWire) -> None:
        while await wire.request():
            await wire.ok()

    async with (
        provider(answers) as origin,
        inside(tmp_path, origin.port, sizes=_SIZES, route=_READ) as gateway,
        bot(gateway.port) as first,
        bot(gateway.port) as second,
    ):
        whole = request(TOKEN, _BODY)
        await first.send(whole[:-1])
        live = gateway.gateway.proxy.live
        await until(lambda: any(x.received == len(_BODY) - 1 for x in live))
        await second.send(whole)
        assert (await second.answer()).status == 503
        await first.send(whole[-1:])
        assert (await first.answer()).status == 200
