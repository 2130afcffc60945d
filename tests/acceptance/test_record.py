"""The record: one line on every path, exactly once, equal to what the bot was told and counted."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.process import DemoProcess
from gateway.metrics import NAMES
from tests.support.raw import Answer, call, connected, parse, read_all, request
from tests.support.running import ENVIRONMENT, HEAD, ROUTES, Running, eventually, fetch, free_port
from tests.support.scripted import Scripted, says, says_and_closes, scripted
from tests.support.trail import FIELDS, core

MORE = """\
deadlines: {head: 0.5, body: 0.5, first_byte: 1, stream: 1, connect: 1, linger: 0.2}
sizes: {peek: 1KiB}
"""
# Neither of these may ever be in the record.
QUERY = "words-in-a-query"
BODY = "words-in-a-body"
ID = re.compile(r"[0-9a-f]{20}")


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture(scope="module")
def recording(launcher: Callable[..., Running], provider: Scripted) -> Running:
    keys = 'provider: generic, secret: "env:ECHO_KEY", private: true'
    routes = ROUTES + (
        f'  raw: {{{keys}, upstream: "{provider.url}"}}\n'
        f'  down: {{{keys}, upstream: "http://127.0.0.1:{free_port()}"}}\n'
        f'  poor: {{provider: generic, secret: "env:NOT_THERE", upstream: "{provider.url}", '
        f"private: true}}\n"
        f'  field: {{{keys}, upstream: "{provider.url}", token: [{{json: /clientKey}}]}}\n'
    )
    names = ["openai", "raw", "down", "poor", "field"]
    return launcher(routes, bots={"tester": names, "idle": []}, head=HEAD, more=MORE)


@pytest.fixture
def running(recording: Running, provider: Scripted) -> Running:
    recording.since = time.time()
    provider.got.clear()
    provider.play = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    return recording


def ask(
    running: Running, route: str, more: str = "", bot: str = "tester", body: bytes = b""
) -> bytes:
    head = f"""
        POST /{route}/x?q={QUERY} HTTP/1.1
        Host: gateway
        Authorization: Bearer {running.token(bot)}
        Connection: close
        {more or "X-Nothing: 1"}
    """
    return request(head, body or json.dumps({"said": BODY}).encode())


def token_of(running: Running) -> str:
    return f"Bearer {running.token('tester')}"


REFUSALS: dict[str, tuple[int, str, Callable[[Running], bytes]]] = {
    "no route": (404, "no_route", lambda r: ask(r, "nowhere")),
    "ambiguous path": (400, "ambiguous_path", lambda r: ask(r, "raw/../openai")),
    "no token": (401, "no_token", lambda r: ask(r, "raw").replace(b"Authorization", b"X-Other")),
    "unknown token": (401, "unknown_token", lambda r: ask(r, "raw").replace(b"rer ", b"rer x")),
    "two tokens": (401, "two_tokens", lambda r: ask(r, "raw", "X-Api-Key: other")),
    "no rule": (403, "route_not_allowed", lambda r: ask(r, "raw", bot="idle")),
    "no secret": (503, "secret_unavailable", lambda r: ask(r, "poor")),
    "no provider": (502, "upstream_unreachable", lambda r: ask(r, "down")),
    "body too large to read": (
        413, "body_too_large",
        lambda r: ask(r, "field", "Content-Type: application/json", body=b"{" + b" " * 2048 + b"}"),
    ),
    "upgrade": (
        501, "upgrade",
        lambda r: ask(r, "raw").replace(b"close", b"close, upgrade\r\nUpgrade: websocket"),
    ),
    "expectation": (417, "expectation", lambda r: ask(r, "raw", "Expect: a miracle")),
    "both framings": (400, "framing", lambda r: ask(r, "raw", "Transfer-Encoding: chunked")),
    "not a head": (400, "request_line", lambda r: b"nonsense\r\n\r\n"),
    "bare line ending": (400, "bare_line_ending", lambda r: b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
    "http/2": (505, "http_version", lambda r: b"PRI * HTTP/2.0\r\n\r\n"),
    "too large a head": (431, "head_too_large", lambda r: ask(r, "raw", "X: " + "x" * 70_000)),
    "too many headers": (431, "too_many_headers", lambda r: ask(r, "raw", "X: 1\n" * 200)),
    "half a head": (408, "head_timeout", lambda r: ask(r, "raw")[:50]),
    "half a body": (408, "body_timeout", lambda r: ask(r, "raw")[:-5]),
}  # fmt: skip


def only_record(running: Running, answer: Answer) -> dict[str, object]:
    """Assert one line, the one that the answer names; nothing private in it; return it."""
    exchange = answer.header("x-gateway-exchange")
    assert exchange is not None
    assert ID.fullmatch(exchange)
    record = running.record(exchange=exchange)
    assert set(record) == FIELDS
    line = json.dumps(record)
    for private in (QUERY, BODY, core(running.token("tester")), *ENVIRONMENT.values()):
        assert private not in line
    assert record["status"] == answer.status
    assert len(running.recorded()) == 1
    return record


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal(running: Running, provider: Scripted, name: str) -> None:
    status, code, build = REFUSALS[name]
    if name == "half a body":
        provider.play = lambda _: None
    answer = call(running.port, build(running))
    assert answer.status == status, answer.raw
    error = json.loads(answer.body)["error"]
    assert error["code"] == code
    assert error["message"].startswith("The gateway refused this: ")
    record = only_record(running, answer)
    assert (record["outcome"], record["code"]) == ("refused", code)
    assert provider.got == [] or name == "half a body"


UPSTREAM: dict[str, tuple[int, str, bytes | None]] = {
    "not HTTP": (502, "upstream_malformed", b"hello\r\n\r\n"),
    "too large a head": (502, "upstream_malformed", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000),
    "two framings": (
        502, "upstream_malformed",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "nothing, then the end": (502, "upstream_closed", b""),
    "half a head": (502, "upstream_closed", b"HTTP/1.1 200 OK\r\nX: "),
    "nothing": (504, "upstream_timeout", None),
}  # fmt: skip


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_provider_that_does_not_answer(running: Running, provider: Scripted, name: str) -> None:
    status, code, said = UPSTREAM[name]
    provider.play = (lambda _: None) if said is None else says_and_closes(said)
    answer = call(running.port, ask(running, "raw"))
    assert answer.status == status, answer.raw
    record = only_record(running, answer)
    assert (record["outcome"], record["code"], record["attempts"]) == ("refused", code, 1)
    assert record["secret"] == "env:ECHO_KEY v1"


CUT = {
    "within its length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    "within its chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
}


@pytest.mark.parametrize("name", CUT)
def test_an_answer_that_is_cut(running: Running, provider: Scripted, name: str) -> None:
    provider.play = says_and_closes(CUT[name])
    answer = call(running.port, ask(running, "raw"))
    assert answer.status == 200
    assert answer.body.endswith(b"half")
    record = only_record(running, answer)
    assert (record["outcome"], record["code"]) == ("cut", "upstream_incomplete")
    assert record["bytes_out"] == 4


def test_a_bot_that_leaves_before_the_answer(running: Running, provider: Scripted) -> None:
    provider.play = lambda _: None
    with connected(running.port) as sock:
        sock.sendall(ask(running, "raw"))
        eventually(lambda: provider.got, "request at the provider")
    record = running.record(bot="tester")
    assert (record["status"], record["outcome"], record["code"]) == (499, "gone", "client_gone")
    assert record["bytes_out"] == 0


def test_a_bot_that_leaves_within_a_stream(running: Running, demo: DemoProcess) -> None:
    body = json.dumps({
        "model": "demo-tokens-1000-pace-0.05", "stream": True,
        "messages": [{"role": "user", "content": BODY}],
    }).encode()  # fmt: skip
    head = f"""
        POST /openai/v1/chat/completions HTTP/1.1
        Host: gateway
        Content-Type: application/json
        Authorization: {token_of(running)}
    """
    with connected(running.port) as sock:
        sock.sendall(request(head, body))
        got = b""
        while b"data:" not in got:
            got += sock.recv(65_536)
        answer = parse(got)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    record = only_record(running, Answer(499, answer.headers, b"", b""))
    assert (record["outcome"], record["code"]) == ("gone", "client_gone")
    assert isinstance(record["bytes_out"], int)
    assert record["bytes_out"] > 0
    eventually(lambda: demo.seen()[0].ended == "cut", "end of the provider's side")


def test_a_token_in_the_path_is_not_recorded(running: Running) -> None:
    token = running.token("tester")
    paths = [f"/telegram/bot{token}/getMe", f"/nowhere/bot{token}/getMe", f"/{token}"]
    # What comes of a base URL with too much in it, or too little.
    paths += [f"/telegram/{token}/getMe", f"/telegram/bot/bot{token}/getMe"]
    paths += [f"/telegram/v1/bot{token}/getMe", f"/telegram/Bot{token}/getMe"]
    for path in paths:
        status, headers, _ = fetch(running.port, "GET", path, {})
        assert status in (401, 403, 404)
        record = running.record(exchange=headers["x-gateway-exchange"])
        assert core(token) not in json.dumps(record)


@pytest.mark.parametrize(
    ("model", "kind", "body"),
    [
        ("m-1", "application/json", b'{"model": "m-1", "messages": []}'),
        ("m-2", "application/json", b'{"messages": ["' + b"x" * 30_000 + b'"], "model": "m-2"}'),
        ("m-3", "application/x-www-form-urlencoded", b"a=1&model=m-3"),
    ],
    ids=["small", "larger", "form"],
)
@pytest.mark.parametrize("pieces", [1, 2], ids=["in one piece", "after its head"])
def test_the_record_names_the_model(
    running: Running, demo: DemoProcess, model: str, kind: str, body: bytes, pieces: int
) -> None:
    head = f"""
        POST /openai/v1/chat/completions HTTP/1.1
        Host: gateway
        Content-Type: {kind}
        Expect: {"100-continue" if pieces == 2 else ""}
        Authorization: {token_of(running)}
        Connection: close
    """
    if pieces == 1:
        head = head.replace("        Expect: \n", "")
    data = request(head, body)
    with connected(running.port) as sock:
        sock.sendall(data[: -len(body)] if pieces == 2 else data)
        if pieces == 2:  # as httpx does, whose head is a write of its own
            assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
            sock.sendall(body)
        read_all(sock)
    assert demo.seen()[0].body_bytes == len(body)
    assert running.record(bot="tester")["subject"] == model


@pytest.mark.parametrize(
    "target", ["/openai/v1/chat/completions", "/openai/v1/none"], ids=["answered", "refused"]
)
def test_every_answer_names_its_exchange(running: Running, target: str) -> None:
    status, headers, _ = fetch(running.port, "POST", target, {"Authorization": token_of(running)})
    assert status in (400, 404)
    assert running.record(exchange=headers["x-gateway-exchange"])["outcome"] == "answered"


def test_metrics_add_up_with_the_record(running: Running, provider: Scripted) -> None:
    for data in (ask(running, "raw"), ask(running, "nowhere"), ask(running, "raw", bot="idle")):
        call(running.port, data)
    running.since = 0.0
    records = eventually(lambda: _settled(running), "record as long as the metrics say")
    metrics = running.metrics()
    exchanges = Counter((r["route"], r["bot"], str(r["status"])) for r in records)
    assert _labelled(metrics, "gateway_exchanges_total", "route", "bot", "status") == exchanges
    refused = Counter((r["route"], r["code"]) for r in records if r["outcome"] == "refused")
    assert _labelled(metrics, "gateway_refusals_total", "route", "code") == refused
    size: Counter[tuple[str, ...]] = Counter()
    for record in records:
        size[record["route"], "request"] += record["bytes_in"]
        size[record["route"], "response"] += record["bytes_out"]
    assert _labelled(metrics, "gateway_bytes_total", "route", "direction") == size
    for route, count in Counter(r["route"] for r in records).items():
        assert metrics[f'gateway_exchange_seconds_count{{route="{route}"}}'] == count
    assert metrics["gateway_open_exchanges"] == 0


def _settled(running: Running) -> list[dict[str, Any]]:
    metrics = running.metrics()
    total = sum(n for name, n in metrics.items() if name.startswith("gateway_exchanges_total"))
    found = running.recorded()
    return found if len(found) == total and not metrics["gateway_open_exchanges"] else []


def _labelled(metrics: dict[str, float], name: str, *labels: str) -> dict[tuple[str, ...], float]:
    found = {}
    for sample, value in metrics.items():
        if sample.startswith(name + "{"):
            pairs = dict(re.findall(r'(\w+)="([^"]*)"', sample))
            found[tuple(pairs[label] for label in labels)] = value
    return found


def test_the_admin_listener(running: Running) -> None:
    assert running.ask("/healthz") == (200, b'{"status": "ok"}')
    status, body = running.ask("/readyz")
    assert (status, json.loads(body)["ready"]) == (200, True)
    families = set(re.findall(r"# TYPE (\S+)", running.ask("/metrics")[1].decode()))
    assert families <= NAMES
    for path in ("/metrics", "/healthz", "/readyz"):
        assert running.get(path)[0] == 404, "bots must not see it"


def test_the_record_is_for_its_owner_only(running: Running) -> None:
    path: Path = running.folder / "record.jsonl"
    eventually(path.exists, "record")
    assert path.stat().st_mode & 0o077 == 0
