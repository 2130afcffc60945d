"""Raw HTTP/1.1 from both ends: a bot that hides nothing, a provider that does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

LIMIT = 1 << 20
HUNG = 5.0
"""Seconds after which a test says that something hangs."""

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class Wire:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send, and wait until most of it has left. Raises OSError where the connection is gone."""
        if self.writer.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        """Close with a FIN, after all that was sent."""
        self.writer.close()

    async def ended(self) -> None:
        """Wait until the other end closes or resets, passing over what it still sends."""
        with contextlib.suppress(OSError):
            while await self.reader.read(65_536):
                pass

    async def head(self) -> bytes:
        """Return the next head, its empty line included; b"" at the end."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except OSError:
            return b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of a chunked body; raises IncompleteReadError where it is cut."""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        assert await self.reader.readexactly(2) == b"\r\n"


@dataclass
class Answer:
    """What a bot got. `whole` is False where the connection ended before the answer did."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    whole: bool = False

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a refusal in OpenAI's shape."""
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error

    def header(self, name: str) -> str | None:
        """The value of a header, None without it."""
        found = re.search(rb"\r\n%b: *([^\r]*)" % name.encode(), self.head, re.IGNORECASE)
        return found[1].decode("latin-1") if found else None


class BotWire(Wire):
    """A bot's connection to the gateway."""

    async def answer(self, method: str = "POST", seconds: float = HUNG) -> Answer:
        """Return the next answer, as much of it as comes. Raises TimeoutError where it hangs."""
        answer = Answer()
        async with asyncio.timeout(seconds):
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                await self._read(answer, method)
        return answer

    async def _read(self, answer: Answer, method: str) -> None:
        while True:
            answer.head = await self.reader.readuntil(b"\r\n\r\n")
            answer.status = int(answer.head.split(b" ")[1])
            if answer.status != 100:
                break
        if method == "HEAD" or answer.status in (204, 304):
            answer.whole = True
        elif _CHUNKED.search(answer.head):
            async for piece in self.chunks():
                answer.body += piece
            answer.whole = True
        elif length := _LENGTH.search(answer.head):
            while len(answer.body) < int(length[1]):
                piece = await self.reader.read(int(length[1]) - len(answer.body))
                if not piece:
                    return
                answer.body += piece
            answer.whole = True
        else:
            answer.body = await self.reader.read()
            answer.whole = True


@contextlib.asynccontextmanager
async def bot(port: int, **options: Any) -> AsyncIterator[BotWire]:
    """A connection to the gateway, reset at the end if it is still open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LIMIT, **options)
    wire = BotWire(reader, writer)
    try:
        yield wire
    finally:
        writer.transport.abort()


def request(
    token: str,
    body: bytes = b"{}",
    *extra: str,
    method: str = "POST",
    path: str = "/openai/v1/chat/completions",
) -> bytes:
    """Return a whole request of an OpenAI SDK."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: gateway.test",
        f"Authorization: Bearer {token}",
        *extra,
    ]
    if method != "GET" and not any(line.lower().startswith("transfer-") for line in extra):
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "\r\n"]).encode() + (body if method != "GET" else b"")


@dataclass
class Request:
    """What the provider got."""

    head: bytes
    body: bytes

    @property
    def method(self) -> bytes:
        """Its method."""
        return self.head.split(b" ", 1)[0]


Script = Callable[["ProviderWire"], Awaitable[None]]


class ProviderWire(Wire):
    """A connection that the gateway made to the provider."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, origin: Origin
    ) -> None:
        super().__init__(reader, writer)
        self.origin = origin

    async def request(self) -> Request | None:
        """Return the next request, None at the end."""
        head = await self.head()
        if not head.endswith(b"\r\n\r\n"):
            return None
        body = b""
        if _CHUNKED.search(head):
            body = b"".join([piece async for piece in self.chunks()])
        elif length := _LENGTH.search(head):
            body = await self.reader.readexactly(int(length[1]))
        got = Request(head, body)
        self.origin.requests.append(got)
        return got

    async def ok(self, body: bytes = b"ok", *extra: str) -> None:
        """Send a plain 200."""
        lines = ["HTTP/1.1 200 OK", *extra, f"Content-Length: {len(body)}", "\r\n"]
        await self.send("\r\n".join(lines).encode() + body)


@dataclass
class Origin:
    """A provider on loopback that runs `script` on each connection, and keeps what it got."""

    script: Script
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the script on one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        try:
            await self.script(ProviderWire(reader, writer, self))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the gateway left, or the test is over
        finally:
            self.tasks.discard(task)
            writer.transport.abort()


@contextlib.asynccontextmanager
async def provider(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    """A provider that behaves as `script` says, on a port of its own."""
    origin = Origin(script)
    server = await asyncio.start_server(
        origin.serve, "127.0.0.1", 0, limit=LIMIT, ssl=tls, backlog=4096
    )
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        for task in list(origin.tasks):
            task.cancel()
        await asyncio.gather(*origin.tasks, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = HUNG) -> None:
    """Wait for what no event announces: another process's memory, a file, a counter."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_told(ask: Callable[[], Awaitable[object]], seconds: float = HUNG) -> None:
    """Like `until`, for what must be asked for over the network."""
    async with asyncio.timeout(seconds):
        while not await ask():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
