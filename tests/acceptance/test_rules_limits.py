"""Limits at work: races admit exactly the limit, and who waits as told is let through at once."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from time import perf_counter, sleep

import pytest

from tests.faults.wire import Answer, bot, request, until
from tests.support.asking import Ask, Reply
from tests.support.running import ROUTES, Running, eventually

RACERS = 200
CEILING = 20
AT_ONCE = 7
EARLY = 0.02
"""Seconds before the right moment at which a request is still refused."""

LIMITS = """\
  narrow: {provider: generic, secret: "env:ECHO_KEY", upstream: "{demo}/echo", private: true,
           limits: [{requests: 20, per: minute}]}
  tight: {provider: generic, secret: "env:ECHO_KEY", upstream: "{demo}/echo", private: true,
          limits: [{concurrency: 7}]}
labels:
  few: {limits: [{requests: 20, per: minute}]}
  seven: {limits: [{concurrency: 7}]}
bots:
  alone: {allow: [echo], limits: [{requests: 20, per: minute}]}
  even: {allow: [echo], limits: [{requests: 6, per: minute, burst: 20}]}
  ada: {labels: [few], allow: [echo]}
  bob: {labels: [few], allow: [echo]}
  gina: {labels: [seven], allow: [echo]}
  hugo: {labels: [seven], allow: [echo]}
  cleo: {allow: [echo, narrow, tight]}
  dora: {allow: [echo, narrow, tight]}
  single: {allow: [echo], limits: [{concurrency: 7}]}
  quick: {allow: [echo], limits: [{requests: 2, per: second}]}
  paced: {allow: [echo], limits: [{requests: 5, per: second, burst: 2}]}
  many: {allow: [echo], limits: [{requests: 20, per: minute}, {requests: 50, per: hour}]}
  kept: {allow: [echo], limits: [{requests: 20, per: minute}]}
