"""What each piece of HTTP/1.1 framing does here, one behaviour each, over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.server import Gateway
from tests.security import strict
from tests.security.conftest import KEY, Start
from tests.security.recorder import Recorder, recording
from tests.security.table import AUTH, get, rq

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CL3 = b"Content-Length: 3\r\n"
_TE = b"Transfer-Encoding: chunked\r\n"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Wire:
    """A bot's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def until(self, mark: bytes) -> bytes:
        """Return what comes up to and with `mark`."""
        async with asyncio.timeout(10):
            return await self.reader.readuntil(mark)

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Return the next answer, which has a length: (status, head, body)."""
        head = await self.until(b"\r\n\r\n")
        message = strict.answers(head, [b"GET"])[0]
        lengths = message.values(b"content-length")
        async with asyncio.timeout(10):
            body = await self.reader.readexactly(int(lengths[0])) if lengths else b""
        return int(message.start[0]), head, body

    async def rest(self) -> bytes:
        """Return all that still comes; ends only where the gateway closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()


async def _open(gateway: Gateway) -> Wire:
    port = gateway.listeners.addresses[0][2]
    return Wire(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))


Pair = tuple[Wire, Recorder]


@pytest.fixture
async def pair(start: Start) -> AsyncIterator[Pair]:
    """A bot's connection, and the provider behind the gateway."""
    async with recording() as recorder, start(recorder.port, deadlines={"linger": 0.2}) as gateway:
        wire = await _open(gateway)
        yield wire, recorder
        wire.writer.transport.abort()


def _code(body: bytes) -> Any:
    parsed = json.loads(body)["error"]
    return parsed["code"]


