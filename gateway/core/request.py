"""The head of a request, read strictly: what RFC 9112 leaves to choice is refused, never repaired.

Our own reading decides; llhttp must agree afterwards (referee.py), so a message that two
parsers could take for two different things never reaches a provider.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

from gateway.core.errors import Deny
from gateway.core.headers import (
    CODING,
    CONNECTION,
    CREDENTIAL,
    DROP,
    ENCODING,
    EXPECT,
    FORWARDED,
    HOST,
    INVALID,
    KEEP,
    LENGTH,
    ONCE,
    TYPE,
    UPGRADE,
    HeaderKinds,
    without,
)

METHODS = frozenset(b"GET HEAD POST PUT PATCH DELETE OPTIONS".split())
IDEMPOTENT = frozenset(b"GET HEAD PUT DELETE OPTIONS".split())

# Bytes that may stand in a head at all: text, obs-text, tab, CR and LF (RFC 9110 5.5).
_TEXT = bytes([9, 10, 13, *range(0x20, 0x7F), *range(0x80, 0x100)])
_TARGET = re.compile(rb"/[!-\"$-\[\]-~]*")  # origin-form; no `#`, no backslash, ASCII only
_CONTROL_ESCAPE = re.compile(rb"%(?:[01][0-9A-Fa-f]|7[Ff])")
_HOST = re.compile(rb"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LENGTH_LINE = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ([1-9][0-9]{0,17})(?=\r\n)")
_ZERO = ord("0")
_LONGEST = 4096  # bytes of a head that is kept for the next one, on every connection that is open


class Learnt:
    """What the journey worked out from a head alone, under one policy; good for the next alike."""

    __slots__ = (
        "address",
        "astray",
        "by_way_of",
        "client",
        "direct",
        "inject",
        "noted",
        "outlook",
        "passed",
        "passed_as",
        "path",
        "policy",
        "query",
        "reading",
        "route",
        "said",
        "standing",
        "stranger",
        "token",
    )

    def __init__(self, policy: object = None) -> None:
        self.policy = policy
        self.client: Any = None
        """Who calls: a Client, or the Deny of one that cannot be made out."""
        self.address = ""
        self.by_way_of = ""
        """How the address was found."""
        self.route: Any = None
        self.path = b""
        self.query: bytes | None = None
        self.astray: Deny | None = None
        """Why the target leads nowhere, or to more than one place."""
        self.token = b""
        """The digest of the token it shows."""
        self.inject: tuple[Any, ...] = ()
        self.standing: Any = None
        """The bot's Standing on the route."""
        self.stranger: Deny | None = None
        """Why the client's address is none that the bot may call from."""
        self.outlook: Any = None
        self.said: Any = None
        """What the head says of its subjects, or the Deny of one that cannot be read."""
        self.reading: Any = None
        """How the body is read where it could say more, or the Deny of one that cannot be."""
        self.direct: Any = None
        """What reads a body that is at hand as a whole, where it is read so."""
        self.passed: Any = None
        """What was said last of what the request is about, and let pass."""
        self.passed_as = ("", "")
        """Its subject, and the rule that let it pass."""
        self.noted = 0.0
        """Until when the use of the token is noted, Unix seconds."""


class RequestHead:
    """A head that was found unambiguous.

    `lines` are the header lines that travel on, exactly as received and in their order.
    `length` is the Content-Length, -1 where there is none.
    """

    __slots__ = (
        "chunked",
        "close",
        "content_type",
        "credentials",
        "encoding",
        "expect",
        "forwarded",
        "host",
        "http10",
        "learnt",
        "length",
        "lines",
        "method",
        "named",
        "offered",
        "once",
        "target",
        "upgrade",
        "upgrading",
    )

    def __init__(self, method: bytes, target: bytes, http10: bool) -> None:
        self.method = method
        self.target = target
        self.http10 = http10
        self.close = http10
        self.host = b""
        self.length = -1
        self.chunked = False
        self.expect = False
        self.named: list[bytes] = []
        """Header names that Connection lists."""
        self.offered = b""
        self.upgrade = b""
        """The protocol that Connection and Upgrade together ask for, but for h2c."""
        self.upgrading = False
        """Whether there is an Upgrade header at all."""
        self.content_type = b""
        self.encoding = b""
        """What Content-Encoding lists."""
        self.forwarded: tuple[bytes, ...] = ()
        """The lines of the header that trusted proxies write."""
        self.once = 0
        """Bits for the headers of `ONCE` that were seen."""
        self.learnt = Learnt()
        self.credentials: list[tuple[bytes, bytes]] = []
        self.lines: list[bytes] = []

    @property
    def has_body(self) -> bool:
        """Whether body bytes follow this head."""
        return self.chunked or self.length > 0


