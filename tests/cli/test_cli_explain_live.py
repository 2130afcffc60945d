"""What `gateway explain` says is what a running gateway does and records."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.commands import gateway
from tests.support.running import Running, eventually, fetch

RULES = """\
proxies: {trusted: [127.0.0.1]}
routes:
  openai: {secret: "env:OPENAI_KEY", upstream: "{demo}", private: true}
  watched:
    provider: openai
    secret: "env:OPENAI_KEY"
    upstream: "{demo}"
    private: true
    mode: observe
  named: {provider: openai, secret: null, upstream: "{demo}", private: true, host: named.internal}
  telegram: {secret: "env:TELEGRAM_KEY", upstream: "{demo}", private: true}
bots:
  support:
    addresses: [127.0.0.1, 10.0.0.0/8]
    allow:
      - {route: openai, presets: [inference], models: [gpt-5-mini]}
      - {route: openai, methods: [GET], paths: [/v1/models]}
      - {route: watched, models: [gpt-5-mini]}
      - {route: telegram, methods: [send*], chats: [12345]}
  idle: {allow: []}
"""
JSON = "application/json"
CHAT = "/v1/chat/completions"
MINI = '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}'
LARGE = MINI.replace("gpt-5-mini", "gpt-5")
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def running(launcher: Callable[..., Running]) -> Running:
    return launcher(RULES, shapes=("plain", "telegram"))


def options(running: Running) -> tuple[str, ...]:
    return ("--json", "--config", str(running.config))


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", "/openai/v1/models", {}, None),
        ("POST", f"/openai{CHAT}", {"Content-Type": JSON}, MINI),
        ("POST", f"/openai{CHAT}", {"Content-Type": JSON}, LARGE),
        ("POST", f"/openai{CHAT}", {"Content-Type": "text/plain"}, MINI),
        ("POST", f"/openai{CHAT}", {"Content-Type": JSON}, MINI.replace("{", '{"model": "x",', 1)),
        ("POST", f"/openai{CHAT}", {"Content-Type": JSON, "Content-Encoding": "gzip"}, MINI),
        ("DELETE", "/openai/v1/models/x", {}, None),
        ("GET", "/openai//v1/models", {}, None),
        ("GET", "/nowhere", {}, None),
        ("POST", f"/watched{CHAT}", {"Content-Type": JSON}, LARGE),
        ("GET", "/openai/v1/models", {"X-Forwarded-For": "8.8.8.8, 10.0.0.7"}, None),
        ("GET", "/openai/v1/models", {"X-Forwarded-For": "8.8.8.8"}, None),
        ("GET", "/openai/v1/models", {"X-Forwarded-For": "nonsense"}, None),
        ("GET", "/watched/v1/models", {"X-Forwarded-For": "8.8.8.8"}, None),
        ("GET", "/v1/models", {"Host": "named.internal"}, None),
        (
            "POST",
            "/telegram/bot{token}/sendMessage",
            {"Content-Type": FORM},
            "chat_id=12345&text=x",
        ),
        ("POST", "/telegram/bot{token}/sendMessage", {"Content-Type": FORM}, "chat_id=6&text=x"),
        ("POST", "/telegram/bot{token}/sendMessage?chat_id=6", {}, None),
        ("POST", "/telegram/bot{token}/getUpdates", {}, None),
    ],
)
def test_explained_is_what_happens(
    running: Running, method: str, path: str, headers: dict[str, str], body: str | None
) -> None:
    in_path = "{token}" in path
    token = running.token("support", "telegram" if in_path else "plain")
    path = path.replace("{token}", token)
    own = {} if in_path else {"Authorization": f"Bearer {token}"}
    words = [
        word for name, value in (headers | own).items() for word in ("--header", f"{name}: {value}")
    ]
    if body is not None:
        (running.folder / "body").write_text(body)
        words += ["--body", str(running.folder / "body")]
    said = json.loads(gateway("explain", method, path, *words, *options(running)).stdout)

    sent = body.encode() if body is not None else None
    _, answer, _ = fetch(running.port, method, path, headers | own, sent)
    record = running.record(exchange=answer["x-gateway-exchange"])

    assert (said["refusal"] or {"code": ""})["code"] == record["code"]
    assert said["allowed"] == (record["outcome"] == "answered")
    assert (said["observed"] or {"code": ""})["code"] == record["observed"]
    for name in ("route", "rule", "subject", "bot"):
        assert (said[name] or "") == record[name], name
    if said["client"]:
        assert said["client"]["address"] == record["address"]
        assert (said["client"]["found"] or "") == record["found"]


def test_a_freeze_is_explained_as_it_is_felt(running: Running) -> None:
    running.cli("bot", "freeze", "idle")
    token = running.token("idle")
    words = ("explain", "--token", token, "GET", "/openai/v1/models", *options(running))
    refusal = json.loads(gateway(*words).stdout)["refusal"]
    assert refusal["code"] == "frozen"
    assert refusal["hint"].startswith("bot idle since ")

    def felt() -> bool:
        status, _, body = running.get("/openai/v1/models", f"Bearer {token}")
        return (status, refusal["reason"] in body.decode()) == (refusal["status"], True)

    eventually(felt, "refusal of the frozen bot")
