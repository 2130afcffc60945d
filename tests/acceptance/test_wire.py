"""What crosses the gateway, compared byte by byte: nothing changes but what must."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.raw import call, connected, read_all, request
from tests.support.running import ENVIRONMENT, Running
from tests.support.scripted import Scripted, says, says_and_closes, scripted

KEY = ENVIRONMENT["ECHO_KEY"]
DROPPED = """
    Connection: keep-alive, X-Named, x-other
    Keep-Alive: timeout=5
    X-Named: 1
    x-OTHER: 2
    TE: trailers
    Trailer: X-Sum
    Proxy-Authorization: Basic abcd
    Proxy-Connection: keep-alive
    Forwarded: for=10.0.0.1
    X-Forwarded-For: 10.0.0.1
    X-Forwarded-Host: inside.example
    X-Forwarded-Proto: https
    X-Real-IP: 10.0.0.1
    Via: 1.1 somewhere
    Cookie: session=1
    X-Gateway-Exchange: 00000000000000000000
    x-gateway-anything: 1
    X-Goog-Api-Key: another
    Api-Key: another
"""
KEPT = """
    user-AGENT: bot/1.0 (a; b)
    Accept: */*
    X-Stainless-Lang: python
    accept-encoding: gzip, deflate, br
    X-Twice: b
    X-Twice: a
    x-empty:
    X-Latin: \xe9t\xe9
    Idempotency-Key: 1
    Range: bytes=0-1
    If-None-Match: "abc"
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture(scope="module")
def wired(launcher: Callable[..., Running], provider: Scripted) -> Running:
    routes = (
        f'routes:\n  raw: {{provider: generic, secret: "env:ECHO_KEY", private: true, '
        f'upstream: "{provider.url}/base"}}\n'
    )
    return launcher(routes, bots={"tester": ["raw"]})


@pytest.fixture
def running(wired: Running, provider: Scripted) -> Running:
    wired.since = time.time()
    provider.got.clear()
    provider.play = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    return wired


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def arrived(provider: Scripted) -> tuple[list[str], bytes]:
    (raw,) = provider.got
    head, _, body = raw.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), body


def test_a_request_arrives_as_it_was_but_for_what_is_between_two_machines(
    running: Running, provider: Scripted
) -> None:
    token, body = running.token("tester"), bytes(range(256))
    mixed = [line for pair in zip(lines(KEPT), lines(DROPPED), strict=False) for line in pair]
    mixed += lines(DROPPED)[len(lines(KEPT)) :]
    target = "/raw/a%3Ab/%C3%A9/x+y?b=2&a=%2F&b=&&c"
    head = [f"POST {target} HTTP/1.1", "Host: gateway.example:1", *mixed]
    head += ["Content-Type: x/y; z", f"Authorization: Bearer {token}"]
    with connected(running.port) as sock:
        sock.sendall(request("\n".join(head), body))
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")
    got, got_body = arrived(provider)
    assert got[:2] == [
        "POST /base/a%3Ab/%C3%A9/x+y?b=2&a=%2F&b=&&c HTTP/1.1",
        f"Host: 127.0.0.1:{provider.port}",
    ]
    ours = [f"Authorization: Bearer {KEY}", f"Content-Length: {len(body)}"]
    assert got[2:] == [*lines(KEPT), "Content-Type: x/y; z", *ours]
    assert got_body == body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method(running: Running, provider: Scripted, method: str) -> None:
    head = f"""
        {method} /raw/x HTTP/1.1
        Host: gateway
        Authorization: Bearer {running.token("tester")}
        Connection: close
    """
    if method == "HEAD":
        provider.play = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    answer = call(running.port, request(head))
    assert (answer.status, answer.header("Content-Length")) == (200, "2")
    assert answer.body == (b"" if method == "HEAD" else b"ok")
    got, _ = arrived(provider)
    assert got[0] == f"{method} /base/x HTTP/1.1"
    assert running.record()["method"] == method


def test_a_body_of_unknown_length_stays_one(running: Running, provider: Scripted) -> None:
    head = f"""
        POST /raw/x HTTP/1.1
        Host: gateway
        Authorization: Bearer {running.token("tester")}
        Transfer-Encoding: chunked
        Connection: close
    """
    data = request(head) + b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n"
    assert call(running.port, data).body == b"ok"
    got, body = arrived(provider)
    assert "Transfer-Encoding: chunked" in got
    assert not [line for line in got if line.lower().startswith("content-length")]
    assert body.endswith(b"0\r\n\r\n") or b"hello" in body
    assert running.record()["bytes_in"] == 6


ANSWER_KEPT = """
    content-TYPE: application/json
    X-Request-ID: req-1
    x-ratelimit-remaining-requests: 59
    Date: Mon, 01 Jan 2024 00:00:00 GMT
    Server: raw/1
    Content-Encoding: gzip
    Retry-After: 1
    X-Twice: b
    X-Twice: a
    ETag: "abc"
    Via: 1.1 edge
    Location: https://elsewhere.example/x
"""
ANSWER_DROPPED = """
    Connection: keep-alive, X-Named
    Keep-Alive: timeout=5
    X-Named: 1
    Trailer: X-Sum
    Proxy-Authenticate: Basic
    Upgrade: h3
    Set-Cookie: __cf_bm=1; path=/
    set-cookie: b=2
    Alt-Svc: h3=":443"
    X-Gateway-Exchange: 00000000000000000000
    x-gateway-anything: 1
"""


@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
def test_an_answer_arrives_as_it_was(running: Running, provider: Scripted, framing: str) -> None:
    pairs = zip(lines(ANSWER_KEPT), lines(ANSWER_DROPPED), strict=False)
    head = ["HTTP/1.1 429 Slow Down, Please", *(line for pair in pairs for line in pair)]
    head += lines(ANSWER_KEPT)[len(lines(ANSWER_DROPPED)) :]
    body = bytes(range(256)) * 20
    raw = "\r\n".join(head).encode("latin-1")
    if framing == "length":
        provider.play = says(raw + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    elif framing == "chunked":
        chunks = b"1\r\n" + body[:1] + b"\r\n%x\r\n" % (len(body) - 1) + body[1:] + b"\r\n0\r\n\r\n"
        provider.play = says(raw + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    else:
        provider.play = says_and_closes(raw + b"\r\n\r\n" + body)
    head_out = f"""
        GET /raw/x HTTP/1.1
        Host: gateway
        Authorization: Bearer {running.token("tester")}
        Connection: close
    """
    answer = call(running.port, request(head_out))
    assert answer.raw.startswith(b"HTTP/1.1 429 Slow Down, Please\r\n")
    got = answer.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    kept = lines(ANSWER_KEPT)
    assert got[: len(kept)] == kept
    record = running.record()
    framed = f"Content-Length: {len(body)}" if framing == "length" else "Transfer-Encoding: chunked"
    exchange = f"x-gateway-exchange: {record['exchange']}"
    assert sorted(got[len(kept) :]) == sorted([exchange, "Connection: close", framed])
    assert answer.body == body
    assert (record["request_id"], record["status"]) == ("req-1", 429)
    assert record["bytes_out"] == len(body)


def test_one_connection_carries_one_request_after_another(
    running: Running, provider: Scripted
) -> None:
    head = f"""
        GET /raw/x HTTP/1.1
        Host: gateway
        Authorization: Bearer {running.token("tester")}
    """
    last = head.rstrip() + "\n        Connection: close"
    with connected(running.port) as sock:
        sock.sendall(request(head) * 2 + request(last))
        raw = read_all(sock)
    assert raw.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert len(provider.got) == 3
    exchanges = {record["exchange"] for record in running.records(3)}
    assert len(exchanges) == 3
    assert all(exchange.encode() in raw for exchange in exchanges)