def unread() -> RequestHead:
    """Return the head of a request whose head could not be read: nothing may follow it."""
    head = RequestHead(b"", b"", http10=False)
    head.close = True
    return head


class HeadReader:
    """Reads the heads of one connection, one after another.

    An SDK sends the same head over and over, but for its Content-Length. What differs from the
    last head in that alone is not read again: the same object comes back, its length set anew,
    for which the exchange of the last one must be over.
    """

    __slots__ = ("_kinds", "_last", "_raw", "_rest")

    def __init__(self) -> None:
        self._raw = self._rest = b""
        self._kinds: HeaderKinds | None = None
        self._last = unread()

    def read(self, raw: bytes, kinds: HeaderKinds, most: int) -> RequestHead | Deny:
        """Read `raw`, which ends with its empty line; see `read_request`."""
        if raw == self._raw and kinds is self._kinds:
            return self._last
        found = _LENGTH_LINE.search(raw)
        length = int(found[1]) if found else -1
        rest = raw[: found.start()] + raw[found.end() :] if found else raw
        last = self._last
        if rest == self._rest and kinds is self._kinds and not (last.chunked and found):
            self._raw, last.length = raw, length
            return last
        head = read_request(raw, kinds, most)
        # Kept only where `rest` says nothing of a length, not even 0: then another may be put in.
        if isinstance(head, RequestHead) and head.length == length and len(raw) <= _LONGEST:
            self._raw, self._rest, self._kinds, self._last = raw, rest, kinds, head
        return head


def _bad(code: str, reason: str, status: int = 400) -> Deny:
    return Deny(status, code, reason, repeatable=False)


def read_request(head: bytes, kinds: HeaderKinds, most: int) -> RequestHead | Deny:
    """Read `head`, which ends with its empty line. `most` is how many header lines it may hold."""
    if head.translate(None, _TEXT):
        return _bad("control_character", "The request's head holds a control character")
    lines = head[:-4].split(b"\r\n")
    if not len(lines) + 1 == head.count(b"\n") == head.count(b"\r"):
        return _bad("bare_line_ending", "The request's head holds a bare CR or LF")
    if len(lines) - 1 > most:
        return _bad("too_many_headers", f"The request has more than {most} headers", 431)
    start = _request_line(lines[0])
    if isinstance(start, Deny):
        return start
    return _fields(start, lines, kinds)


def _request_line(line: bytes) -> RequestHead | Deny:
    parts = line.split(b" ")
    if len(parts) != 3:
        return _bad("request_line", "The request line is not `METHOD /target HTTP/1.1`")
    method, target, version = parts
    if version != b"HTTP/1.1" and version != b"HTTP/1.0":
        return _bad("http_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here", 505)
    if method not in METHODS:
        return _bad("method_not_carried", "This method is not carried", 501)
    if not _TARGET.fullmatch(target):
        return _bad("target_form", "The target must be a plain path, like /v1/models?limit=5")
    if b"%" in target and _CONTROL_ESCAPE.search(target):
        return _bad("target_form", "The target holds an escaped control character")
    return RequestHead(method, target, version == b"HTTP/1.0")


