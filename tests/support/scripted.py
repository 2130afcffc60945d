"""A provider that answers with exactly the bytes it is given, and keeps those it got."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

from tests.support.running import DEADLINE

Play = Callable[[socket.socket], None]
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Scripted:
    """Serves one connection after another, each in a thread; `play` answers every request."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.play: Play = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.got: list[bytes] = []
        """Every request, head and body, as it came."""
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="scripted provider", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Accept no more, and break what is open."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(self._secured(sock)) as wire:
            while request := _read(wire):
                self.got.append(request)
                self.play(wire)
        self._open.discard(sock)

    def _secured(self, sock: socket.socket) -> socket.socket:
        sock.settimeout(DEADLINE)
        try:
            return self._tls.wrap_socket(sock, server_side=True) if self._tls else sock
        except OSError:
            sock.close()
            raise


def says(answer: bytes) -> Play:
    """Return what sends `answer` and waits for the next request."""
    return lambda sock: sock.sendall(answer)


def says_and_closes(answer: bytes) -> Play:
    """Return what sends `answer` and closes the connection."""

    def play(sock: socket.socket) -> None:
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_RDWR)

    return play


@contextlib.contextmanager
def scripted(tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """A scripted provider for as long as the block runs."""
    provider = Scripted(tls)
    try:
        yield provider
    finally:
        provider.stop()


def _read(sock: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        data = sock.recv(65_536)
        if not data:
            return b""
        got += data
    head, _, body = got.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    while length is not None and len(body) < int(length[1]):
        data = sock.recv(65_536)
        if not data:
            break
        body += data
    return head + b"\r\n\r\n" + body
