"""Ruled fields of urlencoded forms and queries: what any reader may find must not be missed."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Refused
from gateway.core.fields.formfields import FormFields
from gateway.core.fields.ruled import Ruled
from gateway.core.model import Subject

CHAT = Subject("chat", form="[ -~]{1,64}")
FIELDS = FormFields([Ruled(written, CHAT) for written in ("chat_id", "reply.id", "all[]")], "form")


def read(text: bytes) -> tuple[str, ...]:
    return FIELDS.read(text).get("chat", ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b"text=hi", (), id="nothing"),
        pytest.param(b"chat_id=1&text=hi", ("1",), id="first"),
        pytest.param(b"text=a%26chat_id%3D2&chat_id=1", ("1",), id="escaped-pair-is-text"),
        pytest.param(b"text=chat_id&x=chat_id=2&chat_id=1", ("1",), id="in-values"),
        pytest.param(b"%63hat%5fid=%31", ("1",), id="escaped"),
        pytest.param(b"chat_id=a=b", ("a=b",), id="equals-in-value"),
        pytest.param(b"chat_id=a+b", ("a b",), id="plus"),
        pytest.param(b"reply={%22id%22:5}", ("5",), id="json-inside"),
        pytest.param(b"reply=later&all=none", (), id="words-that-hold-nothing"),
        pytest.param(b"all=[%22a%22,2]", ("a", "2"), id="array-inside"),
        pytest.param(b"text=hi;+there%21;%0Ayou=x", (), id="semicolons-in-text"),
        pytest.param(b"text=100%&chat_id=1", ("1",), id="stray-percent-elsewhere"),
        pytest.param(b"text=\xff&chat_id=1", ("1",), id="other-bytes-elsewhere"),
        pytest.param("größe=1&chat_id=1".encode(), ("1",), id="not-ascii"),
        pytest.param(b"files[0]=a&files[0]=b&chat_id=1", ("1",), id="others-twice"),
        pytest.param(b"&".join([b"a=1"] * 999) + b"&chat_id=1", ("1",), id="a-thousand"),
    ],
)
def test_what_is_said(text: bytes, said: tuple[str, ...]) -> None:
    assert read(text) == said


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"chat_id=1&chat_id=2", id="twice"),
        pytest.param(b"chat_id=1&chat%5Fid=2", id="twice-escaped"),
        pytest.param(b"chat_id=1&chat%255Fid=2", id="escaped-twice"),
        pytest.param(b"chat%255Fid[x]y=2", id="escaped-twice-and-brackets"),
        pytest.param(b"chat_id=1&Chat_Id=2", id="case"),
        pytest.param("chat_\u0131d=2".encode(), id="turkish"),
        pytest.param(b"chat_id[]=2", id="brackets"),
        pytest.param(b"chat_id[0]=2", id="index"),
        pytest.param(b"chat_id.0=2", id="dotted-index"),
        pytest.param(b"chat_id%5B%5D=2", id="escaped-brackets"),
        pytest.param(b"chat[id=2", id="php-open-bracket"),
        pytest.param(b"chat.id=2", id="php-dot"),
        pytest.param(b"chat+id=2", id="php-space"),
        pytest.param(b"+chat_id=2", id="space-before"),
        pytest.param(b"chat_id+=2", id="space-after"),
        pytest.param(b"chatId=2", id="camel"),
        pytest.param(b"chat-id=2", id="kebab"),
        pytest.param(b"chat_id%00=2", id="nul-after"),
        pytest.param(b"%00chat_id=2", id="nul-before"),
        pytest.param(b"chat_id%0D%0A=2", id="line-end"),
        pytest.param(b"chat_id%CC%81=2", id="combining-mark"),
        pytest.param(b"chat_id%C2%A0=2", id="no-break-space"),
        pytest.param(b"%3D?utf-8?q?chat_id?%3D=2", id="encoded-word"),
        pytest.param(b"%u0063hat_id=2", id="percent-u"),
        pytest.param(b"chat_id%=2", id="stray-percent"),
        pytest.param(b"chat_id=%2", id="stray-percent-in-value"),
        pytest.param(b"chat_id=%ff", id="value-not-utf-8"),
        pytest.param(b"%ff=2", id="name-not-utf-8"),
        pytest.param(b"%c1%a3hat_id=2", id="overlong"),
        pytest.param(b"a=1;chat_id=2", id="semicolon"),
        pytest.param(b"a=1; chat_id=2", id="semicolon-and-space"),
        pytest.param(b"a;chat_id;b=1", id="semicolon-in-name"),
        pytest.param(b"a=1;Chat%5FId=2", id="semicolon-in-disguise"),
        pytest.param(b"chat_id=1;b=2", id="semicolon-after"),
        pytest.param(b"_charset_=utf-7&chat_id=1", id="charset-field"),
        pytest.param(b"_Charset_=utf-7", id="charset-field-in-case"),
        pytest.param(b"reply={%22id%22:5,%22id%22:6}", id="json-twice"),
        pytest.param(b"reply={%22id%22:5}&reply={}", id="json-field-twice"),
        pytest.param(b"reply={%22Id%22:5}", id="json-case"),
        pytest.param(b"reply={id:5}", id="json-broken"),
        pytest.param(b"reply={%22id%22:[5]}", id="json-array"),
        pytest.param(b"reply[id]=5", id="brackets-for-json"),
        pytest.param(b"all=[[1]]", id="array-in-array"),
        pytest.param(b"all[]=1", id="brackets-for-array"),
        pytest.param(b'{"chat_id":2,"x":"&chat_id=1&"}', id="json"),
        pytest.param(b'\xef\xbb\xbf [{"chat_id":2,"x":"&chat_id=1&"}]', id="json-in-disguise"),
        pytest.param("chat_id=1".encode("utf-16"), id="utf-16"),
        pytest.param("chat_id=1".encode("utf-16-le"), id="utf-16-le"),
        pytest.param(b"\xef\xbb\xbfchat_id=1", id="bom"),
        pytest.param(b"&".join([b"a=1"] * 1001), id="too-many"),
        pytest.param(b"a=1" + b";" * 1001, id="too-many-semicolons"),
        pytest.param(b"reply=" + b"[" * 100_000, id="deep"),
        pytest.param(b"chat.id[]=1", id="php-dot-and-bracket"),
        pytest.param(b"chat.id[x].y=1", id="php-dot-and-more"),
        pytest.param(b"chat_id.x[]=1", id="member-and-bracket"),
    ],
)
def test_tricks_are_refused(text: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read(text)
    assert caught.value.deny.code == "scope_unreadable"


PIECES = st.sampled_from(
    ["chat_id", "Chat_Id", "chat%5Fid", "chat%255fid", "chat.id", "chat+id", "text", "a", "1", "2",
     "=", "=", "=", "&", "&", "&", ";", "%", "%00", "[]", "%5B", "[", "]", "+", "x", "%26", "%3D"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=12).map("".join)
Pairs = list[tuple[str, str]]


def _php(text: str) -> Pairs:
    """PHP's: what is in brackets indexes an array, an open one and dots and spaces are `_`."""
    pairs = []
    for name, value in parse_qsl(text, keep_blank_values=True):
        outer, _, inner = name.lstrip(" ").partition("[")
        pairs.append((outer if "]" in inner else name.lstrip(" "), value))
    return [(re.sub(r"[ .\[]", "_", name), value) for name, value in pairs]


READERS: list[Callable[[str], Pairs]] = [
    lambda text: parse_qsl(text, keep_blank_values=True),
    lambda text: parse_qsl(re.sub("[;]", "&", text), keep_blank_values=True),
    lambda text: [
        (name.lower().partition("\0")[0].strip(), value)
        for name, value in parse_qsl(text, keep_blank_values=True)
    ],
    lambda text: [
        (unquote_plus(name).partition("[")[0], value)
        for name, value in parse_qsl(text, keep_blank_values=True)
    ],
    _php,
]


@given(TEXTS)
def test_no_other_reader_finds_another_value(text: str) -> None:
    try:
        said = read(text.encode())
    except Refused:
        return
    for reader in READERS:
        found = {value for name, value in reader(text) if name == "chat_id"}
        assert found <= set(said), reader


@given(st.binary(max_size=40))
def test_nothing_but_refusals_is_raised(text: bytes) -> None:
    for one in (text, b"chat_id=" + text, b"reply=" + text):
        try:
            said = read(one)
        except Refused:
            continue
        assert all(re.fullmatch("[ -~]+", value) for value in said)
