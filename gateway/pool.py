"""All connections to providers: kept for one secret each, never reused in doubt."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core.errors import Refused
from gateway.core.headers import HeaderKinds, answer_kinds
from gateway.core.model import Origin
from gateway.deadlines import NEVER, Deadlines
from gateway.dial import Dialler
from gateway.upstream import Carrier, ProviderConnection

if TYPE_CHECKING:
    from gateway.core.model import Deadlines as Seconds

_LANES = 256


@dataclass(frozen=True, slots=True)
class LaneKey:
    """What two requests must share to share a connection: never two secrets."""

    origin: Origin
    secret: str
    """The secret's reference and version, never its value; empty for none."""
    private: bool
    ca: str | None


class Lane:
    """The idle connections of one key, newest last."""

    __slots__ = ("idle", "key")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self.idle: deque[ProviderConnection] = deque()


class Pool:
    """The connections, idle and busy, and who may use which."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        dialler: Dialler,
        deadlines: Deadlines,
        seconds: Seconds,
        most_idle: int,
    ) -> None:
        self.carrier: Carrier
        self.kinds: HeaderKinds = answer_kinds()
        self.now = loop.time
        self.seconds = seconds
        self.unsolicited_total = 0
        self._loop = loop
        self._dialler = dialler
        self._deadlines = deadlines
        self._most_idle = most_idle
        self._all: set[ProviderConnection] = set()
        self._lanes: dict[LaneKey, Lane] = {}
        self._oldest: OrderedDict[ProviderConnection, None] = OrderedDict()
        self._dials: set[asyncio.Task[None]] = set()

    def use(self, seconds: Seconds, most_idle: int) -> None:
        """Go by these deadlines and this bound from now on."""
        self.seconds = seconds
        self._most_idle = most_idle

    @property
    def idle(self) -> int:
        """How many connections wait in the pool."""
        return len(self._oldest)

    @property
    def busy(self) -> int:
        """How many connections carry an exchange."""
        return len(self._all) - len(self._oldest)

    def lane(self, key: LaneKey) -> Lane:
        """Return the lane of `key`. Whoever asks often keeps it."""
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= _LANES:
                self._lanes = {k: one for k, one in self._lanes.items() if one.idle}
            lane = self._lanes[key] = Lane(key)
        return lane

    def take(self, lane: Lane) -> ProviderConnection | Future[ProviderConnection]:
        """Return a pooled connection that is open and silent, or the promise of a new one.

        The future fails with GatewayError (502, 504). It is bounded by the connect deadline.
        """
        idle = lane.idle
        while idle:
            connection = idle.pop()
            del self._oldest[connection]
            connection.deadline = NEVER
            if connection.is_usable():
                connection.reused = True
                return connection
            connection.abandon()
        return self.dial(lane)

    def dial(self, lane: Lane) -> Future[ProviderConnection]:
        """Return the promise of a fresh connection."""
        promise: Future[ProviderConnection] = self._loop.create_future()
        task = self._loop.create_task(self._dial(lane, promise), name=f"dial {lane.key.origin}")
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)
        return promise

    async def _dial(self, lane: Lane, promise: Future[ProviderConnection]) -> None:
        key = lane.key
        try:
            connection = await self._dialler.dial(
                lambda: ProviderConnection(self, lane),
                key.origin,
                key.private,
                key.ca,
                self.seconds.connect,
            )
        except Refused as refused:
            if not promise.done():
                promise.set_exception(refused)
            return
        except Exception as error:  # a defect of ours must not leave the bot waiting
            if not promise.done():
                promise.set_exception(error)
            return
        if not promise.done():
            connection.deadline = self.now() + self.seconds.pool  # the bot may leave just now
            promise.set_result(connection)
        elif not connection.is_closed():  # the bot left meanwhile
            self.keep(connection)

    def keep(self, connection: ProviderConnection) -> None:
        """Put a connection that carries nothing into the pool; the oldest one may have to go."""
        connection.deadline = self.now() + self.seconds.pool
        connection.lane.idle.append(connection)
        self._oldest[connection] = None
        if len(self._oldest) > self._most_idle:
            oldest = next(iter(self._oldest))
            self._forget_idle(oldest)
            oldest.close()

    def close_secret(self, secret: str) -> None:
        """Close the idle connections of one secret version."""
        for connection in [c for c in self._oldest if c.lane.key.secret == secret]:
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
            connection.lane.idle.remove(connection)

    async def stop(self) -> None:
        """Close everything."""
        for task in list(self._dials):
            task.cancel()
        for connection in list(self._all):
            connection.abandon()
