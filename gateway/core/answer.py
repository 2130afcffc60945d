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
_LENGTH = re.compile(rb"[0-9]{1,18}")


class Body(Enum):
    """How an answer's body ends (RFC 9112 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class AnswerHead:
    """A provider's answer head. `lines` are the header lines that travel on, in their order."""

    __slots__ = ("body", "close", "length", "lines", "reason", "request_id", "status")

    def __init__(self, status: int, reason: bytes, close: bool) -> None:
        self.status = status
        self.reason = reason
        self.close = close
        """Whether the provider's connection ends with this answer."""
        self.length = -1
        self.lines: list[bytes] = []
        self.body = Body.NONE
        self.request_id = b""
        """The provider's own id of the request, at most 128 bytes of it."""


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
    start = _STATUS.fullmatch(lines[0])
    if start is None:
        return "malformed status line"
    http10 = start[1] == b"0"
    answer = AnswerHead(int(start[2]), (start[3] or b"").strip(), http10)
    return _fields(answer, lines, kinds, http10) or _framing(answer, method)


def _fields(
    answer: AnswerHead, lines: list[bytes], kinds: HeaderKinds, http10: bool
) -> str | None:
    coding = b""
    named: list[bytes] = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        kind = kinds[name]
        if kind == KEEP and colon:
            answer.lines.append(line)
        elif kind == INVALID or not colon:
            return "malformed header line"
        elif kind == LENGTH:
            value = value.strip(b" \t")
            if not _LENGTH.fullmatch(value) or answer.length not in (-1, int(value)):
                return "bad Content-Length"
            answer.length = int(value)
        elif kind == ID and colon:
            answer.lines.append(line)
            answer.request_id = answer.request_id or value.strip(b" \t")[:128]
        elif kind == CODING:
            if coding or http10 or value.strip(b" \t").lower() != b"chunked":
                return "bad Transfer-Encoding"
            coding = value
        elif kind == CONNECTION:
            named += [token.strip(b" \t").lower() for token in value.split(b",")]
        elif kind != DROP:
            return "malformed header line"
    if coding and answer.length >= 0:
        return "Content-Length and Transfer-Encoding together"
    answer.body = Body.CHUNKED if coding else Body.LENGTH if answer.length >= 0 else Body.CLOSE
    if named:
        _connection(answer, named, http10)
    return None


def _connection(answer: AnswerHead, named: list[bytes], http10: bool) -> None:
    answer.close = b"close" in named or (http10 and b"keep-alive" not in named)
    others = [name for name in named if name not in (b"close", b"keep-alive")]
    if others:
        answer.lines = without(answer.lines, others)


def _framing(answer: AnswerHead, method: bytes) -> AnswerHead:
    status = answer.status
    if status < 200 or status == 204 or status == 304 or method == b"HEAD":  # noqa: PLR1714
        answer.body = Body.NONE
    elif answer.body is Body.LENGTH and answer.length == 0:
        answer.body = Body.NONE
    if answer.body is Body.CLOSE:
        answer.close = True
    return answer
