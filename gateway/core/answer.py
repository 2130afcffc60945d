"""The head of a provider's answer: read leniently where that is harmless, never passed on raw."""

from __future__ import annotations

import re
from enum import Enum

from gateway.core.headers import (
    CODING,
    CONNECTION,
    DROP,
    ID,
    INVALID,
    KEEP,
    LENGTH,
    HeaderKinds,
    without,
)

_TEXT = bytes([9, 10, 13, *range(0x20, 0x7F), *range(0x80, 0x100)])
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_MOST = 512
_BODILESS = frozenset({204, 304})


class Body(Enum):
    """How an answer's body ends (RFC 9112 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class AnswerHead:
    """A provider's answer head. `lines` are the header lines that travel on, in their order."""

    # What most answers leave as it is: an answer is read on every request.
    length = -1
    chunked = False
    request_id = b""
    """The provider's own id of the request, at most 128 bytes of it."""
    named: tuple[bytes, ...] = ()
    """Header names that Connection lists."""
    body = Body.NONE

    def __init__(self, status: int, reason: bytes, http10: bool) -> None:
        self.status = status
        self.reason = reason
        self.http10 = http10
        self.close = http10
        """Whether the provider's connection ends with this answer."""
        self.lines: list[bytes] = []


def read_answer(head: bytes, kinds: HeaderKinds, method: bytes) -> AnswerHead | str:
    """Read `head`, which ends with its empty line; `method` is the request's.

    Returns what is wrong with it, for the log, where it cannot be trusted. An interim answer
    (1xx, RFC 9110 15.2) comes back like any other, with no body.
    """
    if head.translate(None, _TEXT):
        return "control character in the head"
    lines = head[:-4].split(b"\r\n")
    if not len(lines) + 1 == head.count(b"\n") == head.count(b"\r"):
        return "bare CR or LF in the head"
    if len(lines) > _MOST:
        return "too many header lines"
    start = _STATUS.fullmatch(lines[0])
    if start is None:
        return "malformed status line"
    version, status, reason = start.groups(b"")
    answer = AnswerHead(int(status), reason.strip(), version == b"0")
    return _fields(answer, lines, kinds) or _framing(answer, method)


def _fields(answer: AnswerHead, lines: list[bytes], kinds: HeaderKinds) -> str | None:
    del lines[0]
    plain = kinds.plain
    for line in [line for line in lines if line not in plain]:
        name, colon, value = line.partition(b":")
        kind = kinds[name]
        if not colon or kind == INVALID:
            return "malformed header line"
        if kind == KEEP:
            kinds.remember(line)
            continue
        if kind != ID:
            lines.remove(line)
        if kind != DROP:
            wrong = _SPECIAL[kind](answer, value.strip(b" \t"))
            if wrong is not None:
                return wrong
    answer.lines = lines
    if answer.chunked and answer.length >= 0:
        return "Content-Length and Transfer-Encoding together"
    if answer.named:
        _connection(answer, answer.named)
    return None


def _length(answer: AnswerHead, value: bytes) -> str | None:
    if not value.isdigit() or len(value) > 18 or answer.length not in (-1, int(value)):
        return "bad Content-Length"
    answer.length = int(value)
    return None


def _coding(answer: AnswerHead, value: bytes) -> str | None:
    if answer.chunked or answer.http10 or value.lower() != b"chunked":
        return "bad Transfer-Encoding"
    answer.chunked = True
    return None


def _id(answer: AnswerHead, value: bytes) -> str | None:
    answer.request_id = answer.request_id or value[:128]
    return None


def _named(answer: AnswerHead, value: bytes) -> str | None:
    answer.named += tuple(token.strip(b" \t").lower() for token in value.split(b","))
    return None


_SPECIAL = {LENGTH: _length, CODING: _coding, ID: _id, CONNECTION: _named}


def _connection(answer: AnswerHead, named: tuple[bytes, ...]) -> None:
    answer.close = b"close" in named or (answer.http10 and b"keep-alive" not in named)
    others = [name for name in named if name not in (b"close", b"keep-alive")]
    if others:
        answer.lines = without(answer.lines, others)


def _framing(answer: AnswerHead, method: bytes) -> AnswerHead:
    """Apply RFC 9112 6.3, in its order."""
    status = answer.status
    if status < 200 or status in _BODILESS or method == b"HEAD" or answer.length == 0:
        answer.body = Body.NONE
    elif answer.chunked:
        answer.body = Body.CHUNKED
    elif answer.length > 0:
        answer.body = Body.LENGTH
    else:
        answer.body = Body.CLOSE
        answer.close = True
    return answer
