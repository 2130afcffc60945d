"""However the bytes of a request or of an answer are split, the outcome is the same."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.server import Gateway
from tests.security import memory, strict
from tests.security.conftest import Start
from tests.security.table import get, rq

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_ID = re.compile(rb"[0-9a-f]{20}")
_TIMES = ("exchange", "time", "address", "first_byte", "seconds", "attempts")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-From: provider\r\n\r\nok"
_CL = b"Content-Length: 11\r\nContent-Type: application/json\r\n"
_TE = b"Transfer-Encoding: chunked\r\n"
_BODY = b"hello world"
_CHUNKED = b"5;a=b\r\nhello\r\n6\r\n world\r\n0;c\r\nX-Trailer: t\r\nX-More: u\r\n\r\n"

REQUESTS = {
    "get": get(),
    "head": rq(method=b"HEAD"),
    "post": rq(_CL, _BODY),
    "chunked": rq(_TE, _CHUNKED),
    "chunked-empty": rq(_TE, b"0\r\n\r\n"),
    "http10": get(version=b"HTTP/1.0"),
    "close": rq(b"Connection: close\r\n" + _CL, _BODY),
    "expect": rq(b"Expect: 100-continue\r\n" + _CL, _BODY),
    "h2c": rq(b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + _CL, _BODY),
    "gets": get() + get(target=b"/two"),
    "posts": rq(_CL, _BODY) + rq(_CL, b"other words", target=b"/two"),
    "same-head-other-length": rq(_CL, _BODY) + rq(_CL.replace(b"11", b"5"), b"hello"),
    "chunked-then-get": rq(_TE, _CHUNKED) + get(target=b"/two"),
    "empty-lines-between": rq(_CL, _BODY) + b"\r\n\r\n" + get(target=b"/two"),
    "refused-head": get() + get(b"X_A: 1\r\n"),
    "refused-name": get(b"X A: 1\r\n"),
    "refused-token": get().replace(b"Bearer", b"Basic") + get(target=b"/two"),
    "refused-upgrade": get(b"Connection: upgrade\r\nUpgrade: websocket\r\n") + get(target=b"/two"),
}

_HEAD = b"HTTP/1.1 200 OK\r\nX-From: provider\r\n"
ANSWERS = {
    "length": _HEAD + b"Content-Length: 11\r\n\r\nhello world",
    "empty": _HEAD + b"Content-Length: 0\r\n\r\n",
    "chunked": _HEAD + _TE + b"\r\n" + _CHUNKED,
    "chunked-empty": _HEAD + _TE + b"\r\n0\r\n\r\n",
    "until-close": _HEAD + b"\r\nhello world",
    "http10": b"HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
    "interim": b"HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + _OK,
    "204": b"HTTP/1.1 204 No Content\r\nX-From: provider\r\n\r\n",
    "304": b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 11\r\n\r\n',
    "500-close": b"HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
    "broken-head": b"HTTP/1.1 200 OK\r\nX A: b\r\n\r\n",
}


@dataclass
class Outcome:
    """All that a bot, a provider and an operator see."""

    provider: list[strict.Message] = field(default_factory=list)
    bot: list[strict.Message] = field(default_factory=list)
    closed: bool = False
    invited: int = 0


class Provider:
    """Answers every whole request on every connection, in the pieces it is told."""

    def __init__(self, loop: memory.MemoryLoop, pieces: list[bytes]) -> None:
        self.loop = loop
        self.pieces = pieces
        self.begun = {id(t): len(t.sent) for t in loop.dialled}
        self.served: dict[int, int] = {}
        self.again()

    def again(self) -> None:
        """Look after connections that are new."""
        for transport in self.loop.dialled:
            transport.wrote = partial(self.look, transport)

    def got(self, transport: memory.MemoryTransport) -> list[strict.Message]:
        """Return the requests on one connection since this provider began."""
        return strict.requests(transport.sent[self.begun.get(id(transport), 0) :])

    def look(self, transport: memory.MemoryTransport) -> None:
        """Answer what has become whole."""
        whole = sum(message.whole for message in self.got(transport))
        for _ in range(self.served.get(id(transport), 0), whole):
            self.served[id(transport)] = whole
            for piece in self.pieces:
                transport.feed(piece)
            if b"".join(self.pieces) == ANSWERS["until-close"]:
                transport.end()


async def _play(
    loop: memory.MemoryLoop, gateway: Gateway, request: list[bytes], answer: list[bytes]
) -> Outcome:
    """Carry one bot's bytes, in pieces, through a gateway to a provider and back."""
    provider = Provider(loop, answer)
    wire = memory.bot(loop, gateway)
    for piece in request:
        if not wire.closed:
            wire.feed(piece)
        await loop.quiet()
        provider.again()
        for transport in loop.dialled:
            provider.look(transport)
        await loop.quiet()
    outcome = Outcome(closed=wire.closed or wire.eof, invited=wire.sent.count(_CONTINUE))
    for transport in loop.dialled:
        outcome.provider += provider.got(transport)
    seen = _ID.sub(b"-" * 20, wire.sent.replace(_CONTINUE, b""))
    methods = [m[1] for m in re.finditer(rb"([A-Z]+) /\S* HTTP/", b"".join(request))]
    outcome.bot = strict.answers(seen, methods)
    wire.end()
    wire.close()
    await loop.quiet()
    loop.dialled = [t for t in loop.dialled if not t.closed]
    return outcome


