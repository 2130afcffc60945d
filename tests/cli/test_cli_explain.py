"""`gateway explain`: the journey's own decisions, in words, and never a token or a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core import tokens
from gateway.core.model import Token
from gateway.stores.embedded import Embedded
from tests.support.commands import PINNED, gateway

CONFIG = f"""\
routes:
  openai: {{secret: "env:OPENAI_API_KEY"}}
  telegram: {{secret: "env:TELEGRAM"}}
  local: {{provider: openai, secret: null, upstream: "http://127.0.0.1:11434/api", private: true}}
  query:
    provider: generic
    secret: env:QUERY
    upstream: https://search.example.com/v2
    token: [bearer]
    inject: [{{query: key}}]
  solver:
    provider: generic
    secret: env:SOLVER
    upstream: https://solver.example.com
    token: [{{json: /auth/clientKey}}]
  oauth:
    provider: generic
    secret: env:OAUTH
    upstream: https://login.example.com
    token: [{{form: client_secret}}]
bots:
  support:
    allow: [openai, local, query, solver, oauth]
    tokens: ["sha256:{tokens.digest(PINNED.encode()).hex()}"]
  research: {{allow: [telegram]}}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.yaml").write_text(CONFIG)
    return tmp_path


def explained(
    *arguments: str, token: str | None = PINNED, given: bytes | None = None
) -> dict[str, Any]:
    """Return the report, whose exit code and words fit it, and which holds no token."""
    shown = ("--token", token) if token else ()
    result = gateway("explain", *shown, *arguments, "--json", given=given)
    report: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if report["allowed"] else 1)
    assert (report["refusal"] is None) == report["allowed"]
    words = gateway("explain", *shown, *arguments, given=given)
    assert words.exit_code == result.exit_code
    for output in (result.output, words.output):
        assert token is None or token not in output
    return report


def test_the_whole_way_is_told() -> None:
    assert explained("GET", "/openai/v1/models?limit=2") == {
        "allowed": True,
        "route": "openai",
        "provider": "openai",
        "token_places": ["bearer"],
        "client": {"address": "127.0.0.1", "found": None},
        "guessed_type": None,
        "token": {
            "id": f"pin_{tokens.digest(PINNED.encode()).hex()[:12]}",
            "status": "valid",
            "expires": None,
            "origin": "routes.yaml:24 bots.support.tokens[0]",
        },
        "bot": "support",
        "rule": "routes.yaml:23 bots.support.allow[0]",
        "subject": None,
        "observed": None,
        "limits": [
            {
                "scope": "bot:support",
                "limit": "1024 at once",
                "place": "connections.per_bot",
            }
        ],
        "secret": "env:OPENAI_API_KEY",
        "secret_places": ["bearer"],
        "upstream": "https://api.openai.com/v1/models?limit=2",
        "refusal": None,
    }


def test_people_read_lines() -> None:
    lines = gateway("explain", "--token", PINNED, "POST", "/query/find?q=a").stdout.splitlines()
    assert lines[0] == "route: query, provider generic"
    assert lines[1:3] == ["client: 127.0.0.1, the connection itself", "token in: bearer"]
    assert lines[4:] == [
        "rule: routes.yaml:23 bots.support.allow[2]",
        "limit: bot:support, 1024 at once (connections.per_bot)",
        "secret: env:QUERY",
        "secret in: query: key",
        "upstream: https://search.example.com/v2/find?q=a&key=SECRET",
    ]


@pytest.mark.parametrize(
    ("url", "upstream", "places"),
    [
        ("http://h:1/openai/v1?a=1#b", "https://api.openai.com/v1?a=1", ["bearer"]),
        ("/local/v1/models", "http://127.0.0.1:11434/api/v1/models", None),
        ("/solver/createTask", "https://solver.example.com/createTask", ["json: /auth/clientKey"]),
        ("/oauth/token", "https://login.example.com/token", ["form: client_secret"]),
        ("/solver", "https://solver.example.com/", ["json: /auth/clientKey"]),
    ],
)
def test_where_a_request_goes(url: str, upstream: str, places: list[str] | None) -> None:
    report = explained("POST", url)
    assert (report["upstream"], report["secret_places"]) == (upstream, places)


@pytest.mark.parametrize("shown", ["in the URL", "as an option"])
def test_a_token_in_the_path_gives_way_to_a_mask(shown: str) -> None:
    text = gateway("token", "issue", "research", "--shape", "telegram").stdout.strip()
    if shown == "in the URL":
        report = explained("POST", f"/telegram/bot{text}/getMe", token=None)
    else:
        report = explained("POST", "/telegram/bot/getMe", token=text)
    assert text not in json.dumps(report)
    assert report["bot"] == "research"
    assert report["upstream"] == "https://api.telegram.org/botSECRET/getMe"


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("GET", "/nope"), 404, "no_route"),
        (("GET", "/openai/../x"), 400, "ambiguous_path"),
        (("TRACE", "/openai/v1"), 501, "method_not_carried"),
        (("GET", "/openai/%00"), 400, "target_form"),
        (("GET", "/telegram/bot/getMe"), 403, "route_not_allowed"),
        (("GET", "/telegram/x"), 401, "no_token"),
    ],
)
def test_a_refusal_is_the_one_that_the_bot_would_see(
    arguments: tuple[str, ...], status: int, code: str
) -> None:
    refusal = explained(*arguments)["refusal"]
    assert (refusal["status"], refusal["code"]) == (status, code)
    assert refusal["reason"] in gateway("explain", "--token", PINNED, *arguments).stdout


def test_a_request_without_a_token_says_where_it_would_be() -> None:
    report = explained("GET", "/openai/v1", token=None)
    assert report["refusal"]["code"] == "no_token"
    assert report["token_places"] == ["bearer"]


def test_a_token_that_opens_nothing_is_explained(here: Path) -> None:
    revoked = gateway("token", "issue", "support").stdout.strip()
    gateway("token", "revoke", "--bot", "support")
    expired = tokens.mint(b"e" * 32)
    digest = tokens.digest(expired.encode())
    Embedded(here / ".gateway").issue([Token("tok_old", digest, "support", 1.0, 2.0)])
    gone = tokens.mint(b"g" * 32)
    digest = tokens.digest(gone.encode())
    Embedded(here / ".gateway").issue([Token("tok_gone", digest, "gone", 1.0)])
    for text, code, status in (
        (revoked, "unknown_token", "revoked"),
        (expired, "expired_token", "expired"),
        (gone, "bot_unknown", "valid"),
    ):
        report = explained("GET", "/openai/v1", token=text)
        assert (report["refusal"]["code"], report["token"]["status"]) == (code, status)
    report = explained("GET", "/openai/v1", token="sk-real")
    assert report["token"] is None
    assert report["refusal"]["hint"] == "it was mistyped, or never issued here"
    report = explained("GET", "/openai/v1", token=tokens.mint(b"n" * 32))
    assert report["refusal"]["hint"] == "it is whole, but was never issued here"


def test_a_token_is_read_from_standard_input() -> None:
    result = gateway("explain", "--token", "-", "POST", "/openai/v1/x", given=f"{PINNED}\n")
    assert result.exit_code == 0
    assert "rule: routes.yaml:23 bots.support.allow[0]" in result.stdout


def test_what_is_no_request_is_a_usage_error() -> None:
    assert gateway("explain", "GET", "/ä").exit_code == 2
