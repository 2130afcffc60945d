"""What a token looks like: its text, in the shape an SDK wants, and its digest."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from types import MappingProxyType
from zlib import crc32

ENTROPY = 32
"""Bytes of randomness in every token."""

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM = 6
_BODY = r"[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}"


def _plain(_: bytes) -> str:
    return "gwt_"


def _openai(_: bytes) -> str:
    return "sk-gwt-"


def _anthropic(_: bytes) -> str:
    return "sk-ant-gwt-"


def _telegram(entropy: bytes) -> str:
    """Start with a bot id, which aiogram and pyTelegramBotAPI read as an integer."""
    return f"{_digits(entropy, 10)}:gwt_"


def _slack_bot(_: bytes) -> str:
    return "xoxb-gwt-"


def _slack_app(_: bytes) -> str:
    return "xapp-gwt-"


def _discord(entropy: bytes) -> str:
    """Start with a snowflake in base64, which hikari reads; discord.js logs the first two parts."""
    return b64encode(_digits(entropy, 18).encode()).decode() + ".gwt."


def _twilio(_: bytes) -> str:
    return "ACgwt_"


_PREFIX: MappingProxyType[str, Callable[[bytes], str]] = MappingProxyType(
    {
        "plain": _plain,
        "openai": _openai,
        "anthropic": _anthropic,
        "telegram": _telegram,
        "slack-bot": _slack_bot,
        "slack-app": _slack_app,
        "discord": _discord,
        "twilio": _twilio,
    }
)
SHAPES = tuple(_PREFIX)
_MINTED = re.compile(
    r"(?:gwt_|sk-gwt-|sk-ant-gwt-|[1-9][0-9]{9}:gwt_|xoxb-gwt-|xapp-gwt-"
    rf"|[A-Za-z0-9]{{24}}\.gwt\.|ACgwt_){_BODY}"
)


def mint(entropy: bytes, shape: str = "plain") -> str:
    """Turn 32 random bytes into a token: the shape's start, all 256 bits, a checksum."""
    if len(entropy) != ENTROPY:
        raise ValueError(f"a token is made of {ENTROPY} random bytes, not of {len(entropy)}")
    if shape not in _PREFIX:
        raise ValueError(f"{shape!r} is not a token shape; it must be one of {', '.join(SHAPES)}")
    text = _PREFIX[shape](entropy) + urlsafe_b64encode(entropy).decode().rstrip("=")
    return text + _checksum(text)


def looks_minted(token: str) -> bool:
    """Whether `token` is whole and typed right, if it is one of ours; not whether it is valid."""
    if not _MINTED.fullmatch(token):
        return False
    return token[-_CHECKSUM:] == _checksum(token[:-_CHECKSUM])


def digest(token: bytes) -> bytes:
    """Return what is stored and looked up in a token's stead."""
    return sha256(token).digest()


def _checksum(text: str) -> str:
    rest = crc32(text.encode())
    digits = []
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def _digits(entropy: bytes, count: int) -> str:
    """Return a number of `count` digits, through a hash: it may be logged, the secret part not."""
    number = int.from_bytes(sha256(b"token digits" + entropy).digest(), "big")
    least: int = 10 ** (count - 1)
    return str(least + number % (9 * least))