def _fields(head: RequestHead, lines: list[bytes], kinds: HeaderKinds) -> RequestHead | Deny:
    for line in islice(lines, 1, None):
        name, colon, value = line.partition(b":")
        kind = kinds[name]
        if not colon or kind == INVALID:
            return _bad("header_name", "A header line is not `Name: value`")
        if kind == CREDENTIAL:
            head.credentials.append((name.lower(), value.strip(b" \t")))
        elif kind != DROP:
            if kind in _SPECIAL:
                denied = _SPECIAL[kind](head, value.strip(b" \t"))
                if denied is not None:
                    return denied
            if kind in _KEPT:
                head.lines.append(line)
    if not head.host:
        return _HOST_NEEDED
    if head.chunked and head.length >= 0:
        return _bad("framing", "Content-Length and Transfer-Encoding exclude each other")
    return _connection(head, head.named) if head.named else head


_HOST_NEEDED = _bad("host", "Exactly one well-formed Host header is needed")


def _host(head: RequestHead, value: bytes) -> Deny | None:
    if head.host or not _HOST.fullmatch(value):
        return _HOST_NEEDED
    head.host = value
    return None


def _length(head: RequestHead, value: bytes) -> Deny | None:
    odd = not value.isdigit() or len(value) > 18 or (value[0] == _ZERO and len(value) > 1)
    if head.length >= 0 or odd:
        return _bad("content_length", "Content-Length must be given once, as a number")
    head.length = int(value)
    return None


def _coding(head: RequestHead, value: bytes) -> Deny | None:
    if head.chunked or value.lower() != b"chunked" or head.http10:
        return _bad("transfer_encoding", "Transfer-Encoding may only be chunked, once")
    head.chunked = True
    return None


def _expect(head: RequestHead, value: bytes) -> Deny | None:
    if value.lower() != b"100-continue":
        return _bad("expectation", "Only `Expect: 100-continue` is understood", 417)
    head.expect = not head.http10
    return None


def _type(head: RequestHead, value: bytes) -> Deny | None:
    if head.once & 1:
        return _bad("content_type", "Content-Type is given twice")
    head.once |= 1
    head.content_type = value
    return None


def _encoding(head: RequestHead, value: bytes) -> Deny | None:
    head.encoding = b"%b, %b" % (head.encoding, value) if head.encoding else value
    return None


def _forwarded(head: RequestHead, value: bytes) -> Deny | None:
    head.forwarded = (*head.forwarded, value)
    return None


def _upgrade(head: RequestHead, value: bytes) -> Deny | None:
    # h2c may be ignored (RFC 9110 7.8), and Java's client offers it on every plain request.
    head.offered = b"" if value.lower() == b"h2c" else value or b"?"
    head.upgrading = True
    return None


def _named(head: RequestHead, value: bytes) -> Deny | None:
    head.named += [token.strip(b" \t").lower() for token in value.split(b",")]
    return None


def _once(kind: int) -> _Special:
    bit = 1 << kind

    def seen(head: RequestHead, value: bytes) -> Deny | None:
        if head.once & bit:
            return _bad("repeated_header", "A header that has one value is given twice")
        head.once |= bit
        return None

    return seen


_Special = Callable[[RequestHead, bytes], Deny | None]
_SPECIAL: dict[int, _Special] = {kind: _once(kind) for kind in ONCE}
_SPECIAL |= {HOST: _host, LENGTH: _length, CODING: _coding, EXPECT: _expect, TYPE: _type}
_SPECIAL |= {UPGRADE: _upgrade, CONNECTION: _named, ENCODING: _encoding, FORWARDED: _forwarded}
_OF_THE_BODY = frozenset((b"content-type", b"content-encoding"))
_KEPT = frozenset({KEEP, TYPE, ENCODING, *ONCE})


def _connection(head: RequestHead, named: list[bytes]) -> RequestHead | Deny:
    """Apply RFC 9110 7.6.1: what Connection lists stays on this connection."""
    if not _OF_THE_BODY.isdisjoint(named):  # it would be judged as what its provider cannot see
        return _bad("content_type", "Connection lists a header that says what the body is")
    if b"close" in named:
        head.close = True
    head.upgrade = head.offered if b"upgrade" in named else b""
    others = [name for name in named if name not in (b"close", b"keep-alive", b"upgrade")]
    if others:
        head.lines = without(head.lines, others)
    return head
