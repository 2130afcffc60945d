"""`gateway explain` on what a request is about, where it comes from, and what is stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core import tokens
from gateway.stores.embedded import Embedded
from tests.support.commands import PINNED, gateway

CONFIG = f"""\
addresses: [10.0.0.0/8, 127.0.0.1, "fd00::/8"]
proxies: {{trusted: [10.0.0.5]}}
limits: [{{requests: 6000, per: minute}}]
labels:
  team-a: {{limits: [{{requests: 600, per: minute, burst: 50}}]}}
routes:
  openai: {{secret: env:OPENAI, limits: [{{concurrency: 9}}]}}
  telegram: {{secret: env:TELEGRAM}}
  alone: {{provider: openai, secret: env:OPENAI, listen: 127.0.0.1:8443}}
  named: {{provider: openai, secret: env:OPENAI, host: openai.internal}}
  watched: {{provider: openai, secret: env:OPENAI, mode: observe}}
  solver:
    provider: generic
    secret: env:SOLVER
    upstream: https://solver.example.com
    token: [{{json: /clientKey}}]
bots:
  support:
    labels: [team-a]
    addresses: [10.1.0.0/16, 127.0.0.1]
    limits: [{{requests: 60, per: minute}}]
    tokens: ["sha256:{tokens.digest(PINNED.encode()).hex()}"]
    allow:
      - {{route: openai, presets: [inference], models: [gpt-5-mini, text-*]}}
      - {{route: openai, methods: [GET], paths: [/v1/models]}}
      - {{route: telegram, methods: [sendMessage], chats: [12345]}}
      - {{route: alone, models: [gpt-5]}}
      - {{route: named, models: [gpt-5]}}
      - {{route: watched, models: [gpt-5]}}
      - {{route: solver, methods: [POST]}}
  other:
    allow: [openai]
"""
CHAT = ("POST", "/openai/v1/chat/completions")
FIRST = "routes.yaml:24 bots.support.allow[0]"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.yaml").write_text(CONFIG)
    Embedded(tmp_path / ".gateway").issue([])
    return tmp_path


def explained(*arguments: str, given: bytes | None = None) -> dict[str, Any]:
    """Return the report of a request with the bot's token; `given` is its body."""
    body = () if given is None else ("--body", "-")
    words = ("explain", "--token", PINNED, *arguments, *body)
    result = gateway(*words, "--json", given=given)
    report: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if report["allowed"] else 1)
    return report


def told(*arguments: str, given: bytes | None = None) -> list[str]:
    """Return the same in words."""
    body = () if given is None else ("--body", "-")
    words = ("explain", "--token", PINNED, *arguments, *body)
    return gateway(*words, given=given).stdout.splitlines()


def code(report: dict[str, Any]) -> str:
    """Return the code of the refusal, "" where there is none."""
    return str(report["refusal"]["code"]) if report["refusal"] else ""


# What it is about

FORM = b"chat_id=%b&text=x"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'
)


@pytest.mark.parametrize(
    ("url", "body", "refused"),
    [
        ("/openai/v1/chat/completions", b'{"model": "gpt-5-mini"}', ""),
        ("/openai/v1/chat/completions", b'{"model": "gpt-5"}', "model_not_allowed"),
        ("/openai/v1/chat/completions", b'{"model": "a", "model": "b"}', "scope_unreadable"),
        ("/openai/v1/audio/transcriptions", PARTS % b"text-to-be", ""),
        ("/openai/v1/audio/transcriptions", PARTS % b"whisper-1", "model_not_allowed"),
        (f"/telegram/bot{PINNED}/sendMessage", FORM % b"12345", ""),
        (f"/telegram/bot{PINNED}/sendMessage", FORM % b"6", "chat_not_allowed"),
        (f"/telegram/bot{PINNED}/sendMessage?chat_id=12345", None, ""),
        (f"/telegram/bot{PINNED}/sendMessage?chat_id=6", None, "chat_not_allowed"),
        (f"/telegram/bot{PINNED}/getUpdates", None, "method_not_allowed"),
        ("/openai/v1/fine_tuning/jobs", b'{"model": "gpt-5-mini"}', "path_not_allowed"),
    ],
)
def test_a_subject_is_found_where_sdks_put_it(url: str, body: bytes | None, refused: str) -> None:
    assert code(explained("POST", url, given=body)) == refused


def test_the_rule_that_decides_is_named_by_its_line() -> None:
    lines = told(*CHAT, given=b'{"model": "gpt-5-mini"}')
    assert f"rule: {FIRST}" in lines
    assert "subject: gpt-5-mini" in lines
    assert explained("GET", "/openai/v1/models")["rule"] == "routes.yaml:25 bots.support.allow[1]"


