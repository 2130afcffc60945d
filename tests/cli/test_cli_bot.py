"""`gateway bot`: who may do what, and the switch that stops them whatever else is broken."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.core.model import Freeze
from gateway.stores.embedded import Embedded
from tests.support.commands import CONFIG, gateway

RULES = """\
routes:
  openai: {secret: env:OPENAI_API_KEY}
  telegram: {secret: env:TELEGRAM}
groups:
  workers:
    addresses: [10.0.0.0/8]
    limits: [{requests: 60, per: minute, burst: 5}]
bots:
  support:
    groups: [workers]
    limits: [{concurrency: 4}]
    mode: observe
    allow:
      - {route: openai, methods: [POST], models: [gpt-5-mini, text-*]}
      - {route: openai, presets: [inference]}
      - telegram
"""


@pytest.fixture
def used(here: Path) -> Path:
    """A folder whose store a gateway has used."""
    Embedded(here / ".gateway").issue([])
    return here


def frozen(here: Path, state: str = ".gateway") -> set[Freeze]:
    return {one for one, _ in Embedded(here / state).list_freezes()}


def test_bots_are_listed_with_their_tokens(here: Path) -> None:
    gateway("token", "issue", "research")
    listed = json.loads(gateway("bot", "list", "--json").stdout)
    assert listed[0] == {
        "bot": "support",
        "labels": ["team-a"],
        "routes": ["openai"],
        "tokens": 1,
        "last_used": None,
        "frozen": [],
    }
    assert gateway("bot", "list").stdout.splitlines()[2].split() == [
        "research", "-", "openai,", "telegram", "1", "-", "-",
    ]  # fmt: skip


def test_one_bot_is_shown_with_the_rules_that_allow_it(here: Path) -> None:
    gateway("token", "issue", "research")
    shown = json.loads(gateway("bot", "show", "research", "--json").stdout)
    assert [rule["rule"] for rule in shown["allow"]] == [
        "routes.yaml:10 bots.research.allow[0]",
        "routes.yaml:10 bots.research.allow[1]",
    ]
    assert len(shown["tokens"]) == 1
    assert "https://api.telegram.org" in gateway("bot", "show", "research").stdout
    assert gateway("bot", "show", "nobody").exit_code == 1


def test_rules_limits_and_addresses_are_shown_as_the_file_has_them(here: Path) -> None:
    (here / "routes.yaml").write_text(RULES)
    shown = json.loads(gateway("bot", "show", "support", "--json").stdout)
    assert [(one["route"], one["allows"]) for one in shown["allow"]] == [
        ("openai", "methods: POST; models: gpt-5-mini, text-*"),
        ("openai", "presets: inference"),
        ("telegram", "everything"),
    ]
    assert shown["mode"] == "observe"
    assert shown["addresses"] == ["10.0.0.0/8"]
    assert shown["limits"] == ["4 at once", "60 requests per minute, evenly, up to 5 at once"]
    assert "mode: observe\naddresses: 10.0.0.0/8\n" in gateway("bot", "show", "support").stdout


# The switch


def test_bots_and_routes_are_frozen_and_let_go(used: Path) -> None:
    result = gateway("bot", "freeze", "support", "--route", "telegram")
    assert result.exit_code == 0
    assert re.fullmatch(
        r"bot support is frozen since \S+Z\nroute telegram is frozen since \S+Z\n", result.stdout
    )
    assert "within a second" in result.stderr
    assert frozen(used) == {Freeze("bot", "support"), Freeze("route", "telegram")}
    result = gateway("bot", "unfreeze", "support")
    assert result.stdout == "bot support is no longer frozen\n"
    assert result.stderr == "still frozen: route telegram\n"
    assert frozen(used) == {Freeze("route", "telegram")}


def test_everything_is_frozen_at_once_and_single_freezes_outlast_it(used: Path) -> None:
    gateway("bot", "freeze", "support")
    assert "everything is frozen since " in gateway("bot", "freeze", "--all").stdout
    assert frozen(used) == {Freeze("all"), Freeze("bot", "support")}
    result = gateway("bot", "unfreeze", "--all")
    assert result.stdout == "everything is no longer frozen\n"
    assert result.stderr == "still frozen: bot support\n"
    assert gateway("bot", "unfreeze", "support").stderr == ""


def test_freezing_again_keeps_the_first_time(used: Path) -> None:
    gateway("bot", "freeze", "support")
    Embedded(used / ".gateway").unfreeze([Freeze("bot", "support")])
    Embedded(used / ".gateway").freeze([Freeze("bot", "support")], 1.0)
    result = gateway("bot", "freeze", "support")
    assert result.stdout == "bot support is frozen since 1970-01-01T00:00:01Z\n"


def test_listings_say_what_is_frozen(used: Path) -> None:
    gateway("bot", "freeze", "research", "--route", "openai")
    listed = json.loads(gateway("bot", "list", "--json").stdout)
    assert {one["bot"]: one["frozen"] for one in listed} == {
        "support": ["route openai"],
        "research": ["bot research", "route openai"],
    }
    gateway("bot", "freeze", "--all")
    shown = json.loads(gateway("bot", "show", "support", "--json").stdout)
    assert shown["frozen"] == ["everything", "route openai"]
    assert "frozen: everything, route openai\n" in gateway("bot", "show", "support").stdout
    told = gateway("bot", "list").stderr.splitlines()
    assert [line.partition(" is frozen since")[0] for line in told] == [
        "everything",
        "bot research",
        "route openai",
    ]


@pytest.mark.parametrize(
    "arguments", [(), ("--all", "support"), ("--all", "--route", "openai")], ids=" ".join
)
@pytest.mark.parametrize("command", ["freeze", "unfreeze"])
def test_what_is_to_be_stopped_must_be_said(
    used: Path, command: str, arguments: tuple[str, ...]
) -> None:
    assert gateway("bot", command, *arguments).exit_code == 2
    assert not frozen(used)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("support", "suport"),
            "there is no bot 'suport' in the configuration; bots are: research, support",
        ),
        (
            ("--route", "support"),
            "there is no route 'support' in the configuration; routes are: openai, telegram",
        ),
    ],
)
def test_a_mistyped_name_freezes_nothing(
    used: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = gateway("bot", "freeze", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not frozen(used)


def test_what_is_not_frozen_cannot_be_let_go(used: Path) -> None:
    gateway("bot", "freeze", "support")
    result = gateway("bot", "unfreeze", "support", "research")
    assert result.exit_code == 1
    assert "bot research is not frozen; frozen are: bot support" in result.stderr
    assert frozen(used) == {Freeze("bot", "support")}


def test_a_bot_that_left_the_configuration_is_let_go(used: Path) -> None:
    Embedded(used / ".gateway").freeze([Freeze("bot", "gone")], 1.0)
    assert gateway("bot", "unfreeze", "gone").exit_code == 0
    assert not frozen(used)


# The switch, without a configuration


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("routes: {openai: {secret: nonsense}}\nbots: [\n", ".gateway"),
        ("state: elsewhere  # here\nroutes: []\n", "elsewhere"),
        ('routes: {}\nstate: "elsewhere"\n\tbots', "elsewhere"),
        ("state: ${WHERE}\nroutes: []\n", "elsewhere"),
        (None, ".gateway"),
    ],
    ids=["not YAML", "named", "named in no YAML", "from the environment", "no file"],
)
def test_a_broken_configuration_does_not_keep_anybody_from_stopping(
    here: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, state: str
) -> None:
    monkeypatch.setenv("WHERE", "elsewhere")
    Embedded(here / state).issue([])  # a gateway has run on it
    if text is None:
        (here / "routes.yaml").unlink()
    else:
        (here / "routes.yaml").write_text(text)
    result = gateway("bot", "freeze", "anybody")
    assert result.exit_code == 0
    assert "the configuration cannot be loaded, so no name is checked\nroutes.yaml" in result.stderr
    assert frozen(here, state) == {Freeze("bot", "anybody")}
    assert gateway("bot", "unfreeze", "anybody").exit_code == 0
    assert not frozen(here, state)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CONFIG, "there is no store in "),
        ("routes: []", "there is no store in "),
        ("state: ${NOWHERE}\nroutes: []", "the environment variable NOWHERE is not set"),
    ],
)
def test_a_store_that_no_gateway_uses_is_never_made_for_a_freeze(
    here: Path, text: str, message: str
) -> None:
    (here / "routes.yaml").write_text(text)
    if "NOWHERE" in text:
        Embedded(here / ".gateway").issue([])
    result = gateway("bot", "freeze", "--all")
    assert result.exit_code == 1
    assert message in result.stderr
    assert "say with --state where it is" in result.stderr


def test_a_state_directory_is_enough_to_stop_by_name(here: Path) -> None:
    (here / "routes.yaml").write_text("[")
    assert "there is no store in elsewhere" in (
        gateway("bot", "freeze", "any", "--state", "elsewhere").stderr
    )
    Embedded(here / "elsewhere").issue([])
    result = gateway("bot", "freeze", "any", "--state", "elsewhere")
    assert result.exit_code == 0
    assert "configuration" not in result.stderr
    assert frozen(here, "elsewhere") == {Freeze("bot", "any")}
