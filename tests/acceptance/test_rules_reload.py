"""Reload (row 41): a bad file changes nothing and is told of; a good one holds at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.process import DemoProcess
from tests.support.asking import Ask
from tests.support.raw import parse, read_all, request
from tests.support.running import (
    DEADLINE,
    ENVIRONMENT,
    HEAD,
    ROUTES,
    Running,
    eventually,
    free_port,
    launch,
)

RATE = 50
WITHIN = 2.0
"""Seconds in which a good file takes effect, by whatever way it came."""
GRANTED = "  alice: {allow: [echo]}\n  bob: {allow: [echo]}\n"
BOTS = f"bots:\n{GRANTED}"
LAUGHS = "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9) if n else 'lol'}]\n" for n in range(10)
)
NEVER = 3600.0
"""Seconds between looks at the file, where only a signal is to count."""
BIG, LINE = 10 * 1024 * 1024, f"- {'x' * 1000}\n"


def broken(text: str, old: str, new: str) -> bytes:
    assert text.count(old) == 1
    return text.replace(old, new).encode()


# What makes a good file bad, and what is said of it: the line's text (or None), and words.
BAD: dict[str, tuple[Callable[[str], bytes], str | None, str]] = {
    "syntax": (lambda t: broken(t, "{allow: [echo]}\n  bob", "{allow: [echo\n  bob"), "  bob", ""),
    "unknown key": (lambda t: broken(t, "log: debug", "log: debug\nlogg: 1"), "logg: 1", "logg"),
    "bad CIDR": (
        lambda t: broken(t, "log: debug", "log: debug\naddresses: [10.0.0.0/40]"),
        "addresses:", "addresses[0]",
    ),
    "missing secret": (
        lambda t: broken(
            t, "bots:", '  more: {provider: openai, secret: "env:NOT_THERE"}\nbots:'
        ),
        None, "env:NOT_THERE",
    ),
    "empty": (lambda t: b"", None, "the file is empty"),
    "ten megabytes": (lambda t: f"{t}more:\n{LINE * (BIG // len(LINE))}".encode(), "more:", "more"),
    "binary": (lambda t: bytes(range(256)) * 64, None, "not UTF-8"),
    "duplicate keys": (lambda t: broken(t, "bots:", "log: info\nbots:"), "log: info", "log"),
    "anchor bomb": (lambda t: (LAUGHS + t).encode(), "x1: &x1", "aliases"),
    "unknown provider": (
        lambda t: broken(t, "provider: generic", "provider: genric"), "genric", "genric",
    ),
    "two routes with one prefix": (
        lambda t: broken(
            t, "bots:", "  twin: {provider: openai, secret: null, prefix: /echo}\nbots:"
        ),
        "twin:", "prefix",
    ),
}  # fmt: skip


class Load:
    """A bot that asks all the time, at a steady rate, over a connection that is kept."""

    def __init__(self, running: Running, bot: str = "alice", path: str = "/echo/x") -> None:
        self._running = running
        self._headers = {"Authorization": f"Bearer {running.token(bot)}"}
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_all, name="load")
        self.exchanges: list[str] = []
        self.failures: list[object] = []
        self.seconds = 0.0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(DEADLINE)

    def _ask_all(self) -> None:
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self._running.port, timeout=DEADLINE)
        with contextlib.closing(connection):
            while not self._over.wait(
                max(0, began + len(self.exchanges) / (1.4 * RATE) - time.perf_counter())
            ):
                self._ask(connection)
        self.seconds = time.perf_counter() - began

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.request("GET", self._path, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
            self.exchanges.append(answer.headers["x-gateway-exchange"])
            if answer.status != 200:
                self.failures.append(answer.status)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(error)
            self.exchanges.append("")

    def assert_steady(self) -> None:
        assert not self.failures
        assert len(self.exchanges) >= RATE * self.seconds


@pytest.fixture(scope="module")
def served(launcher: Callable[..., Running]) -> Running:
    return launcher(ROUTES + BOTS, more="reload: 0.1\n")


@pytest.fixture
def running(served: Running) -> Iterator[Running]:
    """A gateway with its good file, before and after."""
    text = served.config.read_text()
    served.since = time.time()
    yield served
    put(served, text.encode())
    eventually(lambda: is_good(served), "good configuration")


def put(running: Running, raw: bytes) -> None:
    """Put a file in the place of the configuration, as an editor does."""
    if running.config.is_dir():
        running.config.rmdir()
    fresh = running.config.with_suffix(".new")
    fresh.write_bytes(raw)
    fresh.replace(running.config)


def problem(running: Running) -> str | None:
    """Return what readiness says of the configuration; the gateway is ready all the same."""
    status, body = running.ask("/readyz")
    assert status == 200
    found: str | None = json.loads(body)["notes"].get("configuration")
    return found


def is_good(running: Running) -> bool:
    """Whether the newest file is in use, by readiness and by metric."""
    return problem(running) is None and running.metrics()["gateway_config_reload_ok"] == 1


def told(running: Running, bad: int, said: int) -> str:
    """Wait for the next bad file after `bad`; return what log and readiness agree on."""
    eventually(lambda: running.reloads()[1] > bad, "look at the bad file")
    found = problem(running)
    assert found is not None
    assert running.metrics()["gateway_config_reload_ok"] == 0
    log = running.stderr()[said:]
    assert f"the configuration stays as it was:\n{found}" in log
    return found


@pytest.mark.parametrize(("by", "poll"), [("change", 0.1), ("signal", NEVER)])
def test_twelve_bad_files_at_steady_load_fail_no_request(
    gateway: Callable[..., Running], by: str, poll: float
) -> None:
    running = gateway(ROUTES + BOTS, more=f"reload: {poll}\n")
    text = running.config.read_text()
    with Load(running) as load:
        for name, (make, line, words) in BAD.items():
            if name == "anchor bomb" and by == "change":
                continue  # it takes seconds, and the way it comes makes no difference to them
            bad, said = running.reloads()[1], len(running.stderr())
            raw = make(text)
            put(running, raw)
            if by == "signal":
                running.hang_up()
            found = told(running, bad, said)
            assert words in found, (name, found)
            if line is not None:
                lines = raw.decode().splitlines()
                number = next(n for n, one in enumerate(lines, 1) if line in one)
                assert f"routes.yaml:{number}:" in found, (name, found)
            assert not [key for key in ENVIRONMENT.values() if key in found]
        bad, said = running.reloads()[1], len(running.stderr())
        running.config.unlink()
        running.config.mkdir()
        if by == "signal":
            running.hang_up()
        assert "this file cannot be read: Is a directory" in told(running, bad, said)
        put(running, text.encode())
        if by == "signal":
            running.hang_up()
        eventually(lambda: is_good(running), "good configuration", WITHIN)
    load.assert_steady()


def test_a_good_file_takes_effect_within_two_seconds_as_configured_by_default(
    gateway: Callable[..., Running],
) -> None:
    running = gateway(ROUTES + BOTS)
    ask = Ask("bob", "GET", "/echo/x")
    text = running.config.read_text()
    assert ask.of(running).status == 200
    for changed, code in ((text.replace("bob: {allow: [echo]}", "bob: {}"), "route_not_allowed"),
                          (text, "")):  # fmt: skip
        put(running, changed.encode())
        eventually(lambda: ask.of(running).code == code, "effect of the change", WITHIN)  # noqa: B023
        eventually(lambda: is_good(running), "word of it", WITHIN)
    assert running.reloads() == (2, 0)


# What is under way


def stream(running: Running, bot: str, port: int = 0, events: int = 4) -> socket.socket:
    """Begin a stream that ends by itself in two seconds; return its connection."""
    sock = socket.create_connection(("127.0.0.1", port or running.port), timeout=DEADLINE)
    head = f"""
        GET {"" if port else "/echo"}/sse?events={events}&interval=0.5 HTTP/1.1
        Host: gateway
        Authorization: Bearer {running.token(bot)}
        Connection: close
    """
    sock.sendall(request(head))
    assert sock.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
    return sock


def test_a_stream_under_way_keeps_the_rules_that_it_began_with(running: Running) -> None:
    text = running.config.read_text()
    with stream(running, "bob") as sock:
        put(running, broken(text, "  bob: {allow: [echo]}\n", "  bob: {allow: [openai]}\n"))
        ask = Ask("bob", "GET", "/echo/x")
        eventually(lambda: ask.of(running).code == "route_not_allowed", "effect", WITHIN)
        assert not streams(running), "it was still open when the next one was refused"
        whole = parse(b"HTTP/1.1 200" + read_all(sock)).body
    assert whole.count(b"data:") >= 4
    (record,) = eventually(lambda: streams(running), "record of the stream")
    assert record["outcome"] == "answered"
    assert record["rule"].endswith("bots.bob.allow[0]")


def streams(running: Running) -> list[dict[str, Any]]:
    return [record for record in running.recorded() if record["path"] == "/sse"]


def test_a_bot_taken_out_ends_and_a_bot_put_in_begins(running: Running) -> None:
    text = running.config.read_text()
    put(running, broken(text, "  bob: {allow: [echo]}\n", "  carl: {allow: [echo]}\n"))
    eventually(lambda: Ask("bob", "GET", "/echo/x").of(running).code == "bot_unknown", "effect")
    running.issue(["carl"])
    carl = Ask("carl", "GET", "/echo/x")
    eventually(lambda: carl.of(running).status == 200, "new bot's token", WITHIN)


def test_a_listener_is_added_and_taken_away(running: Running) -> None:
    text, port = running.config.read_text(), free_port()
    own = f'listen: "127.0.0.1:{port}"'
    route = '  own: {provider: generic, secret: "env:ECHO_KEY", private: true, upstream: '
    upstream = (
        text.partition("echo: {provider: generic")[2].partition("upstream: ")[2].split(",")[0]
    )
    added = text.replace("bots:", f"{route}{upstream}, {own}}}\nbots:", 1)
    put(running, added.replace("bob: {allow: [echo]}", "bob: {allow: [echo, own]}").encode())
    ask = Ask("bob", "GET", "/x")

    def answers() -> bool:
        with contextlib.suppress(ConnectionError):
            return ask.of(running, port=port).status == 200
        return False

    with Load(running) as load:
        eventually(answers, "the new listener", WITHIN)
        assert running.records(1, bot="bob")[-1]["route"] == "own"
        with stream(running, "bob", port) as sock:
            put(running, text.encode())
            eventually(lambda: not answers(), "end of the listener", WITHIN)
            whole = parse(b"HTTP/1.1 200" + read_all(sock)).body
        assert whole.count(b"data:") >= 4, "what was open there went on to its end"
    load.assert_steady()


def test_an_address_that_is_taken_leaves_all_as_it_was(running: Running) -> None:
    text = running.config.read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bad, said = running.reloads()[1], len(running.stderr())
        listen = f"listen: [127.0.0.1:{running.port}, 127.0.0.1:{port}]"
        put(running, broken(text, f"listen: 127.0.0.1:{running.port}", listen))
        assert f"cannot listen on 127.0.0.1:{port}" in told(running, bad, said)
    assert Ask("alice", "GET", "/echo/x").of(running).status == 200


# How it comes


def test_kubernetes_swap_of_data_takes_effect(demo: DemoProcess, tmp_path: Path) -> None:
    """A mounted ConfigMap is a link to `..data/FILE`, and `..data` a link that is replaced."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "routes.yaml").symlink_to("..data/routes.yaml")
    text = HEAD + "reload: 0.1\n" + ROUTES.replace("{demo}", demo.url) + BOTS
    running = launch(tmp_path, text, ENVIRONMENT)
    try:
        changed = running.config.read_text().replace("bob: {allow: [echo]}", "bob: {}")
        (tmp_path / "v2" / "routes.yaml").write_text(changed)
        ask = Ask("bob", "GET", "/echo/x")
        with Load(running) as load:
            assert ask.of(running).status == 200
            (tmp_path / "..data_tmp").symlink_to("v2")
            (tmp_path / "..data_tmp").replace(tmp_path / "..data")
            eventually(lambda: ask.of(running).code == "route_not_allowed", "the swap", WITHIN)
        load.assert_steady()
    finally:
        running.stop()


def test_the_record_is_rotated_by_signal_and_loses_no_line(running: Running) -> None:
    record = running.folder / "record.jsonl"
    with Load(running) as load:
        for number in range(5):
            seen = len(load.exchanges)
            eventually(lambda: len(load.exchanges) > seen + 5, "more requests")  # noqa: B023
            record.rename(record.with_suffix(f".{number}"))
            running.hang_up()
            eventually(record.exists, "new file of the record", WITHIN)
    load.assert_steady()

    def written() -> list[str]:
        files = sorted(running.folder.glob("record.*"))
        lines = [line for one in files for line in one.read_text().splitlines()]
        return [json.loads(line)["exchange"] for line in lines]

    eventually(lambda: set(load.exchanges) <= set(written()), "line of every exchange")
    found = written()
    assert len(found) == len(set(found)), "each exactly once"
    for moved in running.folder.glob("record.[0-9]"):
        assert moved.stat().st_size, "something was recorded in each"
