"""A Secret says nothing: not by any of the ways in which values usually get out."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass

import msgspec
import pytest

from gateway.core.secret import Secret, SecretRef

CANARY = b"sk-canary-7f3a"
REF = SecretRef("env", "OPENAI_API_KEY")


@dataclass(frozen=True)
class Holder:
    secret: Secret


def secret() -> Secret:
    return Secret(REF, CANARY, "v1")


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param(ascii, id="ascii"),
        pytest.param(pprint.pformat, id="pprint"),
        pytest.param(lambda value: f"{value}", id="format"),
        pytest.param(lambda value: f"{value:>60}", id="format-with-width"),
        pytest.param(lambda value: f"{value!r:.60}", id="format-repr"),
        pytest.param(lambda value: "%s %r" % (value, value), id="percent"),  # noqa: UP031
        pytest.param(lambda value: repr([value, {"key": value}]), id="in-containers"),
        pytest.param(lambda value: repr(Holder(value)), id="in-a-dataclass"),
        pytest.param(lambda value: json.dumps(value, default=str), id="json-default-str"),
        pytest.param(
            lambda value: msgspec.json.encode(value, enc_hook=repr).decode(), id="msgspec"
        ),
    ],
)
def test_showing_it_names_it_only(show: Callable[[Secret], str]) -> None:
    shown = show(secret())
    assert "env:OPENAI_API_KEY v1" in shown
    assert CANARY.decode() not in shown


@pytest.mark.parametrize(
    "carry",
    [
        pytest.param(json.dumps, id="json"),
        pytest.param(msgspec.json.encode, id="msgspec"),
        pytest.param(msgspec.to_builtins, id="builtins"),
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(lambda value: pickle.dumps([value], 0), id="pickle-protocol-0"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda value: asdict(Holder(value)), id="asdict"),
        pytest.param(vars, id="vars"),
        pytest.param(bytes, id="bytes"),
        pytest.param(iter, id="iter"),
        pytest.param(len, id="len"),
    ],
)
def test_carrying_it_off_fails_without_the_value(carry: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as caught:
        carry(secret())
    assert CANARY.decode() not in "".join(traceback.format_exception(caught.value))


def test_logging_it_names_it_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("got %s and %r", secret(), secret(), stack_info=True)
    assert CANARY.decode() not in caplog.text


def test_two_are_never_equal_by_value() -> None:
    others: list[object] = [secret(), CANARY, CANARY.decode()]
    assert secret() not in others


def test_reveal_gives_it() -> None:
    assert secret().reveal() == CANARY


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"canary\n", id="line-end"),
        pytest.param(b"can\r\nary", id="injection"),
        pytest.param(b" canary", id="leading-space"),
        pytest.param(b"canary ", id="trailing-space"),
        pytest.param(b"can\0ary", id="nul"),
        pytest.param("cänary".encode(), id="not-ascii"),
    ],
)
def test_a_value_that_no_header_carries_is_refused_unseen(value: bytes) -> None:
    with pytest.raises(ValueError, match="env:OPENAI_API_KEY is empty or holds") as caught:
        Secret(REF, value, "v1")
    assert "ary" not in str(caught.value)


def test_spaces_within_are_allowed() -> None:
    assert Secret(REF, b"a b", "v1").reveal() == b"a b"
