"""`gateway check`: every problem at once, what each bot may do in the end, and what to look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.effective import worded
from gateway.core import tokens
from gateway.core.model import Limit, Token
from gateway.stores.embedded import Embedded
from tests.support.commands import gateway

ROOT = Path(__file__).parents[2]
OPENAI = "routes: {openai: {secret: env:OPENAI_API_KEY}}\n"
NARROW = "{route: openai, presets: [inference]}"

POLICY = """\
addresses: [10.0.0.0/8]
limits: [{concurrency: 500}]
secrets_dir: keys
routes:
  openai: {secret: env:OPENAI_API_KEY, limits: [{requests: 600, per: second, burst: 50}]}
  telegram: {secret: file:telegram, mode: observe, host: telegram.example.com}
labels: {team: {limits: [{requests: 1000, per: hour}]}}
groups: {workers: {allow: [{route: telegram, methods: [getMe]}], addresses: [10.2.0.0/16]}}
bots:
  support:
    groups: [workers]
    labels: [team]
    addresses: [10.1.0.7]
    limits: [{requests: 60, per: minute}]
    allow:
      - {route: telegram, methods: [sendMessage], chats: [5, "@news"]}
      - {route: openai, presets: [read, inference], models: [gpt-5-mini]}
      - {route: openai, methods: [GET], paths: [/v1/files/*]}
  other: {mode: observe, allow: [{route: openai, models: [gpt-*]}]}
"""


def configure(text: str) -> None:
    Path("routes.yaml").write_text(text)


def report(*arguments: str) -> Any:
    result = gateway("check", "--json", *arguments)
    assert result.exit_code == 0, result.output
    assert not result.stderr
    return json.loads(result.stdout)


def warnings(text: str) -> list[str]:
    configure(text)
    found: list[str] = report()["warnings"]
    assert len(found) == len(set(found))
    return found


def allowing(*rules: str, head: str = OPENAI) -> str:
    return f"{head}bots: {{a: {{allow: [{', '.join(rules)}]}}}}\n"


# What each bot may do


def test_the_policy_of_a_bot_is_all_that_decides_about_it(here: Path) -> None:
    configure(POLICY)
    support, other = report()["policy"]
    assert support["place"] == "routes.yaml:10 bots.support"
    assert support["labels"] == ["team"]
    assert support["addresses"] == {
        "bot": ["10.1.0.7/32", "10.2.0.0/16"], "all": ["10.0.0.0/8"],
    }  # fmt: skip
    assert [(one["scope"], one["limit"], one["place"]) for one in support["limits"]] == [
        ("bot:support", "60 requests per minute, exact", "routes.yaml:14 bots.support.limits[0]"),
        ("label:team", "1000 requests per hour, exact", "routes.yaml:7 labels.team.limits[0]"),
        ("all", "500 at once", "routes.yaml:2 limits[0]"),
    ]
    assert (support["mode"], other["mode"]) == ("enforce", "observe")
    telegram, openai = support["routes"]
    assert (telegram["route"], telegram["mode"]) == ("telegram", "observe")
    assert telegram["base_url"] == "http://telegram.example.com:8080"
    assert telegram["secret"] == "file:telegram"
    assert [rule["place"] for rule in telegram["rules"]] == [
        "routes.yaml:16 bots.support.allow[0]",
        "routes.yaml:8 groups.workers.allow[0]",
    ]
    assert telegram["rules"][0]["chats"] == ["5", "@news"]
    assert openai["limits"][0]["scope"] == "route:openai"
    assert openai["limits"][0]["limit"] == "600 requests per second, evenly, up to 50 at once"
    assert "POST /v1/chat/completions" in openai["rules"][0]["presets"]["inference"]
    assert openai["rules"][1]["paths"] == ["/v1/files/*"]


def test_the_policy_is_said_in_words(here: Path) -> None:
    configure(POLICY)
    count = len(report()["policy"][0]["routes"][1]["rules"][0]["presets"]["inference"])
    result = gateway("check", "--bot", "support")
    assert result.stdout == (
        "support: 0 valid tokens\n"
        "  labels: team\n"
        "  from: 10.1.0.7/32, 10.2.0.0/16, within 10.0.0.0/8\n"
        "  limit: 60 requests per minute, exact\n"
        "  limit: 1000 requests per hour, exact, for all bots of label team together\n"
        "  limit: 500 at once, for all bots on all routes together\n"
        "  telegram: http://telegram.example.com:8080 to https://api.telegram.org, "
        "with file:telegram\n"
        "    observed only: what is refused below is noted, and let pass\n"
        "    allows methods: sendMessage; chats: 5, @news, "
        "by routes.yaml:16 bots.support.allow[0]\n"
        "    allows methods: getMe, by routes.yaml:8 groups.workers.allow[0]\n"
        "  openai: http://127.0.0.1:8080/openai to https://api.openai.com, "
        "with env:OPENAI_API_KEY\n"
        "    limit: 600 requests per second, evenly, up to 50 at once, for all bots together\n"
        "    allows presets: read, inference; models: gpt-5-mini "
        f"(read is 2 operations, inference is {count} operations), "
        "by routes.yaml:17 bots.support.allow[1]\n"
        "    allows methods: GET; paths: /v1/files/*, by routes.yaml:18 bots.support.allow[2]\n"
    )
    assert result.stderr.endswith("routes.yaml is sound\n")


def test_a_bot_without_anything_is_said_to_have_nothing(here: Path) -> None:
    configure("routes: {openai: {secret: null}}\nbots: {a: {mode: observe}}")
    assert gateway("check").stdout.splitlines() == [
        "a: 0 valid tokens",
        "  observed only: what is refused below is noted, and let pass",
        "  from: anywhere",
        "  may use nothing",
    ]


def test_valid_tokens_are_counted(here: Path) -> None:
    gateway("token", "issue", "research")
    gateway("token", "issue", "research")
    Embedded(here / ".gateway").revoke_bot("research", 1.0)
    gateway("token", "issue", "research")
    assert [(one["bot"], one["tokens"]) for one in report()["policy"]] == [
        ("support", 1), ("research", 1),
    ]  # fmt: skip


def test_one_bot_can_be_shown_alone(here: Path) -> None:
    assert [one["bot"] for one in report("--bot", "research")["policy"]] == ["research"]
    unknown = gateway("check", "--bot", "nobody")
    assert unknown.exit_code == 1
    assert "there is no bot 'nobody' in the configuration; bots are: research, support" in (
        unknown.stderr
    )


def test_the_file_is_named_as_for_every_command(here: Path) -> None:
    (here / "routes.yaml").rename(here / "other.yaml")
    for option in ("-c", "--config"):
        assert "other.yaml is sound" in gateway("check", option, "other.yaml").stderr
    assert gateway("check", "other.yaml").exit_code == 2


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Limit("requests", 60, "", 60), "60 requests per minute, exact"),
        (Limit("requests", 60, "", 60, 10), "60 requests per minute, evenly, up to 10 at once"),
        (Limit("requests", 1, "", 86_400), "1 requests per day, exact"),
        (Limit("concurrency", 4, ""), "4 at once"),
    ],
)
def test_limits_are_said_in_words(limit: Limit, words: str) -> None:
    assert worded(limit) == words


# Problems


def test_a_wrong_configuration_is_code_2_with_every_place(here: Path) -> None:
    configure("routes: {openai: {secret: sk-canary}}\nlog: loud\n")
    result = gateway("check")
    assert result.exit_code == 2
    assert "\nroutes.yaml:1:27: routes.openai.secret: this is not a reference" in result.stderr
    assert "\nroutes.yaml:2:6: log: 'debug', 'info', 'warning' or 'error' is" in result.stderr
    assert "canary" not in result.output
    listed = gateway("check", "--json")
    assert listed.exit_code == 2
    assert [one["line"] for one in json.loads(listed.stdout)["problems"]] == [1, 2]


def test_ten_mistakes_are_ten_problems(here: Path) -> None:
    configure("""\
log: loud
addresses: [10.0.0.1/8]
limits: [{requests: 5}]
routes:
  openai: {secret: sk-canary, prefix: openai}
bots:
  a:
    mode: watch
    groups: [nobody]
    limits: [{concurrency: 0}]
    allow: [{route: opena}, {route: openai, chats: [5], methods: [get]}]
""")
    found = json.loads(gateway("check", "--json").stdout)["problems"]
    assert [one["line"] for one in found] == [1, 2, 3, 5, 5, 8, 9, 10, 11, 11, 11]


# Warnings


def test_secrets_that_others_can_read_or_that_are_missing_are_warned_about(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    (here / "keys" / "telegram").chmod(0o644)
    (here / ".env").write_text("X=canary\n")
    (here / ".env").chmod(0o644)
    result = gateway("check")
    assert result.exit_code == 0
    assert f"warning: {here}/.env can be read by every user" in result.stderr
    assert "warning: route openai: the environment variable OPENAI_API_KEY" in result.stderr
    assert "warning: route telegram: every user of this machine can read file:telegram" in (
        result.stderr
    )
    assert "canary" not in result.output


def test_an_open_env_file_is_warned_of_once(here: Path) -> None:
    (here / ".env").write_text("OPENAI_API_KEY=canary\n")
    (here / ".env").chmod(0o644)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    del environ["OPENAI_API_KEY"]
    command = [sys.executable, "-m", "gateway", "check"]
    done = subprocess.run(
        command, cwd=here, env=environ, capture_output=True, text=True, timeout=50
    )
    assert [line for line in done.stderr.splitlines() if "every user" in line] == [
        f"warning: {here}/.env can be read by every user of this machine; "
        f"run: chmod 600 {here}/.env"
    ]


def test_a_sound_and_narrow_configuration_has_no_warnings(here: Path) -> None:
    assert warnings(allowing(NARROW)) == []


A = "routes.yaml:2 bots.a"
GENERIC = "routes: {g: {provider: generic, secret: env:OPENAI_API_KEY, upstream: 'https://%s'}}\n"
WARNED = {
    "a rule without bounds": (
        allowing("openai"),
        [
            f"{A}.allow[0] lets a bot do all that the key of openai can, such as administration "
            "and billing; narrow it by presets"
        ],
    ),
    "a rule with nothing but models goes by presets": (
        allowing("{route: openai, models: [m]}"),
        [],
    ),
    "a label without limits beside one with": (
        f"{OPENAI}labels: {{team: {{limits: [{{concurrency: 1}}]}}}}\n"
        f"bots: {{a: {{labels: [team, taem], allow: [{NARROW}]}}}}",
        ["routes.yaml:3 bots.a has the label taem, of which `labels` says nothing"],
    ),
    "a generic rule without bounds": (
        allowing("g", head=GENERIC % "example.com"),
        [
            f"{A}.allow[0] lets a bot do all that the key of g can, such as administration "
            "and billing; narrow it by methods or paths"
        ],
    ),
    "a provider that is known, as another": (
        allowing("{route: g, methods: [GET]}", head=GENERIC % "api.openai.com/v1"),
        [
            "routes.yaml:1 routes.g leads to https://api.openai.com, but rules for generic do not "
            "understand what is asked there; write `provider: openai`"
        ],
    ),
    "a rule that another makes superfluous": (
        allowing(NARROW, "{route: openai, presets: [inference], models: [m]}"),
        [f"{A}.allow[1] adds nothing: {A}.allow[0] allows all of it already"],
    ),
    "a rule that cannot match": (
        allowing("{route: openai, presets: [inference], paths: [/v2/**]}"),
        [
            f"{A}.allow[0] does not do all that it says: the preset inference has nothing that "
            "the rule's methods and paths allow"
        ],
    ),
    "a bot that may nothing": (
        OPENAI + "bots: {a: {}}",
        [f"{A} may use nothing: it has no `allow`"],
    ),
    "a bot that is observed": (
        f"{OPENAI}bots: {{a: {{mode: observe, allow: [{NARROW}]}}}}",
        [f"{A} is only observed: what would be refused to it is let pass"],
    ),
    "a route that is observed": (
        "routes: {openai: {secret: null, mode: observe}}",
        ["routes.yaml:1 routes.openai is only observed: what would be refused on it is let pass"],
    ),
    "everywhere": (
        OPENAI + "addresses: [0.0.0.0/0, 10.0.0.0/8, 'f000::/4']",
        [
            "addresses: 0.0.0.0/0 is wider than /8, and keeps few out",
            "addresses: f000::/4 is wider than /8, and keeps few out",
        ],
    ),
    "everywhere for a bot": (
        f"{OPENAI}bots: {{a: {{addresses: [0.0.0.0/1], allow: [{NARROW}]}}}}",
        [f"{A}: 0.0.0.0/1 is wider than /8, and keeps few out"],
    ),
    "everywhere for a bot, narrowed for all": (
        f"{OPENAI}bots: {{a: {{addresses: [0.0.0.0/1], allow: [{NARROW}]}}}}\n"
        "addresses: [10.0.0.0/8]",
        [],
    ),
    "proxies in vain": (
        OPENAI + "proxies: {trusted: [10.0.0.5]}",
        ["proxies: no `addresses` stand anywhere, so nothing is decided by what proxies say"],
    ),
    "proxies for a bot": (
        f"{OPENAI}bots: {{a: {{addresses: [10.0.0.0/8], allow: [{NARROW}]}}}}\n"
        "proxies: {trusted: [10.0.0.5]}",
        [],
    ),
    "a group that nobody joins": (
        f"{OPENAI}groups: {{g: {{allow: [{NARROW}]}}}}",
        ["routes.yaml:2 groups.g has no effect: no bot joins it"],
    ),
    "what bots of a group share": (
        f"{OPENAI}groups: {{g: {{allow: [openai], addresses: [0.0.0.0/0]}}}}\n"
        "bots: {a: {groups: [g]}, b: {groups: [g]}}",
        [
            "routes.yaml:2 groups.g.allow[0] lets a bot do all that the key of openai can, such as "
            "administration and billing; narrow it by presets",
            "routes.yaml:3 bots.a: 0.0.0.0/0 is wider than /8, and keeps few out",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WARNED.values(), ids=WARNED)
def test_what_may_not_be_meant_is_warned_about(
    here: Path, text: str, expected: Sequence[str]
) -> None:
    assert warnings(text) == list(expected)


def test_a_token_for_a_bot_that_is_gone_is_warned_about(here: Path) -> None:
    store = Embedded(here / ".gateway")
    digests = [tokens.digest(name.encode()) for name in ("valid", "expired")]
    valid = Token("tok_1", digests[0], "gone", 1.0)
    store.issue([valid, Token("tok_2", digests[1], "gone", 1.0, expires=2.0)])
    assert warnings(allowing(NARROW)) == [
        "token tok_1 is valid, but there is no bot gone that it is for"
    ]
