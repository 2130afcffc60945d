"""What becomes of each header, by name: kept, dropped, or read by the gateway itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

KEEP, DROP, HOST, LENGTH, CODING, CONNECTION, EXPECT, UPGRADE, CREDENTIAL = range(9)
TYPE, ENCODING, FORWARDED, ID = range(9, 13)
INVALID = -1

_NAME = re.compile(rb"[!#$%&'*+\-.^`|~0-9A-Za-z]+")  # RFC 9110 5.1's token, but for `_`
_REMEMBERED = 1024

# RFC 9110 7.6.1, and what older proxies made of it.
_HOP_BY_HOP = (
    b"keep-alive proxy-authenticate proxy-authorization proxy-authentication-info "
    b"proxy-connection te trailer trailers http2-settings"
).split()

# They say who or what came before us, or ask to be judged as something else than they are.
_FORWARDING = (
    b"forwarded via x-real-ip x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip "
    b"fastly-client-ip x-original-url x-original-uri x-original-host x-rewrite-url x-host "
    b"x-http-method x-http-method-override x-method-override x-remote-ip x-remote-addr"
).split()

# Wherever some SDK of providers.md puts a key; a route's own header places are added to them.
CREDENTIALS = frozenset(
    b"authorization x-api-key api-key x-goog-api-key xi-api-key private-token x-auth-token".split()
)

_OURS = (b"x-forwarded-", b"x-gateway-")

# One value each by RFC 9110: given twice, the next server may take either. Each is its own kind.
_ONCE = b"user-agent content-location content-range etag max-forwards server".split()
ONCE = range(ID + 1, ID + 1 + len(_ONCE))

_REQUEST = {
    **dict(zip(_ONCE, ONCE, strict=True)),
    **dict.fromkeys([*_HOP_BY_HOP, *_FORWARDING, b"cookie", b"cookie2"], DROP),
    b"host": HOST,
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
    b"expect": EXPECT,
    b"upgrade": UPGRADE,
    b"content-type": TYPE,
    b"content-encoding": ENCODING,
}

# `Via` stays: discord.py tells a real 429 by it. `Alt-Svc` would lead the bot past the gateway.
_ANSWER = {
    **dict.fromkeys([*_HOP_BY_HOP, b"upgrade", b"set-cookie", b"set-cookie2", b"alt-svc"], DROP),
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
}


# Where providers put their own id of a request, which their support asks for.
_IDS = b"x-request-id request-id x-goog-request-id x-amzn-requestid x-slack-req-id".split()


class HeaderKinds(dict[bytes, int]):
    """Header names exactly as received -> what becomes of them. Remembers a bounded number.

    A name is looked up as it was written, so that a name seen before costs one look-up;
    `INVALID` is the kind of what is not a header name (RFC 9110 5.1) or holds `_`, which
    servers behind CGI-like interfaces confuse with `-`.
    """

    def __init__(self, kinds: dict[bytes, int]) -> None:
        super().__init__()
        self._kinds = kinds
        self._plain: set[bytes] = set()

    @property
    def plain(self) -> set[bytes]:
        """Whole lines seen before that are kept: one look-up for what never changes."""
        return self._plain

    def remember(self, line: bytes) -> None:
        """Add a line that is kept to `plain`, as long as there is room."""
        if len(self._plain) < _REMEMBERED and len(line) <= 128:
            self._plain.add(line)

    def __missing__(self, name: bytes) -> int:
        kind = self._judge(name)
        if len(self) < _REMEMBERED and len(name) <= 64:
            self[name] = kind
        return kind

    def _judge(self, name: bytes) -> int:
        if not _NAME.fullmatch(name):
            return INVALID
        lower = name.lower()
        kind = self._kinds.get(lower)
        if kind is None:
            kind = DROP if lower.startswith(_OURS) else KEEP
        return kind


def request_kinds(credentials: Iterable[bytes] = (), forwarded: bytes = b"") -> HeaderKinds:
    """Return the kinds of request headers; `credentials` are further credential header names.

    `forwarded` is the one that trusted proxies write, in lower case; it travels no further.
    """
    names = CREDENTIALS | {name.lower() for name in credentials}
    kinds = {**dict.fromkeys(names, CREDENTIAL), **_REQUEST}
    if forwarded:
        kinds[forwarded] = FORWARDED
    return HeaderKinds(kinds)


def answer_kinds() -> HeaderKinds:
    """Return the kinds of answer headers."""
    return HeaderKinds({**dict.fromkeys(_IDS, ID), **_ANSWER})


def without(lines: list[bytes], names: Iterable[bytes]) -> list[bytes]:
    """Return `lines` but for those whose (lower case) names a Connection header listed."""
    listed = frozenset(names)
    return [line for line in lines if line.partition(b":")[0].lower() not in listed]
