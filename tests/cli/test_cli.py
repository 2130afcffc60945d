"""The command line: what it prints, what it keeps to itself, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.cli.demo import _greeting, prepare
from gateway.config import load
from gateway.core import tokens
from gateway.core.model import Token
from gateway.demo.keys import KEYS
from gateway.stores.embedded import Embedded

ROOT = Path(__file__).parents[2]
PINNED = tokens.mint(b"p" * 32)
CONFIG = f"""\
secrets_dir: keys
routes:
  openai: {{secret: env:OPENAI_API_KEY}}
  telegram: {{secret: file:telegram}}
bots:
  support:
    labels: [team-a]
    allow: [openai]
    tokens: ["sha256:{tokens.digest(PINNED.encode()).hex()}"]
  research: {{allow: [openai, telegram]}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    (tmp_path / "routes.yaml").write_text(CONFIG)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "telegram").write_text("1:canary\n")
    (tmp_path / "keys" / "telegram").chmod(0o600)
    return tmp_path


def gateway(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=given)


def process(here: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def stored(here: Path) -> list[Token]:
    return [one.token for one in Embedded(here / ".gateway").list_tokens()]


# token


def test_a_token_is_issued_listed_and_revoked_by_separate_processes(here: Path) -> None:
    text = process(here, "token", "issue", "support").strip()
    assert tokens.looks_minted(text)
    listed = json.loads(process(here, "token", "list", "--json"))
    assert [(one["bot"], one["status"], one["origin"]) for one in listed] == [
        ("support", "valid", "store"),
        ("support", "valid", "routes.yaml:9 bots.support.tokens[0]"),
    ]
    assert text not in json.dumps(listed)
    assert process(here, "token", "revoke", listed[0]["id"]) == "1 revoked\n"
    process(here, "token", "revoke", listed[0]["id"], code=1)
    assert json.loads(process(here, "token", "list", "--json"))[0]["status"] == "revoked"


def test_only_the_digest_of_a_token_is_kept(here: Path) -> None:
    text = gateway("token", "issue", "support").stdout.strip()
    assert stored(here)[0].digest == tokens.digest(text.encode())
    files = b"".join(file.read_bytes() for file in (here / ".gateway").iterdir())
    assert text.encode() not in files


@pytest.mark.parametrize("shape", tokens.SHAPES)
def test_every_shape_is_issued(here: Path, shape: str) -> None:
    text = gateway("token", "issue", "support", "--shape", shape).stdout.strip()
    assert tokens.looks_minted(text)
    assert stored(here)[0].digest == tokens.digest(text.encode())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 2_592_000), ("12h", 43_200), ("5m", 300), ("9s", 9), ("2w", 1_209_600)],
)
def test_a_token_expires_when_it_was_told_to(here: Path, text: str, seconds: float) -> None:
    assert gateway("token", "issue", "support", "--expires", text).exit_code == 0
    (token,) = stored(here)
    assert token.expires == pytest.approx(token.created + seconds)


@pytest.mark.parametrize("text", ["30", "d", "-1d", "0d", "1y", "1.5h", "99999999w"])
def test_an_expiry_that_is_none_is_a_usage_error(here: Path, text: str) -> None:
    result = gateway("token", "issue", "support", f"--expires={text}")
    assert result.exit_code == 2
    assert "such as 30d" in result.stderr


def test_several_bots_get_a_token_each(here: Path) -> None:
    lines = gateway("token", "issue", "support", "research", "support").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["support", "research"]
    digests = {tokens.digest(line.split()[1].encode()) for line in lines}
    assert digests == {token.digest for token in stored(here)}


def test_tokens_go_into_a_new_file_of_the_owners_alone(here: Path) -> None:
    result = gateway("token", "issue", "support", "research", "--out", "bots.env")
    file = here / "bots.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert set(lines) == {"GATEWAY_TOKEN_SUPPORT", "GATEWAY_TOKEN_RESEARCH"}
    assert not any(text in result.output for text in lines.values())
    assert {tokens.digest(text.encode()) for text in lines.values()} == {
        token.digest for token in stored(here)
    }


def test_a_file_that_is_there_is_not_overwritten_and_nothing_is_issued(here: Path) -> None:
    (here / "bots.env").write_text("precious")
    result = gateway("token", "issue", "support", "--out", "bots.env")
    assert result.exit_code == 1
    assert "bots.env cannot be written: File exists" in result.stderr
    assert (here / "bots.env").read_text() == "precious"
    assert not (here / ".gateway").exists()


def test_a_store_that_cannot_be_used_leaves_no_file_of_tokens(here: Path) -> None:
    (here / ".gateway").write_text("not a directory")
    result = gateway("token", "issue", "support", "--out", "bots.env")
    assert result.exit_code == 1
    assert not (here / "bots.env").exists()


def test_an_unknown_bot_gets_no_token(here: Path) -> None:
    result = gateway("token", "issue", "nobody")
    assert result.exit_code == 1
    assert "there is no bot 'nobody' in the configuration; bots are: research, support" in (
        result.stderr
    )


