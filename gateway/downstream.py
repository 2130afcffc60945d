"""Connections from bots: requests taken off the wire one at a time, answers put on it in order."""

from __future__ import annotations

import asyncio
import re
from asyncio import Transport
from typing import TYPE_CHECKING, cast

from gateway.core.clients import plain
from gateway.core.errors import Deny
from gateway.core.framing import ChunkedBody, FramingError, LengthBody
from gateway.core.referee import Referee, without_upgrade
from gateway.core.request import HeadReader, RequestHead, unread
from gateway.deadlines import NEVER

if TYPE_CHECKING:
    from gateway.door import Door
    from gateway.exchange import Exchange

_EMPTY_LINES = re.compile(rb"\A(?:\r\n)+")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Read on after a refusal: some SDKs look at no answer before all is sent, and Telegram takes 50 MB.
_LINGER = 64 * 1024 * 1024
_GRACE = 0.25
_SMALL = 16_384
_SLOWEST = 1000  # bytes a second of a request's body, over the time that silence may last


class BotConnection(asyncio.Protocol):
    """One connection from a bot. A FIN means that the bot is gone, as in nginx's proxying."""

    __slots__ = (
        "_body",
        "_closing",
        "_door",
        "_fresh",
        "_gathering",
        "_heading",
        "_held",
        "_lingered",
        "_lingering",
        "_paused",
        "_reader",
        "_referee",
        "_transport",
        "address",
        "deadline",
        "exchange",
        "listener",
        "write_paused",
    )

    def __init__(self, door: Door, listener: str = "") -> None:
        self._door = door
        self.listener = listener
        self._referee = Referee()
        self._reader = HeadReader()
        self._body: LengthBody | ChunkedBody | None = None
        self._held = b""
        self._closing = self._heading = self._lingering = self._paused = False
        self._fresh = True
        self._gathering = False
        self._lingered = 0
        self.address = ""
        self.deadline = NEVER
        self.exchange: Exchange | None = None
        self.write_paused = False

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("Transport", transport)  # uvloop's is not a subclass
        peer = transport.get_extra_info("peername")
        self.address = plain(peer[0]) if peer else ""
        self.deadline = self._door.now() + self._door.seconds.idle
        denied = self._door.enter(self)
        if denied is not None:
            self._turn_away(denied)

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        exchange, self.exchange = self.exchange, None
        self._held = b""
        self._closing = True
        if exchange is not None:
            self._door.proxy.gone(exchange)

    def pause_writing(self) -> None:
        self.write_paused = True
        self.deadline = self._door.now() + self._door.seconds.write
        if self.exchange is not None and self.exchange.provider_side is not None:
            self.exchange.provider_side.pause_reading()

    def resume_writing(self) -> None:
        self.write_paused = False
        self.deadline = self._resting_deadline()
        if self.exchange is None:
            self._go_on()
        elif self.exchange.provider_side is not None:
            self.exchange.provider_side.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._lingered += len(data)
            if self._lingered > _LINGER:
                self._transport.abort()
            return
        if self._held:
            data, self._held = self._held + data, b""
        self._advance(data)

    # What the journey asks of this side.

    def write(self, data: bytes) -> None:
        """Send bytes of the answer; what is too fast for the bot pauses the provider's side."""
        self._transport.write(data)

    def invite_body(self) -> None:
        """Answer `Expect: 100-continue`: the body is wanted (RFC 9110 10.1.1)."""
        self._transport.write(_CONTINUE)

    def pause_reading(self) -> None:
        """Stop reading the request's body: its way on is full."""
        if not self._paused and self._body is not None:
            self._paused = True
            if not self.write_paused:  # a bot that does not read its answer has a deadline still
                self.deadline = NEVER
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            if not self.write_paused:
                self.deadline = self._resting_deadline()
            self._transport.resume_reading()

    @property
    def will_close(self) -> bool:
        """Whether this connection ends with the answer under way."""
        return self._body is not None or self._closing or self._door.draining

    def done(self, close: bool) -> None:
        """The answer is written whole: take the next request, or close."""
        close = close or self.will_close
        self.exchange = None
        if close:
            self._linger()
            return
        if not self.write_paused:
            self.deadline = self._resting_deadline()
        self._go_on()

    def cut(self, framed: bool) -> None:
        """Break the connection: the answer under way cannot be completed.

        Where the answer is `framed`, what was passed on still leaves and the missing end tells
        the bot; else only a reset can tell it.
        """
        self.exchange = None
        self._closing = True
        self.deadline = self._door.now() + self._door.seconds.write
        if framed:
            self._transport.close()
        else:
            self._transport.abort()

    def drain(self) -> None:
        """Close now if nothing is under way, else with the answer.

        A connection that has carried nothing yet was opened for a request that is on its way:
        it gets a moment more.
        """
        if self.exchange is not None or self._lingering:
            return
        if self._fresh:
            self.deadline = min(self.deadline, self._door.now() + _GRACE)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Break the connection at once."""
        self._transport.abort()

    def expire(self, now: float) -> None:
        """Act on the deadline of whatever is being waited for."""
        self.deadline = NEVER
        if self.exchange is not None and self._body is not None and not self.write_paused:
            reason = "The request's body stopped coming"
            self._door.proxy.broken(self.exchange, Deny(408, "body_timeout", reason))
        elif self._heading and self.exchange is None and not self.write_paused:
            self._refuse_head(Deny(408, "head_timeout", "The request's head took too long"))
        else:
            self._transport.abort()

    # Requests.

    def _advance(self, data: bytes) -> None:
        while data and not self._lingering and not self._closing:
            if self._body is not None:
                data = self._take_body(data)
            elif self.exchange is None and not self.write_paused:
                data = self._take_head(data)
            else:
                self._hold(data)
                return

    def _go_on(self) -> None:
        self.resume_reading()
        if self._held:
            data, self._held = self._held, b""
            self._advance(data)

    def _hold(self, data: bytes) -> None:
        """Keep what came before its turn: requests while one is under way, or its answer stuck."""
        self._held = data
        if len(data) > self._door.sizes.held and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _take_head(self, data: bytes) -> bytes:
        if data.startswith(b"\r\n"):  # RFC 9112 2.2: empty lines before a request are ignored
            data = _EMPTY_LINES.sub(b"", data)
        end = data.find(b"\r\n\r\n")
        most = self._door.sizes.head
        if end < 0 or end + 4 > most:
            if len(data) >= most or end >= 0:
                reason = f"The request's head is larger than {most} bytes"
                self._refuse_head(Deny(431, "head_too_large", reason))
            elif data and not (data[:1].isalpha() or data == b"\r"):  # a TLS handshake?
                self._refuse_head(_NOT_HTTP)
            elif data:
                self._await_head(data)
            return b""
        raw = data[: end + 4]
        policy = self._door.policy
        head = self._reader.read(raw, policy.kinds, policy.snapshot.sizes.headers)
        if isinstance(head, Deny):
            self._refuse_head(head)
            return b""
        plain = without_upgrade(raw) if head.upgrading else raw
        if not self._referee.agrees(plain, not head.has_body):
            self._refuse_head(_DISAGREE)
            return b""
        return self._begin(head, data[end + 4 :])

    def _await_head(self, data: bytes) -> None:
        if not self._heading:  # the whole head has one deadline, however it drips
            self._heading = True
            self.deadline = self._door.now() + self._door.seconds.head
        self._held = data

    def _begin(self, head: RequestHead, rest: bytes) -> bytes:
        """Start the exchange of `head`, with as much of its body as came along."""
        exchange = self.exchange = self._door.exchange(self, head)
        self._heading = self._fresh = False
        self.deadline = NEVER
        if head.length > 0 and head.length == len(rest):  # the usual: all of it came along
            exchange.received = head.length
            exchange.parts.append(rest)
            if not self._referee.agrees(rest, True):
                self._door.proxy.refuse(exchange, _BROKEN)
                return b""
            rest = b""
        elif head.has_body:
            self._body = ChunkedBody() if head.chunked else LengthBody(head.length)
            self.deadline = self._door.now() + self._door.seconds.body
            try:
                payload, rest = self._feed(rest)
            except FramingError:
                self._door.proxy.refuse(exchange, _BROKEN)
                return b""
            if payload:
                exchange.parts.append(payload)
                exchange.received = len(payload)
        exchange.complete = self._body is None
        # A small body is awaited: it then leaves in one write with its head, and a refusal
        # need not cost the connection.
        self._gathering = not exchange.complete and 0 < head.length <= _SMALL and not head.expect
        if not self._gathering:
            self._door.proxy.arrive(exchange)
        return rest

    def _take_body(self, data: bytes) -> bytes:
        exchange = self.exchange
        assert exchange is not None
        # Silence has a limit, and so has dripping: each byte earns but a little more time.
        rested = self._door.now() + self._door.seconds.body
        self.deadline = min(self.deadline + len(data) / _SLOWEST, rested)
        try:
            payload, rest = self._feed(data)
        except FramingError:
            self._door.proxy.broken(exchange, _BROKEN)
            return b""
        ended = self._body is None
        if self._gathering:
            self._gather(exchange, payload, ended)
        elif payload or ended:
            self._door.proxy.body(exchange, payload, ended=ended)
        return rest

    def _gather(self, exchange: Exchange, payload: bytes, ended: bool) -> None:
        exchange.parts.append(payload)
        exchange.received += len(payload)
        if ended:
            self._gathering = False
            exchange.complete = True
            self._door.proxy.arrive(exchange)

    def _feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (payload, what follows the body); the body is over when `_body` is None."""
        body = self._body
        assert body is not None
        payload, rest = body.feed(data)
        taken = data[: len(data) - len(rest)] if rest else data
        if taken and not self._referee.agrees(taken, body.done):
            raise FramingError("llhttp reads this body otherwise")
        if body.done:
            self._body = None
            if not self.write_paused:
                self.deadline = NEVER
        return payload, rest

    def _refuse_head(self, deny: Deny) -> None:
        """Refuse what cannot be read as a request; where the next one starts is unknown."""
        self._held = b""
        self._heading = False
        self._closing = True
        self.exchange = exchange = self._door.exchange(self, unread())
        self._door.proxy.refuse(exchange, deny)

    # The end.

    def _turn_away(self, deny: Deny) -> None:
        self._transport.write(self._door.proxy.refusal_without_exchange(deny))
        if self._door.is_crowded:
            self._closing = True
            self._transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Close so that the answer arrives: an early close would reset what is in flight."""
        self._held = b""
        self._body = None
        self._closing = self._lingering = True
        self.deadline = self._resting_deadline()
        self.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _resting_deadline(self) -> float:
        seconds = self._door.seconds
        if self._lingering:
            unsent = self._transport.get_write_buffer_size()
            return self._door.now() + (seconds.write if unsent else seconds.linger)
        if self._body is not None:  # not read on: its silence is then not the bot's
            return NEVER if self._paused else self._door.now() + seconds.body
        return self._door.now() + seconds.idle if self.exchange is None else NEVER


_NOT_HTTP = Deny(
    400, "request_line", "This is not HTTP; is TLS spoken to a plain port?", repeatable=False
)
_DISAGREE = Deny(400, "ambiguous", "The request's head can be read in two ways", repeatable=False)
_BROKEN = Deny(400, "framing", "The request's body is framed wrongly", repeatable=False)
