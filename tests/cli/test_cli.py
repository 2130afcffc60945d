"""The command line as a whole, and the commands that have no file of tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import gateway


@pytest.mark.parametrize("command", [("check",), ("bot", "list"), ("routes",), ("token", "list")])
def test_a_missing_configuration_is_code_2(here: Path, command: tuple[str, ...]) -> None:
    (here / "routes.yaml").unlink()
    result = gateway(*command)
    assert result.exit_code == 2
    assert "this file cannot be read: No such file or directory" in result.stderr


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
