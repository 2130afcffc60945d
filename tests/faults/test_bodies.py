"""Bodies that are read before they are sent: what they take of the memory for all, and how long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.config import load
from gateway.core.model import Token
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


@pytest.mark.asyncio
async def test_who_shows_no_token_leaves_room_for_those_who_do(tmp_path: Path) -> None:
    async def answers(wire: ProviderWire) -> None:
        while await wire.request():
            await wire.ok()

    sizes = {"peek": "100KiB", "peeks": "400KiB"}
    async with provider(answers) as origin, inside(tmp_path, origin.port, sizes=sizes) as gateway:
        path = tmp_path / "routes.yaml"
        document = json.loads(path.read_text())
        document["routes"]["read"] = {**document["routes"]["openai"], "provider": "openai", **_READ}
        document["bots"]["tester"]["allow"] = [{"route": "openai", "models": ["m"]}]
        path.write_text(json.dumps(document))
        await gateway.gateway.use(load(path, {}))
        async with contextlib.AsyncExitStack() as open_ones:
            wires = [await open_ones.enter_async_context(bot(gateway.port)) for _ in range(4)]
            for wire in wires:
                await wire.send(request("wrong", _BODY, path="/read/v1/x")[:-1])
            answered = asyncio.as_completed([wire.answer() for wire in wires[2:]])
            assert {(await one).status for one in answered} == {503}
            body = json.dumps({"model": "m", "x": "y" * 90_000}).encode()
            async with bot(gateway.port) as wire:
                await wire.send(request(TOKEN, body))
                assert (await wire.answer()).status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("route", [{}, _READ])
async def test_a_token_that_ends_while_its_body_comes_opens_nothing(
    tmp_path: Path, route: dict[str, object]
) -> None:
    async def answers(wire: ProviderWire) -> None:
        while await wire.request():
            await wire.ok()

    async with (
        provider(answers) as origin,
        inside(tmp_path, origin.port, route=route) as gateway,
        bot(gateway.port) as wire,
    ):
        store, token = gateway.gateway.store, "gwt-that-ends"
        ends = time.time() + 0.6
        await asyncio.to_thread(
            store.issue, [Token("t", sha256(token.encode()).digest(), "tester", 0.0, ends)]
        )
        await until(lambda: store.tokens)
        whole = request(token, b"x" * 1000)
        await wire.send(whole[:-1])
        await until(lambda: time.time() > ends)
        await wire.send(whole[-1:])
        assert (await wire.answer()).error["code"] == "expired_token"
        assert not origin.requests


@pytest.mark.parametrize(("model", "status"), [("gpt-5-mini", 200), ("o9", 403)])
async def test_a_long_body_is_judged_as_a_short_one(
    tmp_path: Path, model: str, status: int
) -> None:
    """It is read in a thread, and what was read is what is sent."""
    body = b'{"pad": "%b", "model": "%b"}' % (b"\\u00e9" * 100_000, model.encode())

    async def answers(wire: ProviderWire) -> None:
        while await wire.request():
            await wire.ok()

    async with (
        provider(answers) as origin,
        inside(tmp_path, origin.port, rule={"models": ["gpt-5-mini"]}) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN, body))
        assert (await wire.answer()).status == status
        assert [got.body for got in origin.requests] == ([body] if status == 200 else [])
