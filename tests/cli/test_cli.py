"""The command line as a whole, and the commands that have no file of tests of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import gateway

# check


def test_a_sound_configuration_shows_who_may_do_what(here: Path) -> None:
    gateway("token", "issue", "research")
    report = json.loads(gateway("check", "--json").stdout)
    assert (report["problems"], report["warnings"]) == ([], [])
    assert [(one["bot"], one["route"], one["tokens"]) for one in report["policy"]] == [
        ("support", "openai", 1),
        ("research", "openai", 1),
        ("research", "telegram", 1),
    ]
    assert report["policy"][2]["base_url"] == "http://127.0.0.1:8080/telegram"
    assert report["policy"][2]["secret"] == "file:telegram"
    text = gateway("check").stdout.splitlines()
    assert text[0].split() == ["BOT", "ROUTE", "BASE_URL", "UPSTREAM", "SECRET", "TOKENS"]


def test_a_wrong_configuration_is_code_2_with_every_place(here: Path) -> None:
    (here / "routes.yaml").write_text("routes: {openai: {secret: sk-canary}}\nlog: loud\n")
    result = gateway("check")
    assert result.exit_code == 2
    assert "\nroutes.yaml:1:27: routes.openai.secret: this is not a reference" in result.stderr
    assert "\nroutes.yaml:2:6: log: one of these is expected" in result.stderr
    assert "canary" not in result.output
    report = gateway("check", "--json")
    assert report.exit_code == 2
    assert [one["line"] for one in json.loads(report.stdout)["problems"]] == [1, 2]


@pytest.mark.parametrize("command", [("check",), ("bot", "list"), ("routes",), ("token", "list")])
def test_a_missing_configuration_is_code_2(here: Path, command: tuple[str, ...]) -> None:
    (here / "routes.yaml").unlink()
    result = gateway(*command)
    assert result.exit_code == 2
    assert "this file cannot be read: No such file or directory" in result.stderr


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


# The rest


def test_exit_codes_are_documented() -> None:
    text = gateway("--help").stdout
    assert "2  the command line or the configuration is wrong" in text
    assert gateway("nope").exit_code == 2


@pytest.mark.parametrize(
    "command",
    [
        "token list",
        "bot list",
        "bot show",
        "routes",
        "check",
        "token issue",
        "token rotate",
        "explain",
    ],
)
def test_every_listing_has_json(command: str) -> None:
    assert "--json" in gateway(*command.split(), "--help").stdout
