"""Tokens: shaped as SDKs want them, whole or recognisably not."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64decode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tokens import SHAPES, digest, looks_minted, mint

ENTROPY = st.binary(min_size=32, max_size=32)
EXAMPLE = bytes(range(32))


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        pytest.param("plain", r"gwt_[\w-]{49}", id="plain"),
        pytest.param("openai", r"sk-gwt-[\w-]{49}", id="openai"),
        pytest.param("anthropic", r"sk-ant-gwt-[\w-]{49}", id="anthropic"),
        pytest.param("telegram", r"[1-9]\d{9}:gwt_[\w-]{49}", id="telegram"),
        pytest.param("slack-bot", r"xoxb-gwt-[\w-]{49}", id="slack-bot"),
        pytest.param("slack-app", r"xapp-gwt-[\w-]{49}", id="slack-app"),
        pytest.param("discord", r"[A-Za-z0-9]{24}\.gwt\.[\w-]{49}", id="discord"),
        pytest.param("twilio", r"ACgwt_[\w-]{49}", id="twilio"),
    ],
)
def test_each_shape_starts_as_its_sdk_wants(shape: str, pattern: str) -> None:
    assert re.fullmatch(pattern, mint(EXAMPLE, shape), re.ASCII)


def test_every_shape_is_covered_above() -> None:
    mark = test_each_shape_starts_as_its_sdk_wants.pytestmark[0]  # type: ignore[attr-defined]
    assert tuple(parameters.values[0] for parameters in mark.args[1]) == SHAPES


@pytest.mark.parametrize("shape", SHAPES)
@given(entropy=ENTROPY)
def test_a_token_carries_all_its_entropy(shape: str, entropy: bytes) -> None:
    token = mint(entropy, shape)
    assert urlsafe_b64decode(token[-49:-6] + "=") == entropy
    assert looks_minted(token)
    assert mint(entropy, shape) == token


@pytest.mark.parametrize("shape", SHAPES)
@given(entropy=ENTROPY, at=st.integers(0, 200), typed=st.sampled_from("aZ0-_:. é"))
def test_a_mistyped_or_truncated_token_does_not_look_minted(
    shape: str, entropy: bytes, at: int, typed: str
) -> None:
    token = mint(entropy, shape)
    at %= len(token)
    if token[at] != typed:
        assert not looks_minted(token[:at] + typed + token[at + 1 :])
    assert not looks_minted(token[:at])
    assert not looks_minted(token + typed)
    assert not looks_minted(f" {token}")


@pytest.mark.parametrize(
    "token",
    ["", "gwt_", "sk-proj-abc", "123456789:AAF0000000000000000000000000000000", "gwt_" + "a" * 49],
)
def test_others_do_not_look_minted(token: str) -> None:
    assert not looks_minted(token)


@given(entropy=ENTROPY)
def test_telegram_sdks_take_the_token(entropy: bytes) -> None:
    """Checks as in aiogram/utils/token.py and telebot/util.py (validate_token)."""
    token = mint(entropy, "telegram")
    assert not any(character.isspace() for character in token)
    assert token.count(":") == 1
    left, _, right = token.partition(":")
    assert left.isdigit()
    assert right
    assert 10**9 <= int(left) < 10**10


@given(entropy=ENTROPY)
def test_hikari_takes_the_token(entropy: bytes) -> None:
    """Check as in hikari/applications.py (get_token_id)."""
    token = mint(entropy, "discord")
    assert 10**17 <= int(b64decode(token.split(".", 1)[0] + "==")) < 2**63
    assert token.count(".") == 2


@given(entropy=ENTROPY)
def test_the_part_that_may_be_logged_is_not_the_secret_part(entropy: bytes) -> None:
    for shape, separator in (("telegram", ":"), ("discord", ".gwt.")):
        public, _, secret = mint(entropy, shape).partition(separator)
        assert public not in secret
        assert len(secret) >= 49


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_other_amounts_of_entropy_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"32 random bytes, not of {size}"):
        mint(bytes(size))


def test_an_unknown_shape_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'slack' is not a token shape.*slack-bot, slack-app"):
        mint(EXAMPLE, "slack")


def test_the_text_never_changes_between_releases() -> None:
    assert mint(EXAMPLE) == "gwt_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh81DjDAi"


def test_digest_is_sha256() -> None:
    assert digest(b"gwt_x") == sha256(b"gwt_x").digest()
