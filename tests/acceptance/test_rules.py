"""Rules at work: groups and labels, observing, host names and ports, guessers, long bodies.

Scope is in test_rules_scope.py, limits in test_rules_limits.py, what reads a body's fields in
test_rules_fields.py, reload in test_rules_reload.py, the switch in test_rules_switch.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.guesses import FREE
from gateway.demo.process import DemoProcess
from tests.support.asking import FORM, JSON, Ask, Reply, part_of
from tests.support.raw import connected, parse, read_all, request
from tests.support.running import ROUTES, Running, eventually, free_port

OWN_PORT = free_port()
PAUSE = 1.5
RULES = f"""\
  watched: {{provider: openai, secret: "env:OPENAI_KEY", upstream: "{{demo}}", private: true,
            mode: observe}}
  named: {{provider: generic, secret: "env:ECHO_KEY", upstream: "{{demo}}/echo", private: true,
          host: echo.gateway.test}}
  ported: {{provider: generic, secret: "env:ECHO_KEY", upstream: "{{demo}}/echo", private: true,
           listen: "127.0.0.1:{OWN_PORT}"}}
addresses: [127.0.0.0/24]
deadlines: {{wrong_token: {PAUSE}}}
labels:
  team-a: {{limits: [{{requests: 3, per: hour}}]}}
groups:
  workers:
    allow:
      - {{route: telegram, methods: [sendMessage], chats: [777]}}
    addresses: [127.0.0.20, 127.0.0.21]
    limits: [{{requests: 2, per: hour}}]
bots:
  ada: {{groups: [workers], allow: [{{route: telegram, methods: [sendMessage], chats: [888]}}]}}
  bob: {{groups: [workers], addresses: [127.0.0.30]}}
  cleo: {{labels: [team-a], allow: [echo]}}
  dora: {{labels: [team-a], allow: [echo]}}
  near: {{addresses: [127.0.0.7], allow: [echo]}}
  host: {{allow: [named, ported, openai]}}
  loud: {{allow: [echo]}}
  long: {{allow: [{{route: telegram, methods: [sendDocument], chats: [12345]}}]}}
  eve: {{mode: observe, allow: [{{route: openai, presets: [read]}}]}}
  far: {{mode: observe, addresses: [10.0.0.0/8], allow: [echo]}}
  busy: {{mode: observe, limits: [{{requests: 1, per: hour}}],
         allow: [echo, {{route: discord, presets: [read]}}]}}
  cold: {{mode: observe, allow: [echo]}}
  finn: {{allow: [{{route: watched, presets: [inference], models: [gpt-5-mini]}}]}}
