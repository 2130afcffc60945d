"""Two readings of the same bytes: our strict one, and aiohttp's C parser as an oracle."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParserC  # type: ignore[attr-defined]

from gateway.core.errors import Deny
from gateway.core.framing import ChunkedBody, FramingError, LengthBody
from gateway.core.headers import request_kinds
from gateway.core.referee import Referee, without_upgrade
from gateway.core.request import HeadReader

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
    kinds, heads, referee = request_kinds(), HeadReader(), Referee()
    reading = Reading([], [])
    while data:
        while data.startswith(b"\r\n"):
            data = data[2:]
        end = data.find(b"\r\n\r\n")
        if end < 0 or end + 4 > SIZE:
            reading.refusal = "head_too_large" if max(end + 4, len(data)) > SIZE else ""
            return reading
        raw, rest = data[: end + 4], data[end + 4 :]
        head = heads.read(raw, kinds, HEADERS)
        if isinstance(head, Deny):
            reading.refusal = head.code
            return reading
        if not referee.agrees(without_upgrade(raw) if head.upgrading else raw, not head.has_body):
            reading.refusal = "ambiguous"
            return reading
        payload = b""
        if head.has_body:
            body = ChunkedBody() if head.chunked else LengthBody(head.length)
            try:
                payload, after = body.feed(rest)
            except FramingError:
                reading.refusal = "framing"
                return reading
            taken = rest[: len(rest) - len(after)]
            if taken and not referee.agrees(taken, body.done):
                reading.refusal = "ambiguous"
                return reading
            if not body.done:
                reading.begun = data
                return reading
            rest = after
        reading.messages.append(Message(head.method, head.target, payload))
        reading.wire.append(data[: len(data) - len(rest)])
        if head.close:
            break
        data = rest
    return reading


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
