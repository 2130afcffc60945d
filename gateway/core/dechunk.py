"""A provider's chunked body, taken apart by llhttp. Heads are not llhttp's business here."""

from __future__ import annotations

from httptools import HttpParserError, HttpResponseParser

from gateway.core.framing import FramingError

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_SILENCE = 65_536


class Dechunker:
    """One connection's chunked answers, one after another.

    llhttp gets a head of ours and then the provider's bytes, so that it only ever de-chunks:
    it need not know of HEAD, of 1xx or of upgrades. Extensions and trailers are dropped; more
    than 64 KiB of them in a row is an error.
    """

    __slots__ = ("_begun", "_last", "_parser", "_pieces", "_silent", "done", "on_body")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._parser = HttpResponseParser(self)
        self._begun = self._last = self._silent = 0
        self.done = False

    def on_message_begin(self) -> None:
        """Count messages, to notice bytes after the end of this one."""
        self._begun += 1

    def on_message_complete(self) -> None:
        """Note the end of the body: what llhttp finds after it belongs to nobody."""
        if not self.done:
            self._last = len(self._pieces)
        self.done = True

    @property
    def excess(self) -> bool:
        """Whether bytes came after the body's end."""
        return self._begun > 1

    def start(self) -> None:
        """Begin a new body on the same connection."""
        self.done = False
        self._begun = self._silent = 0
        self._parser.feed_data(_HEAD)

    def feed(self, data: bytes) -> bytes:
        """Return the payload within `data`. Raises FramingError."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.done:
                raise FramingError("malformed chunked answer") from error
            self._begun += 1
        pieces = self._pieces
        if self._begun > 1:
            del pieces[self._last :]
        if not pieces:
            self._silent += len(data)
            if self._silent > _SILENCE:
                raise FramingError("too much framing without payload")
            return b""
        self._silent = 0
        payload = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return payload
