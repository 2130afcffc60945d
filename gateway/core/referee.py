"""A second opinion on every request: llhttp sees what we accepted and must agree with us."""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpRequestParser

_UPGRADE = re.compile(rb"(?<=\r\n)(?:upgrade|connection|http2-settings):[^\r]*\r\n", re.IGNORECASE)


class Referee:
    """llhttp over one connection's requests, in lock step with our own reading.

    It has no callbacks but one, so that its opinion costs little. It is told nothing of
    upgrades, of which it would take the rest of the connection for another protocol.
    """

    __slots__ = ("_parser", "_seen")

    def __init__(self) -> None:
        self._seen = 0
        self._parser = HttpRequestParser(self)

    def on_message_complete(self) -> None:
        """Count a message that llhttp saw the end of."""
        self._seen += 1

    def agrees(self, data: bytes, ended: bool) -> bool:
        """Return whether llhttp accepts `data` and saw a message end exactly if we did."""
        before = self._seen
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            return False
        return self._seen - before == ended


def without_upgrade(head: bytes) -> bytes:
    """Return `head` without the lines that would make llhttp leave HTTP."""
    return _UPGRADE.sub(b"", head)
