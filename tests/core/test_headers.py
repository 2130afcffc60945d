"""What becomes of a header, by its name alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.headers import (
    CODING,
    CONNECTION,
    CREDENTIAL,
    CREDENTIALS,
    DROP,
    EXPECT,
    HOST,
    INVALID,
    KEEP,
    LENGTH,
    TYPE,
    UPGRADE,
    answer_kinds,
    request_kinds,
    without,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"Host", HOST), (b"CONTENT-LENGTH", LENGTH), (b"transfer-encoding", CODING),
        (b"Connection", CONNECTION), (b"Expect", EXPECT), (b"Upgrade", UPGRADE),
        (b"Content-Type", TYPE), (b"Accept", KEEP), (b"X-Anything", KEEP), (b"!#$%&'*+-.^`|~9",
        KEEP),
        (b"Authorization", CREDENTIAL), (b"x-api-key", CREDENTIAL), (b"X-Mine", CREDENTIAL),
        (b"Cookie", DROP), (b"Proxy-Authorization", DROP), (b"TE", DROP), (b"Trailer", DROP),
        (b"Keep-Alive", DROP), (b"Forwarded", DROP), (b"Via", DROP), (b"X-Forwarded-For", DROP),
        (b"X-Forwarded-New", DROP), (b"X-Real-IP", DROP), (b"X-HTTP-Method-Override", DROP),
        (b"X-Original-URL", DROP), (b"X-Gateway-Exchange", DROP), (b"HTTP2-Settings", DROP),
        (b"", INVALID), (b" Host", INVALID), (b"Host ", INVALID), (b"Host\t", INVALID),
        (b"X_A", INVALID), (b"X(A)", INVALID), (b"X\xe9", INVALID), (b"X\x00", INVALID),
        (b"X\n", INVALID), (b"X/Y", INVALID), (b"X@Y", INVALID), (b'X"', INVALID),
    ],
    ids=lambda value: repr(value) if isinstance(value, bytes) else "",
)  # fmt: skip
def test_of_a_request(name: bytes, kind: int) -> None:
    kinds = request_kinds([b"X-Mine"])
    assert kinds[name] == kind
    assert kinds[name] == kind, "remembered otherwise"
    if kind != INVALID:
        assert kinds[name.swapcase()] == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"Set-Cookie", DROP), (b"Alt-Svc", DROP), (b"Upgrade", DROP), (b"Trailer", DROP),
        (b"Proxy-Authenticate", DROP), (b"Via", KEEP), (b"Server", KEEP), (b"Retry-After", KEEP),
        (b"x-gateway-exchange", DROP), (b"X_Odd", INVALID), (b"User-Agent", KEEP),
    ],
    ids=lambda value: repr(value) if isinstance(value, bytes) else "",
)  # fmt: skip
def test_of_an_answer(name: bytes, kind: int) -> None:
    assert answer_kinds()[name] == kind


def test_every_credential_header_is_one() -> None:
    kinds = request_kinds()
    assert {kinds[name] for name in CREDENTIALS} == {CREDENTIAL}


def test_no_route_can_make_framing_a_credential() -> None:
    kinds = request_kinds([b"Content-Length", b"Host", b"Connection"])
    assert [kinds[name] for name in (b"content-length", b"host", b"connection")] == [
        LENGTH,
        HOST,
        CONNECTION,
    ]


def test_memory_is_bounded() -> None:
    kinds = request_kinds()
    for n in range(5000):
        assert kinds[b"X-%d" % n] == KEEP
    assert kinds[b"X-" + b"a" * 1000] == KEEP
    assert len(kinds) <= 1024
    assert max(map(len, kinds)) <= 64


@given(st.binary(max_size=12))
def test_only_tokens_are_names(name: bytes) -> None:
    token = b"!#$%&'*+-.^`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert (request_kinds()[name] == INVALID) is (not name or bool(name.strip(token)))


def test_without() -> None:
    lines = [b"X-A: 1", b"x-b: 2", b"X-A:3", b"X-AB: 4"]
    assert without(lines, [b"x-a", b"x-c"]) == [b"x-b: 2", b"X-AB: 4"]
