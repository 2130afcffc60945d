"""`gateway token`: issued, rotated, listed, revoked; shown once, and kept only as a digest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.core import tokens
from gateway.core.model import Token
from gateway.stores.embedded import Embedded
from tests.support.commands import PINNED, gateway, stored

ROOT = Path(__file__).parents[2]
PINNED_ID = f"pin_{tokens.digest(PINNED.encode()).hex()[:12]}"


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


def issued(*arguments: str) -> list[dict[str, str]]:
    """Issue or rotate tokens; return what is said of them."""
    result = gateway("token", *arguments, "--json")
    assert result.exit_code == 0, result.output
    said: list[dict[str, str]] = json.loads(result.stdout)
    return said


def ends(here: Path) -> dict[str, float | None]:
    """Return when each token in the store ends, by id."""
    return {token.id: token.expires for token in stored(here)}


# issue


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
def test_every_shape_is_issued_and_listed(here: Path, shape: str) -> None:
    text = gateway("token", "issue", "support", "--shape", shape).stdout.strip()
    assert tokens.looks_minted(text)
    (token,) = stored(here)
    assert (token.digest, token.shape) == (tokens.digest(text.encode()), shape)
    listed = json.loads(gateway("token", "list", "--json").stdout)
    assert [one["shape"] for one in listed] == [shape, None]


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


def test_older_tokens_stay_as_they_are_unless_told_to_end(here: Path) -> None:
    (old,) = issued("issue", "support")
    issued("issue", "support")
    assert ends(here)[old["id"]] is None


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("0s", 0)])
def test_older_tokens_of_these_bots_end_after_the_overlap(
    here: Path, text: str, seconds: float
) -> None:
    old, other = issued("issue", "support", "research")
    before = time.time()
    result = gateway("token", "issue", "support", "--overlap", text)
    after = time.time()
    expires = ends(here)[old["id"]]
    assert expires is not None
    assert before <= expires - seconds <= after
    assert ends(here)[other["id"]] is None
    assert stored(here)[-1].expires is None
    assert re.search(r"older tokens, now valid until \S+Z: 1\n", result.stderr)
    assert "1 more pinned in the configuration stay valid" in result.stderr


def test_an_overlap_never_lets_a_token_live_longer(here: Path) -> None:
    (old,) = issued("issue", "support", "--expires", "1m")
    before = ends(here)
    result = gateway("token", "issue", "support", "--overlap", "1h")
    assert ends(here)[old["id"]] == before[old["id"]]
    assert result.stderr.splitlines()[-2] == "older tokens that end sooner by themselves: 1"


def test_an_unknown_bot_gets_no_token(here: Path) -> None:
    result = gateway("token", "issue", "support", "nobody")
    assert result.exit_code == 1
    assert "there is no bot 'nobody' in the configuration; bots are: research, support" in (
        result.stderr
    )
    assert not (here / ".gateway").exists()


def test_a_state_directory_is_enough(here: Path) -> None:
    (here / "routes.yaml").unlink()
    assert gateway("token", "issue", "any", "--state", "elsewhere").exit_code == 0
    listed = json.loads(gateway("token", "list", "--state", "elsewhere", "--json").stdout)
    assert [one["bot"] for one in listed] == ["any"]


@pytest.mark.parametrize("bot", ["../x", "Support", "a b", ""])
def test_a_name_that_no_bot_can_have_gets_no_token(here: Path, bot: str) -> None:
    result = gateway("token", "issue", bot, "--state", "elsewhere")
    assert result.exit_code == 1
    assert "is no bot's name: a name is 1 to 64 of a-z" in result.stderr
    assert not (here / "elsewhere").exists()


# rotate


def test_a_bots_token_is_replaced_by_one_alike_and_ends_a_day_later(here: Path) -> None:
    issued("issue", "support")
    issued("issue", "support", "--shape", "telegram")
    (other,) = issued("issue", "research")
    before = time.time()
    result = gateway("token", "rotate", "support")
    after = time.time()
    text = result.stdout.strip()
    new = next(one for one in stored(here) if one.digest == tokens.digest(text.encode()))
    assert (new.bot, new.shape, new.expires) == ("support", "telegram", None)
    for token in stored(here):
        if token.bot == "support" and token.id != new.id:
            assert token.expires is not None
            assert before <= token.expires - 86_400 <= after
    assert ends(here)[other["id"]] is None
    assert re.search(r"older tokens, now valid until \S+Z: 2\n", result.stderr)
    assert (
        "no new token of shape plain was made; "
        "for one: gateway token issue support --shape plain\n" in result.stderr
    )
    assert "1 more pinned in the configuration stay valid" in result.stderr


def test_one_token_is_replaced_and_the_bots_others_stay(here: Path) -> None:
    (old,) = issued("issue", "support", "--shape", "openai")
    (kept,) = issued("issue", "support", "--shape", "telegram")
    (new,) = issued("rotate", old["id"], "--overlap", "0s", "--expires", "1h")
    assert new["token"].startswith("sk-gwt-")
    found = ends(here)
    assert found[kept["id"]] is None
    assert found[old["id"]] == pytest.approx(time.time(), abs=30)
    assert found[new["id"]] == pytest.approx(time.time() + 3600, abs=30)
    listed = json.loads(gateway("token", "list", "--json").stdout)
    assert [one["status"] for one in listed if one["id"] == old["id"]] == ["expired"]


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (("research",), "there is no valid token 'research', nor a bot of that name that has one"),
        (("tok_gone",), "there is no valid token 'tok_gone'"),
        (("tok_old",), "there is no valid token 'tok_old'"),
        ((PINNED_ID,), "pinned in the configuration: routes.yaml:9 bots.support.tokens[0]"),
        (("support", "tok_new"), "give a bot or the ID of a token of it, not both"),
        (("tok_new", "tok_lost"), "there is no bot 'lost' in the configuration"),
    ],
)
def test_what_cannot_be_rotated_leaves_all_as_it_was(
    here: Path, which: tuple[str, ...], message: str
) -> None:
    digest = tokens.digest
    Embedded(here / ".gateway").issue(
        [
            Token("tok_old", digest(b"1"), "research", 1.0, 2.0),
            Token("tok_new", digest(b"2"), "support", 1.0),
            Token("tok_lost", digest(b"3"), "lost", 1.0),
        ]
    )
    before = stored(here)
    result = gateway("token", "rotate", *which)
    assert result.exit_code == 1
    assert message in result.stderr
    assert stored(here) == before


# list, revoke


def test_a_listing_says_when_a_token_was_used_and_from_where(here: Path) -> None:
    issued("issue", "research", "--expires", "30d")
    listed = json.loads(gateway("token", "list", "--bot", "research", "--json").stdout)
    (one,) = listed
    assert one["created"] < one["expires"]
    assert (one["last_used"], one["last_address"]) == (None, None)
    lines = gateway("token", "list").stdout.splitlines()
    assert lines[0].split() == [
        "ID", "BOT", "STATUS", "SHAPE", "CREATED", "EXPIRES", "LAST_USED", "LAST_ADDRESS", "ORIGIN",
    ]  # fmt: skip
    assert lines[1].split()[:4] == [one["id"], "research", "valid", "plain"]


def test_a_pinned_token_is_revoked_where_it_is_pinned(here: Path) -> None:
    result = gateway("token", "revoke", PINNED_ID)
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


@pytest.mark.parametrize(
    "command", [("list",), ("revoke", "tok_1"), ("revoke", "--bot", "support"), ("rotate", "tok_1")]
)
def test_looking_does_not_make_a_store(here: Path, command: tuple[str, ...]) -> None:
    gateway("token", *command)
    assert not (here / ".gateway").exists()
