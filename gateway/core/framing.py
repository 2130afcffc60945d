"""How bodies are delimited on the wire (RFC 9112 section 6 and 7): read ours, write both."""

from __future__ import annotations

import re

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e]*)?")
_TRAILER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t\x20-\x7e\x80-\xff]*")
# RFC 9110 6.5.1: what frames or routes a message, or stands in its head once, is no trailer.
_NO_TRAILERS = frozenset(
    b"host content-length transfer-encoding content-type content-location content-range "
    b"user-agent etag max-forwards server".split()
)
_LINE = 1024
_TRAILERS = 8192

LAST_CHUNK = b"0\r\n\r\n"


class FramingError(Exception):
    """The body's framing is broken: its end, and where the next request starts, are unknown."""


def chunk(data: bytes) -> bytes:
    """Return `data`, which must not be empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class LengthBody:
    """A body of `left` bytes."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (payload, what follows the body)."""
        left = self.left
        if len(data) < left:
            self.left = left - len(data)
            return data, b""
        self.left = 0
        self.done = True
        return (data, b"") if len(data) == left else (data[:left], data[left:])


class ChunkedBody:
    """A chunked body, decoded strictly. Extensions and trailers are read, checked and dropped.

    Chunk and trailer lines end with CRLF, hold no control character and are bounded.
    """

    __slots__ = ("_left", "_pending", "_state", "_trailers", "done")

    def __init__(self) -> None:
        self.done = False
        self._state = "size"
        self._left = 0
        self._pending = b""
        self._trailers = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (payload, what follows the body). Raises FramingError."""
        if self._pending:
            data, self._pending = self._pending + data, b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.done:
            if self._state == "data":
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = "data end"
                continue
            end = data.find(b"\r\n", at, at + _LINE)
            if end < 0:
                self._wait(data[at:])
                at = len(data)
                break
            self._line(data[at:end])
            at = end + 2
        return b"".join(pieces), data[at:]

    def _wait(self, line: bytes) -> None:
        if len(line) >= _LINE:
            raise FramingError("a chunk or trailer line is too long")
        if self._state == "data end" and line != b"\r":
            raise FramingError("a chunk does not end where it said")
        if b"\n" in line or b"\r" in line[:-1]:
            raise FramingError("bare CR or LF in chunked framing")
        self._pending = line

    def _line(self, line: bytes) -> None:
        if self._state == "size":
            match = _SIZE.fullmatch(line)
            if match is None:
                raise FramingError("malformed chunk size")
            self._left = int(match[1], 16)
            self._state = "data" if self._left else "trailer"
        elif self._state == "data end":
            if line:
                raise FramingError("a chunk does not end where it said")
            self._state = "size"
        else:
            self._trailer(line)

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._trailers += len(line) + 2
        match = _TRAILER.fullmatch(line)
        if match is None or self._trailers > _TRAILERS or match[1].lower() in _NO_TRAILERS:
            raise FramingError("malformed trailer")