class TestRequests:
    async def test_head_has_a_length_and_no_body(self, pair: Pair) -> None:
        wire, recorder = pair
        wire.send(rq(method=b"HEAD", target=b"/five") + get(target=b"/next"))
        first = await wire.until(b"\r\n\r\n")
        assert b"Content-Length: 5\r\n" in first
        assert (await wire.answer())[2] == b"/next"
        assert [m.start[0] for m in recorder.requests()] == [b"HEAD", b"GET"]

    async def test_websocket_is_refused_with_its_reason(self, pair: Pair) -> None:
        wire, recorder = pair
        wire.send(get(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"))
        status, _, body = await wire.answer()
        assert (status, _code(body)) == (501, "upgrade")
        assert b"upgraded connections" in body
        wire.send(get())
        assert (await wire.answer())[0] == 200
        assert len(recorder.requests()) == 1

    async def test_what_follows_a_refused_websocket_is_not_let_through(self, pair: Pair) -> None:
        wire, recorder = pair
        frames = b"\x81\x85\x00\x00\x00\x00hello"
        wire.send(get(b"Connection: Upgrade\r\nUpgrade: websocket\r\n") + frames + b"\r\n\r\n")
        assert (await wire.answer())[0] == 501
        assert (await wire.answer())[0] == 400
        assert await wire.rest() == b""
        assert not recorder.connections

    async def test_h2c_is_ignored_and_the_body_arrives(self, pair: Pair) -> None:
        wire, recorder = pair
        offer = (
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        )
        wire.send(rq(offer + _CL3, b"abc"))
        assert (await wire.answer())[0] == 200
        (message,) = recorder.requests()
        assert message.body == b"abc"
        names = {name for name, _ in message.fields}
        assert not names & {b"upgrade", b"connection", b"http2-settings"}

    async def test_continue_is_ours_to_answer(self, pair: Pair) -> None:
        wire, recorder = pair
        wire.send(rq(b"Expect: 100-continue\r\n" + _CL3))
        assert await wire.until(b"\r\n\r\n") == _CONTINUE
        wire.send(b"abc")
        assert (await wire.answer())[0] == 200
        (message,) = recorder.requests()
        assert message.body == b"abc"
        assert not message.values(b"expect")

    async def test_refused_request_is_not_invited_to_go_on(self, pair: Pair) -> None:
        wire, recorder = pair
        wire.send(rq(b"Expect: 100-continue\r\n" + _CL3).replace(AUTH, b""))
        status, head, _ = await wire.answer()
        assert status == 401
        assert b"Connection: close" in head
        assert await wire.rest() == b""
        assert not recorder.connections

    async def test_continue_means_nothing_in_http10(self, pair: Pair) -> None:
        wire, _ = pair
        wire.send(rq(b"Expect: 100-continue\r\n" + _CL3, b"abc", version=b"HTTP/1.0"))
        assert _CONTINUE not in await wire.rest()

    async def test_twenty_pipelined_are_answered_in_order(self, pair: Pair) -> None:
        wire, recorder = pair
        targets = [b"/%d" % n for n in range(20)]
        wire.send(b"".join(get(target=target) for target in targets))
        assert [(await wire.answer())[2] for _ in targets] == targets
        assert len(recorder.requests()) == 20

    async def test_pipelined_after_a_chunked_body(self, pair: Pair) -> None:
        wire, recorder = pair
        chunked = rq(_TE, b"3;e\r\nabc\r\n0\r\nX: y\r\n\r\n", target=b"/one")
        wire.send(chunked + rq(_CL3, b"def", target=b"/two") + get(target=b"/three"))
        assert [(await wire.answer())[2] for _ in range(3)] == [b"/one", b"/two", b"/three"]
        assert [m.body for m in recorder.requests()] == [b"abc", b"def", b""]

    async def test_http10_is_answered_and_closed(self, pair: Pair) -> None:
        wire, recorder = pair
        wire.send(get(b"Connection: keep-alive\r\n", version=b"HTTP/1.0"))
        answer = await wire.rest()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Connection: close\r\n" in answer
        assert b"Transfer-Encoding" not in answer
        assert recorder.requests()[0].start == (b"GET", b"/a")

    async def test_head_larger_than_allowed(self, pair: Pair) -> None:
        wire, recorder = pair
        wire.send(get(b"X-A: " + b"a" * 70_000 + b"\r\n"))
        status, _, _ = await wire.answer()
        assert status == 431
        assert await wire.rest() == b""
        assert not recorder.connections

    async def test_trailers_and_extensions_end_here(self, pair: Pair) -> None:
        wire, recorder = pair
        trailers = b"Authorization: Bearer evil\r\nX-Secret: s\r\n"
        wire.send(
            rq(b"Trailer: X-Secret\r\n" + _TE, b"3;evil=1\r\nabc\r\n0\r\n" + trailers + b"\r\n")
        )
        assert (await wire.answer())[0] == 200
        (message,) = recorder.requests()
        assert message.body == b"abc"
        assert not message.values(b"trailer")
        assert b"evil" not in recorder.connections[0] + b"".join(v for _, v in message.fields)
        assert message.values(b"authorization") == [b"Bearer " + KEY.encode()]

    @pytest.mark.parametrize(
        "name",
        [b"X-HTTP-Method-Override", b"X-Original-URL", b"X-Forwarded-Uri", b"X-Forwarded-Host",
         b"X-Rewrite-URL", b"Forwarded", b"X-Forwarded-For", b"X-Real-IP", b"Proxy-Authorization",
         b"Cookie", b"X-Host"],
    )  # fmt: skip
    async def test_header_that_would_judge_for_us_is_dropped(self, pair: Pair, name: bytes) -> None:
        wire, recorder = pair
        wire.send(get(name + b": /evil\r\n"))
        assert (await wire.answer())[0] == 200
        assert b"evil" not in recorder.connections[0]
        assert recorder.requests()[0].values(b"host") == [b"127.0.0.1:%d" % recorder.port]


class TestFinMeansGone:
    async def test_fin_before_the_body_ends(self, pair: Pair, tmp_path: Path) -> None:
        wire, recorder = pair
        wire.send(rq(b"Content-Length: 20000\r\n", b"a"))  # too large to be awaited whole
        async with asyncio.timeout(10):
            while not recorder.connections or b"\r\n\r\na" not in recorder.connections[0]:
                await recorder.arrived.wait()
                recorder.arrived.clear()
        wire.writer.write_eof()
        assert await wire.rest() == b""
        assert not recorder.requests()[0].whole
        record = await _record(tmp_path)
        assert (record["outcome"], record["status"]) == ("gone", 499)

    async def test_fin_within_a_head(self, pair: Pair) -> None:
        wire, recorder = pair
        wire.send(get()[:-3])
        wire.writer.write_eof()
        assert await wire.rest() == b""
        assert not recorder.connections


async def _record(folder: Path) -> dict[str, Any]:
    path = folder / "record.jsonl"
    async with asyncio.timeout(10):  # a thread writes it
        while not path.exists() or not path.read_bytes().endswith(b"\n"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    record: dict[str, Any] = json.loads(path.read_bytes().splitlines()[0])
    return record


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def _scripted(start: Start, script: Script) -> AsyncIterator[Wire]:
    """A bot's connection to a gateway whose provider plays `script` on each connection."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(play, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with start(port, deadlines={"linger": 1.0}) as gateway:
        wire = await _open(gateway)
        yield wire
        wire.writer.transport.abort()
    server.close()


def _saying(answer: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer)

    return script


class TestAnswers:
    async def _get(self, start: Start, answer: bytes) -> tuple[int, bytes, bytes]:
        async with _scripted(start, _saying(answer)) as wire:
            wire.send(get())
            return await wire.answer()

    async def test_two_lengths_that_agree_become_one(self, start: Start) -> None:
        answer = _OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n")
        status, head, body = await self._get(start, answer)
        assert (status, body) == (200, b"ok")
        assert head.count(b"Content-Length") == 1

    async def test_head_of_sixty_kilobytes_arrives(self, start: Start) -> None:
        answer = _OK.replace(b"\r\n", b"\r\nX-A: " + b"a" * 60_000 + b"\r\n", 1)
        status, head, body = await self._get(start, answer)
        assert (status, body) == (200, b"ok")
        assert b"a" * 60_000 in head

    @pytest.mark.parametrize(
        "line",
        [b"X-A: a\r\n b\r\n", b"X-A: a\nX-B: b\r\n", b"X-A: a\rb\r\n", b"X-A: a\x00b\r\n",
         b"X-A : b\r\n", b"X A: b\r\n", b"X-A\r\n", b"Content-Length: 3\r\n",
         b"Content-Length: +2\r\n",
         _TE, b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n",
         b"X-A: " + b"a" * 70_000 + b"\r\n"],
        ids=["fold", "bare-lf", "bare-cr", "nul", "space-before-colon", "space-in-name", "no-colon",
             "lengths-differ", "length-plus", "length-and-chunked", "gzip-chunked", "identity",
             "70-kb"],
    )  # fmt: skip
    async def test_what_can_be_read_in_two_ways_is_refused(self, start: Start, line: bytes) -> None:
        status, _, body = await self._get(start, _OK.replace(b"\r\n", b"\r\n" + line, 1))
        assert (status, _code(body)) == (502, "upstream_malformed")

    async def test_trailers_and_hop_by_hop_headers_end_here(self, start: Start) -> None:
        answer = (
            b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: evil\r\nKeep-Alive: evil\r\n"
            b"Set-Cookie: evil\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
            b"2;evil\r\nok\r\n0\r\nX-T: evil\r\n\r\n"
        )
        async with _scripted(start, _saying(answer)) as wire:
            wire.send(get())
            got = await wire.until(b"0\r\n\r\n")
        (message,) = strict.answers(got, [b"GET"])
        assert message.body == b"ok"
        assert b"evil" not in got

    async def test_early_answer_is_read_and_then_the_connection_ends(self, start: Start) -> None:
        """A 413 while the bot still uploads: it arrives, although nobody reads the upload."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
            )
            await writer.drain()

        async with _scripted(start, script) as wire:
            wire.send(rq(b"Content-Length: 1000000\r\n"))
            status, head, body = await wire.answer()
            assert (status, body) == (413, b"big")
            assert b"Connection: close\r\n" in head
            for _ in range(8):  # what was under way is still taken, and brings no reset
                wire.send(b"a" * 65_536)
            assert await wire.rest() == b""

    async def test_answer_before_a_malformed_body_is_not_followed_by_another(
        self, start: Start
    ) -> None:
        async with _scripted(start, _saying(_OK)) as wire:
            wire.send(rq(_TE))
            assert (await wire.answer())[0] == 200
            wire.send(b"zz\r\n\r\n" + get())
            assert await wire.rest() == b""


async def test_reset_of_the_bot_is_no_error(pair: Pair) -> None:
    wire, _ = pair
    wire.send(rq(_CL3, b"a"))
    sock = wire.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    wire.writer.transport.abort()