def test_a_refusal_names_the_nearest_rule_and_what_is_allowed() -> None:
    lines = told(*CHAT, given=b'{"model": "gpt-5"}')
    assert f"nearest rule: {FIRST}" in lines
    assert lines[-1].startswith("refused: 403 model_not_allowed: ")
    assert "gpt-5-mini, text-*" in lines[-1]


def test_a_body_that_was_not_given_is_asked_for() -> None:
    hint = "it looks into the body, which was not given: --body"
    assert explained(*CHAT)["refusal"]["hint"] == hint
    assert explained(*CHAT, given=b"{}")["refusal"]["hint"] is None
    url = f"/telegram/bot{PINNED}/sendMessage?chat_id=6"
    assert explained("POST", url)["refusal"]["hint"] is None
    assert explained("POST", "/watched/v1/responses")["observed"]["hint"] == hint


@pytest.mark.parametrize(
    ("body", "guessed"),
    [
        (b' {"model": "gpt-5-mini"}', "application/json"),
        (b"[]", "application/json"),
        (b"model=gpt-5-mini", "application/x-www-form-urlencoded"),
        (PARTS % b"gpt-5-mini", 'multipart/form-data; boundary="b"'),
        (b"\x00\x01", None),
    ],
)
def test_the_content_type_is_guessed_and_that_is_said(body: bytes, guessed: str | None) -> None:
    assert explained(*CHAT, given=body)["guessed_type"] == guessed
    said = f"content type: {guessed}, guessed from the body"
    assert (said in told(*CHAT, given=body)) == (guessed is not None)


def test_a_content_type_that_is_given_is_taken() -> None:
    report = explained(*CHAT, "--header", "content-type: text/plain", given=b"model=gpt-5-mini")
    assert report["guessed_type"] is None
    assert code(report) == "scope_unreadable"


def test_a_body_from_a_file_takes_the_token_in(here: Path) -> None:
    (here / "task.json").write_text('{"task": 1}')
    report = explained("POST", "/solver/createTask", "--body", "task.json")
    assert report["allowed"]
    assert report["secret_places"] == ["json: /clientKey"]
    assert (here / "task.json").read_text() == '{"task": 1}'


def test_a_long_body_is_read_too() -> None:
    body = b'{"x": "' + b"x" * 200_000 + b'", "model": "gpt-5-mini"}'
    assert explained(*CHAT, given=body)["allowed"]


def test_a_body_larger_than_is_read_is_refused() -> None:
    body = b'{"model": "gpt-5-mini", "x": "' + b"x" * 2_000_000 + b'"}'
    assert code(explained(*CHAT, given=body)) == "body_too_large"


# Where it comes from and goes to


@pytest.mark.parametrize(
    ("arguments", "address", "found", "refused"),
    [
        ((), "127.0.0.1", None, ""),
        (("--from", "10.1.2.3"), "10.1.2.3", None, ""),
        (("--from", "::ffff:10.1.2.3"), "10.1.2.3", None, ""),
        (("--from", "10.2.2.3"), "10.2.2.3", None, "address_not_allowed"),
        (("--from", "8.8.8.8"), "8.8.8.8", None, "address_not_allowed"),
        (
            ("--from", "10.0.0.5", "--header", "X-Forwarded-For: 8.8.8.8, 10.1.0.9"),
            "10.1.0.9",
            "X-Forwarded-For, by way of 10.0.0.5",
            "",
        ),
        (
            ("--from", "10.1.2.3", "--header", "X-Forwarded-For: 8.8.8.8"),
            "10.1.2.3",
            None,
            "",
        ),
        (
            ("--from", "10.0.0.5", "--header", "X-Forwarded-For: unknown"),
            "10.0.0.5",
            None,
            "address_unreadable",
        ),
    ],
)
def test_the_client_is_found_as_the_journey_finds_it(
    arguments: tuple[str, ...], address: str, found: str | None, refused: str
) -> None:
    report = explained("GET", "/openai/v1/models", *arguments)
    assert report["client"] == {"address": address, "found": found}
    assert code(report) == refused


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("/openai/v1/responses", "openai"),
        ("http://127.0.0.1:8080/openai/v1/responses", "openai"),
        ("https://gw.example/openai/v1/responses", "openai"),
        ("http://openai.internal:8080/v1/responses", "named"),
        ("http://OpenAI.internal/v1/responses", "named"),
        ("http://127.0.0.1:8443/v1/responses", "alone"),
        ("http://gw.example:8443/v1/responses", "alone"),
        ("http://127.0.0.1:8443/openai/v1/responses", "alone"),
        ("http://other.internal/v1/responses", None),
    ],
)
def test_a_host_or_a_port_leads_to_a_route_of_its_own(url: str, route: str | None) -> None:
    assert explained("POST", url, given=b'{"model": "gpt-5"}')["route"] == route


