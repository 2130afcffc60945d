"""A strict reading of what leaves the gateway, which shares no line with the gateway's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELDS = rb"((?:[!#$%&'*+\-.^`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
_REQUEST = re.compile(rb"([A-Z]+) (/[\x21-\x7e]*) HTTP/1\.1\r\n" + _FIELDS)
_ANSWER = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*\r\n" + _FIELDS)
_SIZE = re.compile(rb"([0-9a-f]+)\r\n")


class Malformed(Exception):
    """Something that no gateway should send."""


@dataclass
class Message:
    """A request or an answer. `start` is the method and target, or the status."""

    start: tuple[bytes, ...]
    fields: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a header, whose name is in lower case."""
        return [value for key, value in self.fields if key == name]


def requests(data: bytes) -> list[Message]:
    """Return the requests on one connection to a provider; the last may not be whole."""
    found = []
    while data:
        head = _REQUEST.match(data)
        if head is None:
            raise Malformed(data[:200])
        message = Message((head[1], head[2]), _fields(head[3]), b"", whole=False)
        data = _body(message, data[head.end() :], bare=True)
        found.append(message)
    return found


def answers(data: bytes, methods: list[bytes]) -> list[Message]:
    """Return the answers to requests with `methods`, interim ones among them."""
    found: list[Message] = []
    finals = 0
    while data:
        head = _ANSWER.match(data)
        if head is None:
            raise Malformed(data[:200])
        status = int(head[1])
        message = Message((head[1],), _fields(head[2]), b"", whole=False)
        data = data[head.end() :]
        method = methods[finals] if finals < len(methods) else b""
        if status < 200 or status in (204, 304) or method == b"HEAD":
            message.whole = True
        else:
            data = _body(message, data, bare=False)
        finals += status >= 200
        found.append(message)
    return found


def _fields(block: bytes) -> list[tuple[bytes, bytes]]:
    pairs = (line.partition(b":") for line in block.split(b"\r\n")[:-1])
    return [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]


def _body(message: Message, data: bytes, bare: bool) -> bytes:
    """Take the body of `message` off `data`; `bare`: without any framing there is none."""
    lengths, codings = message.values(b"content-length"), message.values(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Malformed(f"framed twice: {lengths} {codings}")
    if lengths:
        if not re.fullmatch(rb"0|[1-9][0-9]*", lengths[0]):
            raise Malformed(lengths[0])
        size = int(lengths[0])
        message.body, message.whole = data[:size], len(data) >= size
        return data[size:]
    if codings:
        if codings[0] != b"chunked":
            raise Malformed(codings[0])
        return _chunks(message, data)
    message.whole = True
    if bare:
        return data
    message.body = data  # until the connection's end
    return b""


def _chunks(message: Message, data: bytes) -> bytes:
    while data:
        head = _SIZE.match(data)
        if head is None:
            raise Malformed(data[:50])
        size = int(head[1], 16)
        data = data[head.end() :]
        message.body += data[:size]
        end, data = data[size : size + 2], data[size + 2 :]
        if end != b"\r\n"[: len(end)]:
            raise Malformed(end)
        if not size:
            message.whole = end == b"\r\n"
            return data
    return data
