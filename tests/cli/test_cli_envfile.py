"""Files of environment variables: whole and private, or not there, and ready for a bot's SDKs."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gateway.core import tokens
from tests.support.commands import gateway, stored


def assigned(file: Path) -> dict[str, str]:
    """Return the variables that a file of them sets, each only once."""
    lines = [line for line in file.read_text().splitlines() if line and line[0] != "#"]
    pairs = dict(line.split("=", 1) for line in lines)
    assert len(pairs) == len(lines)
    return pairs


def test_one_bot_gets_a_file_that_its_sdks_read(here: Path) -> None:
    result = gateway("token", "issue", "research", "--out", "research.env")
    file = here / "research.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = assigned(file)
    text = lines["GATEWAY_TOKEN"]
    assert lines == {
        "GATEWAY_TOKEN": text,
        "OPENAI_BASE_URL": "http://127.0.0.1:8080/openai/v1",
        "OPENAI_API_KEY": text,
    }
    assert tokens.digest(text.encode()) == stored(here)[0].digest
    assert text not in result.output
    said = file.read_text()
    assert "# telegram: http://127.0.0.1:8080/telegram, token in path: /bot or " in said
    assert "# python-telegram-bot (python):" in said
    assert '#   bot = Bot("$GATEWAY_TOKEN", base_url="http://127.0.0.1:8080/telegram/bot", ' in said
    assert said.count(text) == 2


def test_a_variable_of_two_routes_is_the_first_ones(here: Path) -> None:
    (here / "routes.yaml").write_text(
        "routes:\n"
        "  openai: {secret: env:OPENAI_API_KEY}\n"
        "  local: {provider: openai, secret: null, upstream: 'https://models.example'}\n"
        "  search: {provider: generic, secret: null, upstream: 'https://search.example'}\n"
        "bots: {support: {allow: [local, openai, search]}}\n"
    )
    gateway("token", "issue", "support", "--out", "a.env", "--url", "https://gw.example/")
    lines = assigned(here / "a.env")
    assert lines["OPENAI_BASE_URL"] == "https://gw.example/local/v1"
    said = (here / "a.env").read_text()
    assert (
        "another route has this variable already: OPENAI_BASE_URL=https://gw.example/openai/v1"
        in (said)
    )
    assert said.count("OPENAI_API_KEY") == 1
    assert "# search: https://gw.example/search, token in " in said


def test_several_bots_get_a_file_each_by_their_names(here: Path) -> None:
    (here / "env").mkdir()
    result = gateway("token", "issue", "support", "research", "--out", "env/{bot}.env")
    assert sorted(one.name for one in (here / "env").iterdir()) == ["research.env", "support.env"]
    digests = {token.bot: token.digest for token in stored(here)}
    for bot in ("support", "research"):
        file = here / "env" / f"{bot}.env"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        text = assigned(file)["GATEWAY_TOKEN"]
        assert tokens.digest(text.encode()) == digests[bot]
        assert text not in result.output
    assert "2 written to env/support.env, env/research.env" in result.stderr


def test_several_bots_share_a_file_that_is_no_bots_own(here: Path) -> None:
    result = gateway("token", "issue", "support", "research", "--out", "bots.env")
    lines = assigned(here / "bots.env")
    assert set(lines) == {"GATEWAY_TOKEN_SUPPORT", "GATEWAY_TOKEN_RESEARCH"}
    assert not any(text in result.output for text in lines.values())
    assert {tokens.digest(text.encode()) for text in lines.values()} == {
        token.digest for token in stored(here)
    }


def test_json_names_a_token_in_a_file_without_its_text(here: Path) -> None:
    result = gateway("token", "issue", "support", "--out", "a.env", "--json")
    (record,) = json.loads(result.stdout)
    assert set(record) == {"id", "bot", "expires"}
    assert record["id"] == stored(here)[0].id


@pytest.mark.parametrize("link", [False, True], ids=["file", "dangling link"])
def test_what_is_there_is_not_overwritten_and_nothing_is_issued(here: Path, link: bool) -> None:
    out = here / "support.env"
    if link:
        out.symlink_to("nowhere")
    else:
        out.write_text("precious")
    result = gateway("token", "issue", "research", "support", "--out", "{bot}.env")
    assert result.exit_code == 1
    assert "support.env cannot be written: File exists" in result.stderr
    assert link or out.read_text() == "precious"
    assert not (here / "nowhere").exists()
    assert not (here / ".gateway").exists()
    assert sorted(one.name for one in here.iterdir()) == ["keys", "routes.yaml", "support.env"]


def test_a_folder_that_is_not_there_is_not_made(here: Path) -> None:
    result = gateway("token", "issue", "support", "--out", "env/{bot}.env")
    assert result.exit_code == 1
    assert "env/support.env cannot be written: No such file or directory" in result.stderr
    assert not (here / ".gateway").exists()


def test_a_store_that_cannot_be_used_leaves_no_file_of_tokens(here: Path) -> None:
    (here / ".gateway").write_text("not a directory")
    result = gateway("token", "issue", "support", "research", "--out", "{bot}.env")
    assert result.exit_code == 1
    assert not list(here.glob("*.env"))


def test_bots_that_would_share_a_variable_need_files_of_their_own(here: Path) -> None:
    arguments = ("token", "issue", "a-b", "a.b", "--state", "elsewhere", "--out")
    result = gateway(*arguments, "bots.env")
    assert result.exit_code == 1
    assert "the same variable in the file" in result.stderr
    assert not (here / "bots.env").exists()
    assert gateway(*arguments, "{bot}.env").exit_code == 0


def test_tokens_are_rotated_into_files(here: Path) -> None:
    gateway("token", "issue", "support", "research")
    result = gateway("token", "rotate", "support", "research", "--out", "{bot}.env")
    assert result.exit_code == 0
    digests = {token.digest for token in stored(here) if token.expires is None}
    texts = [assigned(here / f"{bot}.env")["GATEWAY_TOKEN"] for bot in ("support", "research")]
    assert {tokens.digest(text.encode()) for text in texts} == digests
