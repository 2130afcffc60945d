"""A provider on loopback that keeps every byte it gets, and answers what is whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import h11

from tests.security import strict


@dataclass
class Recorder:
    """What arrived, by connection."""

    connections: list[bytearray] = field(default_factory=list)
    answered: int = 0
    port: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and to be cleared by who waits, whenever bytes arrive."""
    status: bytes = b"200 OK"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each whole request with its own target."""
        got = bytearray()
        self.connections.append(got)
        done = 0
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(65_536):
                got += data
                self.arrived.set()
                try:
                    whole = [m for m in strict.requests(bytes(got)) if m.whole]
                except strict.Malformed:
                    break
                for message in whole[done:]:
                    self._answer(writer, message)
                done = len(whole)
        writer.transport.abort()

    def _answer(self, writer: asyncio.StreamWriter, message: strict.Message) -> None:
        method, target = message.start
        self.answered += 1
        body = b"" if method == b"HEAD" else target
        head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (self.status, len(target))
        writer.write(head + body)

    def requests(self) -> list[strict.Message]:
        """Return all requests, by connection; raises Malformed. h11 must agree."""
        found = []
        for got in self.connections:
            messages = strict.requests(bytes(got))
            assert [m.start for m in messages if m.whole] == _by_h11(bytes(got))
            found += messages
        return found


def _by_h11(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the method and target of each whole request, as h11 reads them."""
    found = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    start = (b"", b"")
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            start = (event.method, event.target)
        elif isinstance(event, h11.EndOfMessage):
            found.append(start)
            connection.send(h11.Response(status_code=204, headers=[]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
        elif event in (h11.NEED_DATA, h11.PAUSED):
            return found


@contextlib.asynccontextmanager
async def recording() -> AsyncIterator[Recorder]:
    """A recorder that listens."""
    recorder = Recorder()
    server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0, backlog=1024)
    recorder.port = server.sockets[0].getsockname()[1]
    try:
        yield recorder
    finally:
        server.close()
