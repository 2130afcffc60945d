"""One connection to a provider: a request put on the wire, its answer taken off and judged."""

from __future__ import annotations

import asyncio
import select
from asyncio import Transport
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from gateway.core.answer import AnswerHead, Body, read_answer
from gateway.core.dechunk import Dechunker
from gateway.core.framing import FramingError
from gateway.deadlines import NEVER

if TYPE_CHECKING:
    from gateway.exchange import Exchange
    from gateway.pool import Lane, Pool

_INTERIM = 32
_HEAD = 65_536
_START = b"HTTP/1."


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong at the provider's side. `kind` is a metric label from a closed list."""

    kind: str
    detail: str
    answered: bool = False
    """Whether any byte of an answer came."""


class Carrier(Protocol):
    """Who is told of an answer: the journey."""

    def answer(self, x: Exchange, answer: AnswerHead) -> bool:
        """Take a head; False where the connection is to be dropped with its answer."""
        ...

    def relay(self, x: Exchange, data: bytes, ended: bool) -> None:
        """Take more of the body."""
        ...

    def fail(self, x: Exchange, failure: Failure) -> None:
        """Take note that no (more) answer will come."""
        ...

    def crashed(self, x: Exchange, error: Exception) -> None:
        """Take note of a defect on the way of the answer."""
        ...