def test_a_state_directory_is_enough(here: Path) -> None:
    (here / "routes.yaml").unlink()
    assert gateway("token", "issue", "any", "--state", "elsewhere").exit_code == 0
    listed = json.loads(gateway("token", "list", "--state", "elsewhere", "--json").stdout)
    assert [one["bot"] for one in listed] == ["any"]


def test_a_pinned_token_is_revoked_where_it_is_pinned(here: Path) -> None:
    listed = json.loads(gateway("token", "list", "--json").stdout)
    result = gateway("token", "revoke", listed[0]["id"])
    assert result.exit_code == 1
    assert "pinned in the configuration: routes.yaml:9 bots.support.tokens[0]" in result.stderr


def test_all_tokens_of_a_bot_are_revoked(here: Path) -> None:
    gateway("token", "issue", "support", "research")
    result = gateway("token", "revoke", "--bot", "support")
    assert result.stdout == "1 revoked\n"
    assert "1 more pinned in the configuration stay valid" in result.stderr
    assert [token.bot for token in stored(here) if token.revoked is None] == ["research"]


@pytest.mark.parametrize("arguments", [(), ("tok_1", "--bot", "support")])
def test_revoking_nothing_in_particular_is_a_usage_error(
    here: Path, arguments: tuple[str, ...]
) -> None:
    assert gateway("token", "revoke", *arguments).exit_code == 2


def test_listing_does_not_make_a_store(here: Path) -> None:
    for command in (("token", "list"), ("bot", "list"), ("check",), ("token", "revoke", "tok_1")):
        gateway(*command)
    assert not (here / ".gateway").exists()


# check, bot, routes


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


def test_bots_are_listed_with_their_tokens(here: Path) -> None:
    gateway("token", "issue", "research")
    listed = json.loads(gateway("bot", "list", "--json").stdout)
    assert listed[0] == {
        "bot": "support",
        "labels": ["team-a"],
        "routes": ["openai"],
        "tokens": 1,
        "last_used": None,
    }
    assert gateway("bot", "list").stdout.splitlines()[2].split() == [
        "research", "-", "openai,", "telegram", "1", "-",
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


def test_routes_say_what_to_change_in_each_sdk(here: Path) -> None:
    text = gateway("routes").stdout
    assert 'OpenAI(base_url="http://127.0.0.1:8080/openai/v1", api_key="YOUR_TOKEN")' in text
    assert 'base_url="http://127.0.0.1:8080/telegram/bot"' in text
    only = json.loads(gateway("routes", "openai", "--url", "https://gw.example/", "--json").stdout)
    assert [(one["route"], one["base_url"]) for one in only] == [
        ("openai", "https://gw.example/openai")
    ]
    assert gateway("routes", "nope").exit_code == 1


# The rest


def test_exit_codes_are_documented() -> None:
    text = gateway("--help").stdout
    assert "2  the command line or the configuration is wrong" in text
    assert gateway("nope").exit_code == 2


@pytest.mark.parametrize(
    "command",
    ["token list", "bot list", "bot show", "routes", "check", "token issue", "explain"],
)
def test_every_listing_has_json(command: str) -> None:
    assert "--json" in gateway(*command.split(), "--help").stdout


def test_the_demo_writes_a_configuration_that_loads(tmp_path: Path) -> None:
    ready = prepare(tmp_path / ".gateway" / "demo", "http://127.0.0.1:4321")
    snapshot = load(ready.config, {})
    assert set(snapshot.routes) == set(snapshot.bots["demo"].allow)
    assert set(snapshot.routes) == {"openai", "anthropic", "telegram", "echo"}
    assert str(snapshot.routes["openai"].origin) == "http://127.0.0.1:4321"
    listed = {one.token.digest for one in ready.store.list_tokens()}
    assert listed == {tokens.digest(text.encode()) for text in ready.tokens.values()}
    assert snapshot.settings.listeners[0].port == ready.port
    for path in (tmp_path / ".gateway" / "demo").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    for name in snapshot.routes:
        secret = (ready.config.parent / "secrets" / name).read_text()
        assert secret == KEYS[name] + "\n"
    ready.close()
    assert all(one.token.revoked for one in ready.store.list_tokens())


def test_the_demo_can_be_prepared_again(tmp_path: Path) -> None:
    prepare(tmp_path, "http://127.0.0.1:4321")
    ready = prepare(tmp_path, "http://127.0.0.1:4322")
    assert load(ready.config, {}).routes["openai"].origin.port == 4322


def test_the_demo_says_what_to_do_in_commands_that_can_be_pasted(tmp_path: Path) -> None:
    ready = prepare(tmp_path, "http://127.0.0.1:4321")
    text = _greeting(ready, "http://127.0.0.1:4321")
    assert f"http://127.0.0.1:{ready.admin}/metrics" in text
    (curl,) = re.findall(r"^  curl (.*chat/completions .*)$", text, re.MULTILINE)
    body = re.search(r"-d '(.*)'$", curl)
    assert body is not None
    assert json.loads(body[1])["model"] == "gpt-5-mini"
    snippet = text.partition("changes:\n\n")[2].partition("\nFor your own")[0]
    compile(snippet.replace("\n  ", "\n").strip(), "snippet", "exec")
    assert f'api_key="{ready.tokens["plain"]}"' in snippet