Play = Callable[[list[bytes], list[bytes]], Awaitable[Outcome]]
Scene = Callable[[Play], Awaitable[Any]]


@pytest.fixture
def run(start: Start, tmp_path: Path) -> Callable[[Scene], list[dict[str, Any]]]:
    """Run a scene in memory; return the record of what happened in it."""

    async def whole(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, memory.MemoryLoop)
        async with start(9) as gateway:
            await scene(lambda request, answer: _play(loop, gateway, request, answer))

    def ran(scene: Scene) -> list[dict[str, Any]]:
        with asyncio.Runner(loop_factory=memory.MemoryLoop) as runner:
            runner.run(whole(scene))
        lines = (tmp_path / "record.jsonl").read_bytes().splitlines()
        return [{k: v for k, v in json.loads(x).items() if k not in _TIMES} for x in lines]

    return ran


def _splits(data: bytes) -> list[list[bytes]]:
    return [[data[:i], data[i:]] for i in range(1, len(data))]


def _same_records(records: list[dict[str, Any]], runs: int) -> None:
    each = len(records) // runs
    assert each * runs == len(records)
    for n in range(runs):
        assert records[n * each : (n + 1) * each] == records[:each]


@pytest.mark.parametrize("name", REQUESTS)
def test_request_split_anywhere(name: str, run: Callable[[Scene], list[dict[str, Any]]]) -> None:
    data = REQUESTS[name]
    splits = [[data], *_splits(data), [bytes([byte]) for byte in data]]

    async def scene(play: Play) -> None:
        whole = await play([data], [_OK])
        assert whole.bot, "nothing was answered"
        for pieces in splits:
            outcome = await play(pieces, [_OK])
            assert outcome.invited <= (name == "expect")
            outcome.invited = whole.invited
            assert outcome == whole, pieces

    _same_records(run(scene), len(splits) + 1)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("name", ANSWERS)
def test_answer_split_anywhere(
    name: str, method: bytes, run: Callable[[Scene], list[dict[str, Any]]]
) -> None:
    data = ANSWERS[name]
    if method == b"HEAD":
        data = (
            data[: data.rindex(b"\r\n\r\n", 0, 200) + 4]
            if name == "interim"
            else (data[: data.index(b"\r\n\r\n") + 4])
        )
    splits = [[data], *_splits(data), [bytes([byte]) for byte in data]]

    async def scene(play: Play) -> None:
        whole = await play([rq(method=method)], [data])
        assert len(whole.bot) == 1
        for pieces in splits:
            assert await play([rq(method=method)], pieces) == whole, pieces

    _same_records(run(scene), len(splits) + 1)


def test_broken_chunk_of_a_request_split_anywhere(
    run: Callable[[Scene], list[dict[str, Any]]],
) -> None:
    """Where the head has left before the body breaks, the provider never sees a whole request."""
    data = rq(_TE, b"5\r\nhelloX\r\n0\r\n\r\n")

    async def scene(play: Play) -> None:
        for pieces in [[data], *_splits(data)]:
            outcome = await play(pieces, [_OK])
            assert [message.start for message in outcome.bot] == [(b"400",)]
            assert outcome.closed
            assert not any(message.whole for message in outcome.provider)

    assert {record["code"] for record in run(scene)} == {"framing"}


def test_broken_chunk_of_an_answer_split_anywhere(
    run: Callable[[Scene], list[dict[str, Any]]],
) -> None:
    """What has begun cannot be refused any more: it is cut, and the bot can tell."""
    data = _HEAD + _TE + b"\r\n5\r\nhello\r\nxyz\r\n"

    async def scene(play: Play) -> None:
        for pieces in [[data], *_splits(data)]:
            outcome = await play([get()], pieces)
            (answer,) = outcome.bot
            assert answer.start == (b"502",) or (outcome.closed and not answer.whole)

    assert {r["code"] for r in run(scene)} == {"upstream_malformed", "upstream_incomplete"}