class ProviderConnection(asyncio.Protocol):
    """One connection to a provider, carrying one exchange at a time."""

    __slots__ = (
        "_body",
        "_buffer",
        "_dechunker",
        "_interim",
        "_last",
        "_left",
        "_poll",
        "_pool",
        "_transport",
        "deadline",
        "exchange",
        "lane",
        "reused",
    )

    def __init__(self, pool: Pool, lane: Lane) -> None:
        self._pool = pool
        self.lane = lane
        self.exchange: Exchange | None = None
        self.reused = False
        self.deadline = NEVER
        self._buffer = b""
        self._body: Body | None = None
        self._left = 0
        self._interim = 0
        self._last = False
        self._dechunker: Dechunker | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("Transport", transport)  # uvloop's is not a subclass
        self._poll = select.poll()
        self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._pool.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.lost(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        if self._body is Body.CLOSE and exc is None:
            self._pool.carrier.relay(exchange, b"", ended=True)
        else:
            self._fail(exchange, "closed", "the provider closed the connection")

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.bot_side.pause_reading()

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.bot_side.resume_reading()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self._pool.unsolicited(self)
            return
        try:
            if self._body is None:
                data = self._take_head(exchange, data)
                if self._body is None or self.exchange is not exchange:
                    return
            self.deadline = self._pool.now() + self._pool.seconds.stream
            self._take_body(exchange, data)
        except FramingError as error:
            self.exchange = None
            self._transport.abort()
            self._fail(exchange, "malformed", str(error))
        except Exception as error:  # a defect of ours must not leave the bot waiting
            self.abandon()
            self._pool.carrier.crashed(exchange, error)

    # One exchange.

    def begin(self, exchange: Exchange, data: bytes) -> None:
        """Send the first bytes of `exchange`: its head, and what of its body is at hand."""
        self.exchange = exchange
        self._body = None
        self._buffer = b""
        self._interim = 0
        self.deadline = self._pool.now() + self._pool.seconds.first_byte
        self._transport.write(data)
        if exchange.bot_side.write_paused:
            self._transport.pause_reading()

    def send(self, data: bytes) -> None:
        """Send more of the request's body, framed already."""
        if self._body is None:
            self.deadline = self._pool.now() + self._pool.seconds.first_byte
        self._transport.write(data)

    def abandon(self) -> None:
        """Let go of the exchange and of the connection, whatever state they are in."""
        self.exchange = None
        self._transport.abort()

    def close(self) -> None:
        """Close an idle connection."""
        self._transport.close()

    def pause_reading(self) -> None:
        """Stop reading the answer: the bot is slow. Its silence is then not the provider's."""
        self.deadline = NEVER
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self.deadline = self._pool.now() + self._pool.seconds.stream
        self._transport.resume_reading()

    def is_closed(self) -> bool:
        """Return whether nothing can be sent any more."""
        return self._transport.is_closing()

    def is_usable(self) -> bool:
        """Return whether an idle connection is open and silent, by asking the kernel."""
        return not self._transport.is_closing() and not self._poll.poll(0)

    def expire(self, now: float) -> None:
        """Act on the deadline: of the pool, of the first byte, or of silence in a stream."""
        self.deadline = NEVER
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            if self._transport.is_closing():  # what it still has to send will not leave any more
                self._transport.abort()
            self._pool.expired(self)
            return
        self._transport.abort()
        if self._body is None:
            self._fail(exchange, "first_byte_timeout", "the provider did not begin to answer")
        else:
            self._fail(exchange, "stream_timeout", "the provider fell silent")

    def _fail(self, exchange: Exchange, kind: str, detail: str) -> None:
        answered = self._body is not None or bool(self._buffer) or self._interim > 0
        self._pool.carrier.fail(exchange, Failure(kind, detail, answered))

    # The answer.

    def _take_head(self, exchange: Exchange, data: bytes) -> bytes:
        """Read heads until the final one. Returns what of its body came along."""
        data = self._buffer + data if self._buffer else data
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0 or end > _HEAD:
                self._buffer = data
                if len(data) > _HEAD:
                    self._reject(exchange, "the answer's head is too large")
                elif not _START.startswith(data[: len(_START)]):
                    self._reject(exchange, "this is not HTTP/1")
                return b""
            answer = read_answer(data[: end + 4], self._pool.kinds, exchange.head.method)
            data = data[end + 4 :]
            if isinstance(answer, str):
                self._buffer = b"?"
                self._reject(exchange, answer)
                return b""
            if answer.status >= 200:
                self._accept(exchange, answer)
                return data
            self._interim += 1
            if answer.status == 101 or self._interim > _INTERIM:
                self._reject(exchange, "an upgrade nobody asked for, or too many 1xx answers")
                return b""

    def _reject(self, exchange: Exchange, detail: str) -> None:
        self.exchange = None
        self._transport.abort()
        self._fail(exchange, "malformed", detail)

    def _accept(self, exchange: Exchange, answer: AnswerHead) -> None:
        self._buffer = b""
        self._body = answer.body
        self._last = answer.close
        self._left = answer.length
        if answer.body is Body.CHUNKED:
            if self._dechunker is None:
                self._dechunker = Dechunker()
            self._dechunker.start()
        if not self._pool.carrier.answer(exchange, answer):
            self.abandon()

    def _take_body(self, exchange: Exchange, data: bytes) -> None:
        body = self._body
        if body is Body.CHUNKED:
            dechunker = self._dechunker
            assert dechunker is not None
            payload = dechunker.feed(data) if data else b""
            ended, excess = dechunker.done, dechunker.excess
        elif body is Body.LENGTH:
            left = self._left
            excess = len(data) > left
            payload = data[:left] if excess else data
            self._left = left - len(payload)
            ended = self._left == 0
        elif body is Body.NONE:
            payload, ended, excess = b"", True, bool(data)
        else:
            payload, ended, excess = data, False, False
        if ended:
            self._release(exchange, excess)
        self._pool.carrier.relay(exchange, payload, ended)

    def _release(self, exchange: Exchange, excess: bool) -> None:
        """The answer is whole: keep the connection if nothing about it is in doubt."""
        self.exchange = None
        self._body = None
        exchange.provider_side = None
        if excess:
            self._pool.unsolicited(self)
        elif self._last or not exchange.complete or self._transport.is_closing():
            self._transport.close()
        else:
            self._transport.resume_reading()
            self._pool.keep(self)
