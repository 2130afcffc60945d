"""Connections to providers: dialled with care, kept for one secret each, never reused in doubt."""

from __future__ import annotations

import asyncio
import select
from asyncio import AbstractEventLoop, Future, Transport
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from gateway.core.answer import AnswerHead, Body, read_answer
from gateway.core.dechunk import Dechunker
from gateway.core.errors import Refused
from gateway.core.framing import FramingError
from gateway.core.headers import HeaderKinds, answer_kinds
from gateway.core.model import Origin
from gateway.deadlines import NEVER, Deadlines
from gateway.dial import Dialler

if TYPE_CHECKING:
    from gateway.core.model import Deadlines as Seconds
    from gateway.exchange import Exchange
    from gateway.proxy import Proxy

_INTERIM = 32
_HEAD = 65_536
_START = b"HTTP/1."
_POOLS = 256


@dataclass(frozen=True, slots=True)
class PoolKey:
    """What two requests must share to share a connection: never two secrets."""

    origin: Origin
    secret: str
    """The secret's reference and version, never its value; empty for none."""
    private: bool
    ca: str | None


class Pool:
    """The idle connections of one key, newest last."""

    __slots__ = ("idle", "key")

    def __init__(self, key: PoolKey) -> None:
        self.key = key
        self.idle: deque[ProviderConnection] = deque()


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong at the provider's side. `kind` is a metric label from a closed list."""

    kind: str
    detail: str
    answered: bool = False
    """Whether any byte of an answer came."""


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
        "_transport",
        "_upstream",
        "deadline",
        "exchange",
        "pool",
        "reused",
    )

    def __init__(self, upstream: Upstream, pool: Pool) -> None:
        self._upstream = upstream
        self.pool = pool
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
        self._upstream.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.lost(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        if self._body is Body.CLOSE and exc is None:
            self._upstream.proxy.relay(exchange, b"", ended=True)
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
            self._upstream.unsolicited(self)
            return
        if self._body is None:
            data = self._take_head(exchange, data)
            if self._body is None or self.exchange is not exchange:
                return
        self.deadline = self._upstream.now() + self._upstream.seconds.stream
        try:
            self._take_body(exchange, data)
        except FramingError as error:
            self.exchange = None
            self._transport.abort()
            self._fail(exchange, "malformed", str(error))

    # One exchange.

    def begin(self, exchange: Exchange, data: bytes) -> None:
        """Send the first bytes of `exchange`: its head, and what of its body is at hand."""
        self.exchange = exchange
        self._body = None
        self._buffer = b""
        self._interim = 0
        self.send(data)
        if exchange.bot_side.write_paused:
            self._transport.pause_reading()

    def send(self, data: bytes) -> None:
        """Send more of the request's body, framed already."""
        if self._body is None:
            self.deadline = self._upstream.now() + self._upstream.seconds.first_byte
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
        self.deadline = self._upstream.now() + self._upstream.seconds.stream
        self._transport.resume_reading()

    def is_usable(self) -> bool:
        """Return whether an idle connection is open and silent, by asking the kernel."""
        return not self._transport.is_closing() and not self._poll.poll(0)

    def expire(self, now: float) -> None:
        """Act on the deadline: of the pool, of the first byte, or of silence in a stream."""
        self.deadline = NEVER
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            self._upstream.expired(self)
            return
        self._transport.abort()
        if self._body is None:
            self._fail(exchange, "first_byte_timeout", "the provider did not begin to answer")
        else:
            self._fail(exchange, "stream_timeout", "the provider fell silent")

    def _fail(self, exchange: Exchange, kind: str, detail: str) -> None:
        answered = self._body is not None or bool(self._buffer) or self._interim > 0
        self._upstream.proxy.fail(exchange, Failure(kind, detail, answered))

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
            answer = read_answer(data[: end + 4], self._upstream.kinds, exchange.head.method)
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
        if not self._upstream.proxy.answer(exchange, answer):
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
        self._upstream.proxy.relay(exchange, payload, ended)

    def _release(self, exchange: Exchange, excess: bool) -> None:
        """The answer is whole: keep the connection if nothing about it is in doubt."""
        self.exchange = None
        self._body = None
        exchange.provider_side = None
        if excess:
            self._upstream.unsolicited(self)
        elif self._last or not exchange.complete or self._transport.is_closing():
            self._transport.close()
        else:
            self._transport.resume_reading()
            self._upstream.keep(self)


class Upstream:
    """All connections to providers: the pool, and who may use which."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        dialler: Dialler,
        deadlines: Deadlines,
        seconds: Seconds,
        most_idle: int,
    ) -> None:
        self.proxy: Proxy
        self.kinds: HeaderKinds = answer_kinds()
        self.now = loop.time
        self.seconds = seconds
        self.unsolicited_total = 0
        self._loop = loop
        self._dialler = dialler
        self._deadlines = deadlines
        self._most_idle = most_idle
        self._all: set[ProviderConnection] = set()
        self._pools: dict[PoolKey, Pool] = {}
        self._oldest: OrderedDict[ProviderConnection, None] = OrderedDict()
        self._dials: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> int:
        """How many connections wait in the pool."""
        return len(self._oldest)

    @property
    def busy(self) -> int:
        """How many connections carry an exchange."""
        return len(self._all) - len(self._oldest)

    def pool(self, key: PoolKey) -> Pool:
        """Return the pool of `key`. Whoever asks often keeps it."""
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= _POOLS:
                self._pools = {k: p for k, p in self._pools.items() if p.idle}
            pool = self._pools[key] = Pool(key)
        return pool

    def take(self, pool: Pool) -> ProviderConnection | Future[ProviderConnection]:
        """Return a pooled connection that is open and silent, or the promise of a new one.

        The future fails with GatewayError (502, 504). It is bounded by the connect deadline.
        """
        idle = pool.idle
        while idle:
            connection = idle.pop()
            del self._oldest[connection]
            connection.deadline = NEVER
            if connection.is_usable():
                connection.reused = True
                return connection
            connection.abandon()
        return self.dial(pool)

    def dial(self, pool: Pool) -> Future[ProviderConnection]:
        """Return the promise of a fresh connection."""
        promise: Future[ProviderConnection] = self._loop.create_future()
        task = self._loop.create_task(self._dial(pool, promise), name=f"dial {pool.key.origin}")
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)
        return promise

    async def _dial(self, pool: Pool, promise: Future[ProviderConnection]) -> None:
        key = pool.key
        try:
            connection = await self._dialler.dial(
                lambda: ProviderConnection(self, pool),
                key.origin,
                key.private,
                key.ca,
                self.seconds.connect,
            )
        except Refused as refused:
            if not promise.done():
                promise.set_exception(refused)
            return
        if promise.done():  # the bot left meanwhile
            self.keep(connection)
        else:
            promise.set_result(connection)

    def keep(self, connection: ProviderConnection) -> None:
        """Put a connection that carries nothing into the pool; the oldest one may have to go."""
        connection.deadline = self.now() + self.seconds.pool
        connection.pool.idle.append(connection)
        self._oldest[connection] = None
        if len(self._oldest) > self._most_idle:
            oldest = next(iter(self._oldest))
            self._forget_idle(oldest)
            oldest.close()

    def close_secret(self, secret: str) -> None:
        """Close the idle connections of one secret version."""
        for connection in [c for c in self._oldest if c.pool.key.secret == secret]:
            self._forget_idle(connection)
            connection.close()

    def opened(self, connection: ProviderConnection) -> None:
        """Note a new connection."""
        self._all.add(connection)
        self._deadlines.watch(connection)

    def lost(self, connection: ProviderConnection) -> None:
        """Note that a connection is gone."""
        self._all.discard(connection)
        self._deadlines.forget(connection)
        self._forget_idle(connection)

    def expired(self, connection: ProviderConnection) -> None:
        """Close a connection that has waited in the pool for too long."""
        self._forget_idle(connection)
        connection.close()

    def unsolicited(self, connection: ProviderConnection) -> None:
        """Drop a connection that sent what nobody asked for: it must not answer anyone."""
        self.unsolicited_total += 1
        self._forget_idle(connection)
        connection.abandon()

    def _forget_idle(self, connection: ProviderConnection) -> None:
        if connection in self._oldest:
            del self._oldest[connection]
            connection.pool.idle.remove(connection)

    async def stop(self) -> None:
        """Close everything."""
        for task in list(self._dials):
            task.cancel()
        for connection in list(self._all):
            connection.abandon()