def test_a_path_alone_leads_to_no_host_or_port() -> None:
    refusal = explained("GET", "/v1/models")["refusal"]
    assert refusal["code"] == "no_route"
    assert refusal["hint"] == "a route with a host name or a port of its own needs a whole URL"
    assert explained("GET", "http://gw.example/v1/models")["refusal"]["hint"] is None


def test_a_host_header_is_taken_for_the_urls() -> None:
    report = explained(
        "POST", "/v1/responses", "--header", "Host: openai.internal", given=b'{"model": "gpt-5"}'
    )
    assert (report["route"], report["allowed"]) == ("named", True)


def test_the_token_may_stand_in_a_header() -> None:
    words = ("explain", "GET", "/openai/v1/models", "--header", f"Authorization: Bearer {PINNED}")
    assert gateway(*words).exit_code == 0


# What stops it, and what does not


def test_limits_are_listed_with_their_places_and_not_counted() -> None:
    for _ in range(3):
        report = explained("GET", "/openai/v1/models")
        assert [(one["scope"], one["limit"], one["place"]) for one in report["limits"]] == [
            ("bot:support", "1024 at once", "connections.per_bot"),
            (
                "bot:support",
                "60 requests per minute, exact",
                "routes.yaml:21 bots.support.limits[0]",
            ),
            (
                "label:team-a",
                "600 requests per minute, evenly, up to 50 at once",
                "routes.yaml:5 labels.team-a.limits[0]",
            ),
            ("route:openai", "9 at once", "routes.yaml:7 routes.openai.limits[0]"),
            ("all", "6000 requests per minute, exact", "routes.yaml:3 limits[0]"),
        ]
    assert "limit: all, 6000 requests per minute, exact (routes.yaml:3 limits[0])" in (
        told("GET", "/openai/v1/models")
    )


@pytest.mark.parametrize(
    ("stopped", "words"),
    [
        (("support",), "bot support"),
        (("--route", "openai"), "route openai"),
        (("--all",), "everything"),
    ],
)
def test_what_is_frozen_is_refused_and_named(stopped: tuple[str, ...], words: str) -> None:
    gateway("bot", "freeze", *stopped)
    refusal = explained("GET", "/openai/v1/models")["refusal"]
    assert (refusal["status"], refusal["code"]) == (403, "frozen")
    assert refusal["hint"].startswith(f"{words} since 20")
    gateway("bot", "unfreeze", *stopped)
    assert explained("GET", "/openai/v1/models")["allowed"]


def test_a_freeze_of_others_is_none_of_its_business() -> None:
    gateway("bot", "freeze", "other", "--route", "telegram")
    assert explained("GET", "/openai/v1/models")["allowed"]


@pytest.mark.parametrize(
    ("arguments", "body", "observed"),
    [
        ((), b'{"model": "gpt-5"}', ""),
        ((), b'{"model": "gpt-5-mini"}', "model_not_allowed"),
        (("--from", "8.8.8.8"), b'{"model": "gpt-5"}', "address_not_allowed"),
    ],
)
def test_what_is_only_observed_is_let_pass_and_told(
    arguments: tuple[str, ...], body: bytes, observed: str
) -> None:
    words = ("POST", "/watched/v1/chat/completions", *arguments)
    report = explained(*words, given=body)
    assert report["allowed"]
    assert (report["observed"] or {"code": ""})["code"] == observed
    said = f"let pass by mode observe, would be refused: 403 {observed}: "
    assert any(line.startswith(said) for line in told(*words, given=body)) == bool(observed)


def test_a_freeze_holds_where_the_rest_is_only_observed() -> None:
    gateway("bot", "freeze", "support")
    report = explained("POST", "/watched/v1/chat/completions", given=b'{"model": "x"}')
    assert code(report) == "frozen"


# Usage


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "10.0.0"),
        ("--from", "localhost"),
        ("--header", "no colon"),
        ("--header", "A: b\r\nC: d"),
        ("--body", "not-there.json"),
    ],
)
def test_what_is_no_address_header_or_file_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    assert gateway("explain", *CHAT, *arguments).exit_code == 2


@pytest.mark.parametrize("url", ["http://h:port/", "http://[::1/"])
def test_what_is_no_url_is_a_usage_error(url: str) -> None:
    result = gateway("explain", "GET", url)
    assert result.exit_code == 2
    assert "this is no URL" in result.stderr


def test_standard_input_is_read_for_one_thing() -> None:
    result = gateway("explain", "--token", "-", *CHAT, "--body", "-", given="x")
    assert result.exit_code == 2
    assert "only one of --token and --body" in result.stderr


def test_a_second_slash_is_part_of_the_path() -> None:
    assert code(explained("GET", "//openai/v1/models")) == "ambiguous_path"
