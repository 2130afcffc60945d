"""Freeze, revoke and expire: felt within a second by 500 open streams, and by no others."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import perf_counter, time

import pytest

from tests.faults.wire import HUNG, ProviderWire, bot, provider, request, until, until_told
from tests.support.running import ENVIRONMENT, HEAD, Running, launch

STREAMS = 500
SECOND = 1.0
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = b"9\r\ndata: x\n\n\r\n"

_CONFIGURATION = """\
routes:
  openai: {{secret: "env:OPENAI_KEY", upstream: "http://127.0.0.1:{port}", private: true}}
  other: {{provider: openai, secret: "env:OPENAI_KEY", upstream: "http://127.0.0.1:{port}",
           private: true}}
bots:
  red: {{allow: [openai, other]}}
  blue: {{allow: [openai, other]}}
"""


async def _talk(wire: ProviderWire) -> None:
    """Say something every fifth of a second, for as long as anybody listens."""
    await wire.request()
    await wire.send(_HEAD)
    while True:
        await wire.send(_CHUNK)
        await asyncio.sleep(0.2)


class Streams:
    """Open streams of one bot on one route. `ended` are the moments at which each was cut."""

    def __init__(self, running: Running, token: str, route: str) -> None:
        self._running = running
        self._request = request(token, path=f"/{route}/v1/chat/completions")
        self.opened = 0
        self.ended: list[float] = []
        self.whole = 0
        self.heard = 0

    async def follow(self) -> None:
        """Open one stream and listen until it ends."""
        async with bot(self._running.port) as wire:
            await wire.send(self._request)
            assert (await wire.head()).startswith(b"HTTP/1.1 200 ")
            self.opened += 1
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                async for _ in wire.chunks():
                    self.heard += 1
                self.whole += 1
            self.ended.append(perf_counter())


@contextlib.asynccontextmanager
async def opened(groups: Sequence[tuple[Streams, int]]) -> AsyncIterator[None]:
    """All of these streams, open at the same time."""
    loop = asyncio.get_running_loop()
    tasks = []
    try:
        for streams, count in groups:
            for begun in range(0, count, 50):
                tasks += [
                    loop.create_task(streams.follow(), name="stream")
                    for _ in range(min(50, count - begun))
                ]
                await until(lambda: streams.opened >= min(begun + 50, count), 20)  # noqa: B023
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway whose provider talks without end."""
    async with provider(_talk) as origin:
        text = HEAD + _CONFIGURATION.format(port=origin.port)
        gateway = await asyncio.to_thread(launch, tmp_path, text, ENVIRONMENT)
        yield gateway
        await asyncio.to_thread(gateway.stop)


async def _cli(running: Running, *words: str) -> float:
    """Run a command; return when it had ended."""
    await asyncio.to_thread(running.cli, *words)
    return perf_counter()


async def _assert_cut(cut: Streams, kept: Streams, count: int, moment: float) -> None:
    """Assert that `cut` all ended within a second of `moment`, incomplete, and `kept` go on."""
    await until(lambda: len(cut.ended) == count, HUNG)
    assert max(cut.ended) - moment <= SECOND
    assert cut.whole == 0, "a stream that was cut must not look complete"
    heard = kept.heard
    await until(lambda: kept.heard >= heard + 2 * count, HUNG)
    assert kept.ended == []


async def test_freezing_a_bot_cuts_its_streams_and_no_others(running: Running) -> None:
    red = Streams(running, running.token("red"), "openai")
    blue = Streams(running, running.token("blue"), "openai")
    half = STREAMS // 2
    async with opened([(red, half), (blue, half)]):
        moment = await _cli(running, "bot", "freeze", "red")
        await _assert_cut(red, blue, half, moment)
        refused = await _status(running, "red")
        assert (refused[0], refused[1]["code"]) == (403, "frozen")
        assert (await _status(running, "blue"))[0] == 200
        await _cli(running, "bot", "unfreeze", "red")
        await _eventually_answers(running, "red")
    records = await asyncio.to_thread(running.records, half, bot="red", code="frozen")
    cut = [record for record in records if record["outcome"] == "cut"]
    assert len(cut) == half


async def test_freezing_a_route_cuts_its_streams_and_no_others(running: Running) -> None:
    on_openai = Streams(running, running.token("red"), "openai")
    on_other = Streams(running, running.token("red"), "other")
    half = STREAMS // 2
    async with opened([(on_openai, half), (on_other, half)]):
        moment = await _cli(running, "bot", "freeze", "--route", "openai")
        await _assert_cut(on_openai, on_other, half, moment)


async def test_freezing_all_cuts_all(running: Running) -> None:
    red = Streams(running, running.token("red"), "openai")
    blue = Streams(running, running.token("blue"), "other")
    half = STREAMS // 2
    async with opened([(red, half), (blue, half)]):
        moment = await _cli(running, "bot", "freeze", "--all")
        await until(lambda: len(red.ended) + len(blue.ended) == STREAMS)
        assert max(red.ended + blue.ended) - moment <= SECOND
        await _cli(running, "bot", "unfreeze", "--all")
        await _eventually_answers(running, "red")


async def test_revoking_a_token_cuts_its_streams_and_no_others(running: Running) -> None:
    before = running.token("red")
    old_id = running.ids["red", "plain"]
    await asyncio.to_thread(running.issue, ["red"])
    await _eventually_answers(running, "red")
    old = Streams(running, before, "openai")
    new = Streams(running, running.token("red"), "openai")
    half = STREAMS // 2
    async with opened([(old, half), (new, half)]):
        moment = await _cli(running, "token", "revoke", old_id)
        await _assert_cut(old, new, half, moment)


async def test_an_expired_token_ends_with_its_streams(running: Running) -> None:
    issued = await asyncio.to_thread(
        running.cli, "token", "issue", "red", "--expires", "8s", "--json"
    )
    ends = time() + 8
    (fresh,) = json.loads(issued)
    old = Streams(running, running.token("red"), "openai")
    short = Streams(running, fresh["token"], "openai")
    await _eventually(running, fresh["token"])
    half = STREAMS // 2
    async with opened([(short, half), (old, half)]):
        assert not short.ended, "the streams took longer to open than the token lasts"
        moment = perf_counter() + ends - time()
        await until(lambda: len(short.ended) == half, 8 + HUNG)
        assert min(short.ended) >= moment - SECOND
        assert max(short.ended) <= moment + SECOND
        assert old.ended == []


async def _status(running: Running, name: str) -> tuple[int, dict[str, str]]:
    return await _ask(running, running.token(name))


async def _ask(running: Running, token: str) -> tuple[int, dict[str, str]]:
    """Return the status of a request, and the error of a refusal."""
    async with bot(running.port) as wire:
        await wire.send(request(token))
        head = await wire.head()
        status = int(head.split(b" ")[1])
        if status == 200:
            return status, {}
        body = await wire.reader.read(4096)
        error: dict[str, str] = json.loads(body)["error"]
        return status, error


async def _eventually_answers(running: Running, name: str) -> None:
    await _eventually(running, running.token(name))


async def _eventually(running: Running, token: str) -> None:
    """Wait, for at most a second, until the gateway knows that this token is good."""
    await until_told(lambda: _answers(running, token), SECOND)


async def _answers(running: Running, token: str) -> bool:
    await asyncio.sleep(0.1)  # whoever asks more often is taken for one who guesses
    return (await _ask(running, token))[0] == 200
