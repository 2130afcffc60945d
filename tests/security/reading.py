"""Two readings of the same bytes: our strict one, and aiohttp's C parser as an oracle."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParserC

from gateway.core.errors import Deny
from gateway.core.framing import ChunkedBody, FramingError, LengthBody
from gateway.core.headers import request_kinds
from gateway.core.referee import Referee, without_upgrade
from gateway.core.request import HeadReader, RequestHead

SIZE = 65_536
HEADERS = 128


@dataclass(frozen=True)
class Message:
    """A request that was read to its end."""

    method: bytes
    target: bytes
    body: bytes


@dataclass
class Reading:
    """What was made of some bytes. `wire` are the bytes of each message, in the same order."""

    messages: list[Message]
    wire: list[bytes]
    refusal: str = ""
    """Why reading stopped; "" where more could follow."""
    begun: bytes = b""
    """A message whose head was taken and whose body has not come to its end."""


def ours(data: bytes) -> Reading:
    """Read `data` as a bot's connection would: heads, referee, bodies."""
    reading = Reading([], [])
    ours = _Ours(reading)
    while data and not reading.refusal:
        while data.startswith(b"\r\n"):
            data = data[2:]
        rest = ours.message(data)
        if rest is None:
            break
        data = rest
    return reading


class _Ours:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._kinds, self._heads, self._referee = request_kinds(), HeadReader(), Referee()

    def message(self, data: bytes) -> bytes | None:
        """Read one message; return what follows it, None where no other can."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or end > SIZE:
            return self._refuse("head_too_large" if max(end, len(data)) > SIZE else "")
        raw, rest = data[:end], data[end:]
        head = self._heads.read(raw, self._kinds, HEADERS)
        if isinstance(head, Deny):
            return self._refuse(head.code)
        plain = without_upgrade(raw) if head.upgrading else raw
        if not self._referee.agrees(plain, not head.has_body):
            return self._refuse("ambiguous")
        payload: bytes | None = b""
        if head.has_body:
            payload, rest = self._body(head, rest)
            if payload is None:
                self._reading.begun = b"" if self._reading.refusal else data
                return None
        self._reading.messages.append(Message(head.method, head.target, payload or b""))
        self._reading.wire.append(data[: len(data) - len(rest)])
        return None if head.close else rest

    def _body(self, head: RequestHead, data: bytes) -> tuple[bytes | None, bytes]:
        body = ChunkedBody() if head.chunked else LengthBody(head.length)
        try:
            payload, rest = body.feed(data)
        except FramingError:
            return self._refuse("framing"), b""
        taken = data[: len(data) - len(rest)]
        if taken and not self._referee.agrees(taken, body.done):
            return self._refuse("ambiguous"), b""
        return (payload, rest) if body.done else (None, b"")

    def _refuse(self, code: str) -> bytes | None:
        self._reading.refusal = code
        return None


class Oracle:
    """aiohttp's C parser, with the same limits on sizes as ours."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._protocol = BaseProtocol(loop)

    def reads(self, data: bytes) -> Reading:
        """Read `data` in one piece. A refusal says nothing of the messages before it."""
        parser = HttpRequestParserC(
            self._protocol, self._loop, 2**30,
            max_line_size=SIZE, max_field_size=SIZE, max_headers=HEADERS, auto_decompress=False,
        )  # fmt: skip
        reading = Reading([], [])
        try:
            messages, _, left = parser.feed_data(data)
        except (aiohttp.http.HttpProcessingError, ValueError) as error:
            reading.refusal = type(error).__name__
            return reading
        for message, payload in messages:
            if payload.exception() is not None:
                reading.refusal = type(payload.exception()).__name__
                return reading
            if not payload.is_eof() and payload._eof is False:
                return reading
            body = b"".join(payload._buffer) if hasattr(payload, "_buffer") else b""
            target = message.path.encode("utf-8", "surrogateescape")
            reading.messages.append(Message(message.method.encode(), target, body))
        if left:
            reading.refusal = "upgraded"
        return reading
