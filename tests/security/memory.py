"""A gateway on transports in memory: what arrives, and in which pieces, is exact."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from gateway.downstream import BotConnection
from gateway.server import Gateway


class MemoryTransport(asyncio.Transport):
    """One end of a connection: keeps what is written, delivers what is fed while reading."""

    def __init__(self, loop: MemoryLoop, protocol: asyncio.Protocol) -> None:
        # From an address of its own: one address may show only so many wrong tokens.
        address = str(IPv4Address("127.0.0.1") + next(loop.addresses))
        super().__init__({"peername": (address, 9), "socket": loop.silent})
        self._loop = loop
        self._protocol = protocol
        self._waiting: list[bytes] = []
        self._paused = False
        self.sent = b""
        self.eof = self.closed = False
        self.wrote: Callable[[], None] = lambda: None
        protocol.connection_made(self)

    def feed(self, data: bytes) -> None:
        """Deliver bytes from the other end, as one segment, once the protocol reads."""
        self._waiting.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self._waiting and not self._paused and not self.closed:
            self._protocol.data_received(self._waiting.pop(0))

    def end(self) -> None:
        """The other end closes."""
        if not self.closed:
            keep = self._protocol.eof_received()
            if not keep:
                self.close()

    def write(self, data: Any) -> None:
        if not self.closed:
            assert not self.eof, "a write after the end"
            self.sent += data
            self._loop.call_soon(self.wrote)

    def write_eof(self) -> None:
        self.eof = True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._deliver)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close


class MemoryLoop(asyncio.SelectorEventLoop):
    """An event loop whose outgoing connections stay in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.silent, self._other = socket.socketpair()
        """A socket that is open and never readable, for whoever asks the kernel."""
        self.dialled: list[MemoryTransport] = []
        self.addresses = itertools.count()

    async def create_connection(  # type: ignore[override]
        self, factory: Any, *address: Any, **options: Any
    ) -> Any:
        """Connect to nothing: `dialled` has the transport."""
        protocol = factory()
        transport = MemoryTransport(self, protocol)
        self.dialled.append(transport)
        return transport, protocol

    async def quiet(self) -> None:
        """Return when nothing is left to run but what a timer will start."""
        await asyncio.sleep(0)
        while self._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 no event tells
            await asyncio.sleep(0)

    def close(self) -> None:
        self.silent.close()
        self._other.close()
        super().close()


def bot(loop: MemoryLoop, gateway: Gateway) -> MemoryTransport:
    """Return a new bot's connection to `gateway`."""
    return MemoryTransport(loop, BotConnection(gateway.door))