"""
EVERYTHING = ("{requests: 20, per: minute}", "{concurrency: 7}")


@pytest.fixture(scope="module")
def running(launcher: Callable[..., Running]) -> Running:
    return launcher(ROUTES + LIMITS, more="reload: 3600\n")  # by signal alone


@pytest.fixture(scope="module")
def capped(launcher: Callable[..., Running]) -> list[Running]:
    """Two gateways with a limit on everything: one of requests, one of concurrency."""
    return [launcher(ROUTES + LIMITS, more=f"limits: [{limit}]\n") for limit in EVERYTHING]


def asks(running: Running, bots: Sequence[str], path: str) -> list[bytes]:
    """Return a request for each racer, the bots in turn."""
    tokens = [running.token(name) for name in bots]
    return [request(tokens[n % len(tokens)], method="GET", path=path) for n in range(RACERS)]


async def race(port: int, requests: Sequence[bytes]) -> list[Answer]:
    """Send all of them at the same time, on connections that are open already."""
    gate = asyncio.Event()
    ready = 0

    async def one(data: bytes) -> Answer:
        nonlocal ready
        async with bot(port) as wire:
            ready += 1
            await gate.wait()
            await wire.send(data)
            return await wire.answer("GET", seconds=20)

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(one(data), name="racer") for data in requests]
    await until(lambda: ready == len(tasks), 20)
    gate.set()
    return await asyncio.gather(*tasks)


async def race_for_requests(running: Running, bots: list[str], route: str) -> list[Answer]:
    answers = await race(running.port, asks(running, bots, f"/{route}/x"))
    assert Counter(one.status for one in answers) == {200: CEILING, 429: RACERS - CEILING}
    refused = [one for one in answers if one.status == 429]
    assert {one.error["code"] for one in refused} == {"rate_limit"}
    return refused


@pytest.mark.parametrize(
    ("bots", "route"),
    [
        (["alone"], "echo"),
        (["even"], "echo"),
        (["ada", "bob"], "echo"),
        (["cleo", "dora"], "narrow"),
    ],
    ids=["bot", "bot with a burst", "label", "route"],
)
async def test_a_race_for_requests_admits_exactly_the_limit(
    running: Running, bots: list[str], route: str
) -> None:
    await race_for_requests(running, bots, route)


async def test_a_race_for_requests_of_everything(capped: list[Running]) -> None:
    refused = await race_for_requests(capped[0], ["alone", "dora"], "echo")
    waits = [int(one.header("retry-after-ms") or 0) for one in refused]
    assert min(waits) > 40_000, "all twenty came at once, so all wait for the same moment"


class Holders:
    """Racers for streams that do not end: some hold theirs, the others are refused."""

    def __init__(self, running: Running, bots: list[str], route: str) -> None:
        self.running = running
        self.requests = asks(running, bots, f"/{route}/sse?events=100000&interval=5")
        self.held = 0
        self.refused: list[Answer] = []
        self._over = asyncio.Event()

    async def hold(self, data: bytes) -> None:
        async with bot(self.running.port) as wire:
            await wire.send(data)
            head = await wire.head()
            if head.startswith(b"HTTP/1.1 200 "):
                self.held += 1
                await self._over.wait()
                return
            self.refused.append(Answer(int(head.split(b" ")[1]), head, await wire.reader.read(999)))

    async def race(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self.hold(data), name="holder") for data in self.requests]
        await until(lambda: self.held + len(self.refused) == RACERS, 20)
        assert self.held == AT_ONCE
        assert {(a.status, a.error["code"]) for a in self.refused} == {(429, "concurrency_limit")}
        assert not [a for a in self.refused if a.header("retry-after")], "nobody knows how long"
        self._over.set()
        await asyncio.gather(*tasks)


async def race_for_places(running: Running, bots: list[str], route: str) -> None:
    for _ in range(2):  # once more: every place is free again
        await Holders(running, bots, route).race()
        idle = lambda: not running.metrics()["gateway_open_exchanges"]  # noqa: E731
        await asyncio.to_thread(eventually, idle, "end of all streams")


@pytest.mark.parametrize(
    ("bots", "route"),
    [(["single"], "echo"), (["gina", "hugo"], "echo"), (["cleo", "dora"], "tight")],
    ids=["bot", "label", "route"],
)
async def test_a_race_for_places_holds_exactly_the_limit(
    running: Running, bots: list[str], route: str
) -> None:
    await race_for_places(running, bots, route)


async def test_a_race_for_places_of_everything(capped: list[Running]) -> None:
    await race_for_places(capped[1], ["alone", "dora"], "echo")


# Waiting as told


def get(running: Running, name: str) -> Reply:
    return Ask(name, "GET", "/echo/x").of(running)


def exhausted(running: Running, name: str) -> tuple[Reply, float]:
    """Ask until it is refused; return that refusal and when it may be repeated."""
    for _ in range(100):
        reply = get(running, name)
        told = perf_counter()
        if reply.status == 429:
            return reply, told + int(reply.headers["retry-after-ms"]) / 1000
        assert reply.status == 200
    raise AssertionError("never refused")


def too_early(running: Running, name: str) -> bool | None:
    """Whether one that comes too early by `EARLY` is refused; None where it came too late."""
    _, due = exhausted(running, name)
    sleep(max(due - EARLY - perf_counter(), 0))
    reply = get(running, name)
    return None if perf_counter() >= due else reply.status == 429


@pytest.mark.parametrize("name", ["quick", "paced"])
def test_who_waits_as_told_is_let_through_at_once(running: Running, name: str) -> None:
    for _ in range(3):
        refusal, due = exhausted(running, name)
        milliseconds = int(refusal.headers["retry-after-ms"])
        assert 0 < milliseconds <= 1000
        assert refusal.headers["retry-after"] == "1"
        assert f"repeat this one in {milliseconds / 1000:.3f} seconds" in refusal.body.decode()
        sleep(max(due - perf_counter(), 0))
        assert get(running, name).status == 200


@pytest.mark.parametrize("name", ["quick", "paced"])
def test_who_comes_too_early_is_refused(running: Running, name: str) -> None:
    """Judged only where the answer was there before its moment, for others use this machine."""
    judged = [one for _ in range(5) if (one := too_early(running, name)) is not None]
    assert judged
    assert all(judged)


# What a bot is told


def test_headers_tell_what_is_left(running: Running) -> None:
    replies = [get(running, "many") for _ in range(CEILING + 1)]
    for number, reply in enumerate(replies[:-1], 1):
        left = re.fullmatch(r'"minute";r=(\d+);t=(\d+)', reply.headers["ratelimit"])
        assert left is not None
        assert int(left[1]) == CEILING - number
        assert 50 <= int(left[2]) <= 60
        assert "ratelimit-policy" not in reply.headers
    refusal = replies[-1]
    assert refusal.status == 429
    assert refusal.headers["ratelimit"] == f'"minute";r=0;t={refusal.headers["retry-after"]}'
    assert refusal.headers["ratelimit-policy"] == '"minute";q=20;w=60, "hour";q=50;w=3600'
    assert refusal.headers["x-should-retry"] == "true"


# Reload


def test_counters_survive_a_reload_and_another_ceiling(running: Running) -> None:
    text = running.config.read_text()

    def admitted(count: int) -> int:
        statuses = Counter(get(running, "kept").status for _ in range(count))
        assert set(statuses) <= {200, 429}
        return statuses[200]

    def reload(ceiling: int) -> None:
        good = running.reloads()[0]
        entry = "kept: {allow: [echo], limits: [{requests: %d, "
        running.config.write_text(text.replace(entry % 20, entry % ceiling))
        running.hang_up()
        eventually(lambda: running.reloads()[0] > good, "reload")

    assert admitted(15) == 15
    reload(20)
    assert admitted(10) == 5
    reload(30)
    assert admitted(15) == 10
    reload(5)
    assert admitted(5) == 0
    reload(31)
    assert admitted(5) == 1, "what was refused is counted nowhere"
