"""HTTP/1.1 as bytes: what a bot sends and gets, nothing added, nothing hidden."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.running import DEADLINE


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; `headers` in order, names as written."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    def header(self, name: str) -> str | None:
        """Return the value of the only header of this name."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, found
        return found[0] if found else None


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection to a port of loopback."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        yield sock


def request(head: str, body: bytes = b"") -> bytes:
    """Return the bytes of a request whose head is given line by line, its length added."""
    lines = [line.strip() for line in head.strip().splitlines()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def call(port: int, data: bytes) -> Answer:
    """Send `data` on a connection of its own and read until the other side closes."""
    with connected(port) as sock:
        sock.sendall(data)
        return parse(read_all(sock))


def read_all(sock: socket.socket) -> bytes:
    """Read to the end, whether that is a FIN or a reset."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(65_536):
            got += data
    return got


def parse(raw: bytes) -> Answer:
    """Read one answer; its body is what follows the head, chunks undone."""
    head, _, body = raw.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    pairs = tuple((name, value.strip()) for name, _, value in (li.partition(":") for li in lines))
    answer = Answer(int(start.split(" ")[1]), pairs, body, raw)
    if answer.header("transfer-encoding") == "chunked":
        return Answer(answer.status, pairs, _dechunked(body), raw)
    return answer


def _dechunked(body: bytes) -> bytes:
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length:
            break
        out += body[:length]
        body = body[length + 2 :]
    return out