"""
SEND = "/telegram/bot@@/sendMessage"
CHAT = "/{}/v1/chat/completions"
BODY = b'{"model": "%b", "messages": [{"role": "user", "content": "x"}]}'
LENGTH = 20 * 1024 * 1024
ROOM = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def ruled(launcher: Callable[..., Running]) -> Running:
    return launcher(ROUTES + RULES)


@pytest.fixture
def running(ruled: Running) -> Running:
    ruled.since = time.time()
    return ruled


# Groups and labels


def send(running: Running, bot: str, chat: int, source: str) -> Reply:
    return Ask(bot, "POST", SEND, b"chat_id=%d&text=x" % chat, (FORM,), source).of(running)


def test_a_group_adds_rules_and_addresses_and_each_bot_counts_for_itself(running: Running) -> None:
    group = "groups.workers.allow[0]"
    for bot in ("ada", "bob"):
        for _ in range(2):
            reply = send(running, bot, 777, "127.0.0.20")
            assert reply.status == 200
            assert group in running.record(exchange=reply.exchange)["rule"]
        reply = send(running, bot, 777, "127.0.0.20")
        assert (reply.status, reply.code) == (429, "rate_limit"), "two in an hour, each for itself"
    assert send(running, "ada", 888, "127.0.0.21").code == "rate_limit", "its own rule, the limit"
    assert send(running, "bob", 888, "127.0.0.20").code == "chat_not_allowed", "of the other alone"
    assert send(running, "bob", 777, "127.0.0.30").code == "rate_limit", "its own address"
    assert send(running, "ada", 777, "127.0.0.30").code == "address_not_allowed"
    assert send(running, "bob", 777, "127.0.0.31").code == "address_not_allowed"


def test_bots_of_a_label_share_its_limit(running: Running) -> None:
    asks = [Ask(bot, "GET", "/echo/x") for bot in ("cleo", "dora", "cleo", "dora", "cleo")]
    replies = [ask.of(running) for ask in asks]
    assert [one.status for one in replies] == [200, 200, 200, 429, 429]
    assert b"All bots of label team-a together may make 3 requests per hour" in replies[-1].body
    assert "ratelimit" not in replies[0].headers, "what is left would tell how busy others are"
    assert "ratelimit" not in replies[-1].headers


# Addresses


def test_own_and_global_addresses_both_hold(running: Running) -> None:
    assert Ask("near", "GET", "/echo/x", source="127.0.0.7").of(running).status == 200
    for source, whose in (("127.0.0.8", "this bot"), ("127.8.8.8", "this gateway")):
        reply = Ask("near", "GET", "/echo/x", source=source).of(running)
        assert (reply.status, reply.code) == (403, "address_not_allowed")
        record = running.record(exchange=reply.exchange)
        assert (record["address"], record["found"]) == (source, "")
        told = f"Address {source} (the connection's own) is not among those {whose} may"
        assert told in reply.body.decode()


# Routes by host name and by port


def test_a_route_is_reached_by_its_host_name_alone(running: Running, demo: DemoProcess) -> None:
    for name in ("echo.gateway.test", "ECHO.gateway.test", "echo.gateway.test:8080"):
        reply = Ask("host", "GET", "/v1/x", lines=(f"Host: {name}",)).of(running)
        assert reply.status == 200
        assert running.record(exchange=reply.exchange)["route"] == "named"
    assert {one.raw_path for one in demo.seen()} == {"/echo/v1/x"}
    for name in ("gateway.test", "x.echo.gateway.test", "echo.gateway.test.evil"):
        lines = (f"Host: {name}", "X-Forwarded-Host: echo.gateway.test")
        assert Ask("host", "GET", "/v1/x", lines=lines).of(running).code == "no_route"
    models = Ask("host", "GET", "/openai/v1/models", lines=("Host: echo.gateway.test",))
    assert running.record(exchange=models.of(running).exchange)["route"] == "named", (
        "its whole host"
    )


def test_a_route_is_reached_by_its_port_alone(running: Running, demo: DemoProcess) -> None:
    ask = Ask("host", "GET", "/v1/x")
    reply = ask.of(running, port=OWN_PORT)
    assert reply.status == 200
    assert running.record(exchange=reply.exchange)["route"] == "ported"
    assert ask.of(running).code == "no_route"
    reply = Ask("host", "GET", "/openai/v1/models").of(running, port=OWN_PORT)
    assert running.record(exchange=reply.exchange)["route"] == "ported", "no other is at this port"
    assert {one.raw_path for one in demo.seen()} == {"/echo/v1/x", "/echo/openai/v1/models"}
    assert ask.of(running, running.token("cleo"), OWN_PORT).code == "route_not_allowed"


# Observing


def observed(running: Running, ask: Ask, token: str = "") -> tuple[str, str]:
    """Send it; return the codes of its refusal and of the one that was let pass."""
    reply = ask.of(running, token)
    record = running.record(exchange=reply.exchange)
    assert record["code"] == reply.code
    assert record["outcome"] == ("refused" if reply.code else "answered")
    return reply.code, record["observed"]


def counted(running: Running, route: str, code: str) -> float:
    name = f'gateway_observed_total{{code="{code}",route="{route}"}}'
    return running.metrics().get(name, 0.0)


def test_a_bot_that_is_observed_passes_and_is_noted(running: Running) -> None:
    before = counted(running, "openai", "path_not_allowed")
    chat = Ask("eve", "POST", CHAT.format("openai"), BODY % b"gpt-5", (JSON,))
    assert observed(running, chat) == ("", "path_not_allowed")
    assert observed(running, Ask("eve", "GET", "/openai/v1/models")) == ("", "")
    assert counted(running, "openai", "path_not_allowed") == before + 1
    echo = Ask("far", "GET", "/echo/x")
    assert observed(running, echo) == ("", "address_not_allowed"), "the first objection is noted"


def test_a_route_that_is_observed_lets_pass_for_all_bots(running: Running) -> None:
    target = CHAT.format("watched")
    before = counted(running, "watched", "model_not_allowed")
    good, bad = (
        Ask("finn", "POST", target, BODY % name, (JSON,)) for name in (b"gpt-5-mini", b"o9")
    )
    assert observed(running, good) == ("", "")
    assert observed(running, bad) == ("", "model_not_allowed")
    assert counted(running, "watched", "model_not_allowed") == before + 1
    assert observed(running, Ask("cleo", "GET", "/watched/v1/models")) == ("route_not_allowed", "")


def test_limits_are_observed_too(running: Running) -> None:
    notes = [observed(running, Ask("busy", "GET", "/echo/x")) for _ in range(3)]
    assert notes == [("", ""), ("", "rate_limit"), ("", "rate_limit")]
    assert counted(running, "echo", "rate_limit") == 2


def test_what_is_refused_even_where_one_only_observes(running: Running) -> None:
    leads_past = Ask("busy", "GET", "/discord/api/v10/gateway")
    assert observed(running, leads_past)[0] == "not_carried"
    assert observed(running, Ask("eve", "GET", "/echo/x"))[0] == "route_not_allowed"
    assert observed(running, Ask("eve", "GET", "/nowhere")) == ("no_route", "")
    assert observed(running, Ask("eve", "GET", "/openai/v1/../v1/models")) == ("ambiguous_path", "")
    assert observed(running, Ask("eve", "GET", "/openai/v1/models"), "wrong") == (
        "unknown_token",
        "",
    )
    running.cli("bot", "freeze", "cold")
    cold = Ask("cold", "GET", "/echo/x")
    eventually(lambda: cold.of(running).code == "frozen", "freeze of an observed bot", 2.0)


# Guessers


def test_an_address_that_guesses_is_slowed_and_no_right_token_with_it(running: Running) -> None:
    guesser = "127.0.0.99"
    right = Ask("loud", "GET", "/echo/x", source=guesser)
    for number in range(FREE):
        assert right.of(running, f"sk-gwt-guess-{number}").code == "unknown_token"
    slowed: list[tuple[float, Reply]] = []

    def guess() -> None:
        began = time.perf_counter()
        reply = right.of(running, "sk-gwt-one-more")
        slowed.append((time.perf_counter() - began, reply))

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert right.of(running).status == 200
    assert not slowed, "twenty right ones passed while the wrong ones waited"
    elsewhere = Ask("loud", "GET", "/echo/x", source="127.0.0.98")
    assert elsewhere.of(running, "sk-gwt-guess").code == "unknown_token"
    for thread in threads:
        thread.join()
    assert {(reply.status, reply.code) for _, reply in slowed} == {(429, "too_many_wrong_tokens")}
    assert min(seconds for seconds, _ in slowed) >= PAUSE
    assert right.of(running).status == 200, "and the bot is not locked afterwards"
    assert f"{guesser} showed more than {FREE} wrong tokens" in running.stderr()


# Long bodies


def document(running: Running, *, after: bytes = b"") -> tuple[bytes, bytes]:
    """Return head and body of a form with a long file, and what follows the file."""
    file = b'--b\r\nContent-Disposition: form-data; name="document"; filename="f"\r\n\r\n'
    form = part_of("chat_id", "12345") + file + bytes(LENGTH) + b"\r\n" + after + b"--b--\r\n"
    head = f"""
        POST /telegram/bot{running.token("long")}/sendDocument HTTP/1.1
        Host: gateway
        Connection: close
        Content-Type: multipart/form-data; boundary=b
        Content-Length: {len(form)}
    """
    return request(head), form


def peak(running: Running, *, anew: bool = False) -> int:
    """Return the most bytes that the gateway ever had in memory, or had since asked `anew`."""
    assert running.child is not None
    process = Path(f"/proc/{running.child.pid}")
    if anew:
        (process / "clear_refs").write_text("5")
    return int((process / "status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def test_a_long_file_passes_a_rule_on_chats_without_being_held(
    running: Running, demo: DemoProcess
) -> None:
    head, form = document(running)
    before = peak(running, anew=True)
    with connected(running.port) as sock:
        sock.sendall(head + form)
        assert parse(read_all(sock)).status == 200
    assert peak(running) - before < ROOM
    (seen,) = demo.seen()
    assert (seen.body_bytes, seen.ended) == (len(form), "answered")
    assert running.record(bot="long")["subject"] == "12345"


def test_a_second_chat_after_the_file_never_reaches_the_provider_whole(
    running: Running, demo: DemoProcess
) -> None:
    head, form = document(running, after=part_of("chat_id", "666"))
    before = peak(running, anew=True)
    with connected(running.port) as sock:
        sock.sendall(head + form)
        reply = parse(read_all(sock))
    assert reply.status == 400
    assert b"scope_unreadable" in reply.body
    assert peak(running) - before < ROOM
    eventually(lambda: demo.seen()[0].ended == "cut", "end at the provider")
    (seen,) = demo.seen()
    assert seen.body_bytes < len(form)
    assert not seen.holds("666")
    record = running.record(bot="long")
    assert (record["code"], record["outcome"]) == ("scope_unreadable", "refused")
