"""The bytes of the heads that leave: a request's to its provider, an answer's to its bot."""

from __future__ import annotations

from http import HTTPStatus

from gateway.core.answer import AnswerHead, Body
from gateway.core.model import Refusal, Route
from gateway.core.places import Outgoing
from gateway.core.request import RequestHead

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_IDENTITY = b"Accept-Encoding: identity"


def request_head(head: RequestHead, route: Route, outgoing: Outgoing) -> bytes:
    """Return the head of the request to the provider, its empty line included.

    The framing is ours: chunked as it came, or a Content-Length, the body's own where it was
    read. Host is the upstream's, first of the headers (RFC 9110 7.2).
    """
    target = route.base + outgoing.path or b"/"
    if outgoing.query is not None:
        target = b"%b?%b" % (target, outgoing.query)
    lines = [
        b"%b %b HTTP/1.1\r\nHost: %b" % (head.method, target, route.authority),
        *outgoing.lines,
        _framing(head, outgoing.body),
    ]
    return b"\r\n".join(lines)


def _framing(head: RequestHead, body: bytes | None) -> bytes:
    if head.chunked and body is None:
        return b"Transfer-Encoding: chunked\r\n\r\n"
    length = head.length if body is None else len(body)
    return b"Content-Length: %d\r\n\r\n" % length if length >= 0 else b"\r\n"


def unencoded(lines: list[bytes]) -> list[bytes]:
    """Return `lines` asking for an answer without compression, so that it can be read."""
    others = [line for line in lines if line[:16].lower() != b"accept-encoding:"]
    return [*others, _IDENTITY]


def answer_head(
    answer: AnswerHead,
    exchange: str,
    http10: bool,
    close: bool,
    reframed: bool,
    quota: str = "",
) -> tuple[bytes, bool]:
    """Return (the head for the bot with its empty line, whether the body goes out chunked).

    HTTP/1.0 gets no chunks; there the end of the connection ends the body. `reframed`:
    something on the way may change the body's length. `quota` is the value of a RateLimit
    header, "" for none.
    """
    reason = answer.reason or _REASONS.get(answer.status, b"")
    lines = [b"HTTP/1.1 %d %b" % (answer.status, reason), *answer.lines]
    lines.append(b"x-gateway-exchange: " + exchange.encode())
    if quota:
        lines.append(b"RateLimit: " + quota.encode())
    if close:
        lines.append(b"Connection: close")
    chunked = False
    if answer.body is Body.LENGTH and not reframed:
        lines.append(b"Content-Length: %d" % answer.length)
    elif answer.body is Body.NONE:
        if answer.length >= 0 and answer.status != 204:
            lines.append(b"Content-Length: %d" % answer.length)
    elif not http10:
        chunked = True
        lines.append(b"Transfer-Encoding: chunked")
    lines.append(b"\r\n")
    return b"\r\n".join(lines), chunked


def refusal(shape: Refusal, exchange: str, method: bytes, close: bool) -> bytes:
    """Return a whole answer that refuses."""
    lines = [f"HTTP/1.1 {shape.status} {_REASONS.get(shape.status, b'').decode()}"]
    lines += [f"{name}: {value}" for name, value in shape.headers]
    if exchange:
        lines.append(f"x-gateway-exchange: {exchange}")
    lines.append(f"Content-Length: {len(shape.body)}")
    if close:
        lines.append("Connection: close")
    head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
    return head if method == b"HEAD" else head + shape.body
