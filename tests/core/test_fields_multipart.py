"""Ruled fields of a streamed form: however it is cut, and as the reader of whole forms sees it."""

from __future__ import annotations

from email import message_from_bytes
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Refused
from gateway.core.fields.formfields import FormFields
from gateway.core.fields.formscan import FormScan
from gateway.core.fields.ruled import Ruled
from gateway.core.model import Subject
from gateway.core.multipart import parts

CHAT = Subject("chat", form="[ -~]{1,64}")
FIELDS = FormFields([Ruled(written, CHAT) for written in ("chat_id", "reply.id")], "form")
KIND = b"multipart/form-data; boundary=B"


def scan(*pieces: bytes) -> tuple[str, ...]:
    """Feed the pieces, the last of which ends the form, and return what it said."""
    one = FormScan(FIELDS, KIND)
    told = [one.feed(piece, ended=at == len(pieces) - 1) for at, piece in enumerate(pieces)]
    assert told[-1]
    assert told == sorted(told), "what was told stays told"
    return one.said().get("chat", ())


def part(name: str, value: bytes = b"1", more: str = "", headers: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n{headers}\r\n'
    return b"--B\r\n" + head.encode() + value + b"\r\n"


END = b"--B--\r\n"
FILE = part("file", b"data\r\n--C\r\n\r\n", '; filename="f"', "Content-Type: image/png\r\n")
ID = part("chat_id")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", (), id="empty"),
        pytest.param(b"--B--", (), id="no-part"),
        pytest.param(part("text") + END, (), id="nothing"),
        pytest.param(ID + END, ("1",), id="field"),
        pytest.param(ID + FILE + END, ("1",), id="before-a-file"),
        pytest.param(ID + b"--B--", ("1",), id="no-last-line-end"),
        pytest.param(ID + END + b"\r\n\r\n", ("1",), id="line-ends-after"),
        pytest.param(ID.replace(b"--B\r", b"--B \t\r") + END, ("1",), id="padding"),
        pytest.param(part("chat_id", b"x--B y") + END, ("x--B y",), id="boundary-within-a-line"),
        pytest.param(part("chat_id", b"-" * 64) + END, ("-" * 64,), id="dashes"),
        pytest.param(
            part("reply", b'{"id": 1}', headers="Content-Type: application/octet-stream\r\n") + END,
            ("1",),
            id="json-as-hikari-says-it",
        ),
        pytest.param(
            b"--B\r\ncontent-disposition:form-data;name=chat_id\r\n\r\n1\r\n" + END,
            ("1",),
            id="no-quotes",
        ),
        pytest.param(
            part("chat_id", headers="Content-Type: text/plain; charset=utf-8\r\n") + END,
            ("1",),
            id="typed",
        ),
        pytest.param(
            part("reply", b'{"id":5}', headers="Content-Type: application/json\r\n") + END,
            ("5",),
            id="json-inside",
        ),
        pytest.param(part("reply", b"") + part("x", b"") + END, (), id="empty-values"),
        pytest.param(part("text", b"", '; filename=""') + ID + END, None, id="empty-file-first"),
        pytest.param(
            part("f", b"x", "; filename*=utf-8''f%20g") + ID + END, None, id="after-an-encoded-file"
        ),
        pytest.param(
            part("f", b"x", '; filename="a\\"b"') + END, (), id="escaped-quote-in-a-file-name"
        ),
        pytest.param(b"".join(part(f"f{i}") for i in range(1000)) + END, (), id="a-thousand"),
    ],
)
def test_what_is_said(body: bytes, said: tuple[str, ...] | None) -> None:
    if said is None:
        with pytest.raises(Refused, match="must come before the first file"):
            scan(body)
    else:
        assert scan(body) == said


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ID + ID + END, id="twice"),
        pytest.param(ID + part("Chat_Id") + END, id="case"),
        pytest.param(part("chat_id[]") + END, id="brackets"),
        pytest.param(part("chat%5Fid") + END, id="percent"),
        pytest.param(part("=?utf-8?q?chat=5Fid?=") + END, id="encoded-word"),
        pytest.param(part("chat_id\0") + END, id="nul"),
        pytest.param(part("chat\\_id") + END, id="backslash"),
        pytest.param(part("_charset_", b"utf-7") + END, id="charset-field"),
        pytest.param(part("x", more="; name*=utf-8''chat_id") + END, id="encoded-name-beside"),
        pytest.param(part("x", more="; name*0=chat_id") + END, id="split-name-beside"),
        pytest.param(part("x", more="; name=chat_id") + END, id="two-names"),
        pytest.param(part("x", more='; y=";name=chat_id;"') + END, id="name-in-quotes"),
        pytest.param(part("x", more='; y="\\"; name=chat_id; z=\\""') + END, id="name-in-escapes"),
        pytest.param(part("chat_id", more='; filename="f"') + END, id="a-file"),
        pytest.param(part("chat_id", more="; filename*=utf-8''f") + END, id="an-encoded-file"),
        pytest.param(part("chat_id", more="; filename*0=f") + END, id="a-split-file-name"),
        pytest.param(FILE + ID + END, id="after-a-file"),
        pytest.param(FILE + part("Chat-Id") + END, id="in-disguise-after-a-file"),
        pytest.param(FILE + part("chat_id[]", more='; filename="g"') + END, id="file-in-disguise"),
        pytest.param(
            part("chat_id", headers="Content-Type: text/plain; charset=utf-16\r\n") + END,
            id="utf-16",
        ),
        pytest.param(
            part("chat_id", headers="Content-Type: application/octet-stream\r\n") + END,
            id="a-file-to-some",
        ),
        pytest.param(
            part("chat_id", headers="Content-Transfer-Encoding: base64\r\n") + END, id="base64"
        ),
        pytest.param(
            part("x", headers='content-disposition: form-data; name="chat_id"\r\n') + END,
            id="two-dispositions",
        ),
        pytest.param(part("x", headers=" continued: y\r\n") + END, id="folded-header"),
        pytest.param(part("x", headers="Content-Type : text/plain\r\n") + END, id="space"),
        pytest.param(part("x", headers="--B: y\r\n") + END, id="boundary-in-the-head"),
        pytest.param(part("chat_id", b"") + END, id="no-value"),
        pytest.param(part("chat_id", b"\xff") + END, id="not-utf-8"),
        pytest.param(part("chat_id", b"1\r\n") + END, id="line-end-in-value"),
        pytest.param(part("chat_id", b"1" * 65_537) + END, id="long-value"),
        pytest.param(part("reply", b" " * 65_537) + END, id="long-json"),
        pytest.param(part("reply", b"[" * 60_000) + END, id="deep-json"),
        pytest.param(part("x", headers=f"a: {'b' * 8192}\r\n") + END, id="long-head"),
        pytest.param(ID, id="no-end"),
        pytest.param(ID + b"--B", id="half-an-end"),
        pytest.param(ID + b"--B-", id="nearly-an-end"),
        pytest.param(ID + END + ID + END, id="after-the-end"),
        pytest.param(ID + END + b"x", id="epilogue"),
        pytest.param(b"x\r\n" + ID + END, id="preamble"),
        pytest.param(b"\r\n" + ID + END, id="line-end-before"),
        pytest.param(b"--BC\r\n" + ID + END, id="another-boundary"),
        pytest.param(b"--", id="cut-in-the-boundary"),
        pytest.param(part("x", b"y\n--B\r\n") + END, id="half-line-end-lf"),
        pytest.param(part("x", b"y\r--B\r\n") + END, id="half-line-end-cr"),
        pytest.param(b"--B\r\n\r\n1\r\n" + END, id="no-headers"),
        pytest.param(b"--B\r\n" + END, id="no-part"),
        pytest.param(ID[:-3] + END, id="no-content"),
        pytest.param(b"--B\nContent-Disposition: form-data; name=x\n\n1\n--B--\n", id="bare-lf"),
        pytest.param(b"--B\r\nContent-Disposition: attachment; name=x\r\n\r\n1\r\n" + END,
                     id="no-form-data"),
        pytest.param(b"".join(part(f"f{i}") for i in range(1001)) + END, id="too-many"),
    ],
)  # fmt: skip
def test_tricks_are_refused(body: bytes) -> None:
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))] or [b""]):
        if len(body) > 4096 and len(pieces) > 1:
            pieces = [body[at : at + 4096] for at in range(0, len(body), 4096)]
        with pytest.raises(Refused) as caught:
            scan(*pieces)
        deny = caught.value.deny
        assert (deny.status, deny.code, deny.repeatable) == (400, "scope_unreadable", False)


def test_a_file_ends_what_may_be_said_at_once() -> None:
    one = FormScan(FIELDS, KIND)
    head, _, content = FILE.partition(b"\r\n\r\n")
    assert not one.feed(ID + head, ended=False)
    assert one.feed(b"\r\n\r\n", ended=False)
    assert one.said() == {"chat": ("1",)}
    assert one.feed(content, ended=False)
    assert one.feed(END, ended=True)


def test_what_follows_a_file_is_still_checked() -> None:
    one = FormScan(FIELDS, KIND)
    assert one.feed(FILE, ended=False)
    with pytest.raises(Refused, match="the field chat_id must come before the first file"):
        one.feed(ID, ended=False)


def test_the_closing_boundary_ends_what_may_be_said() -> None:
    one = FormScan(FIELDS, KIND)
    assert not one.feed(ID + b"--B-", ended=False)
    assert one.feed(b"-", ended=False)
    assert one.feed(b"", ended=True)


def test_little_is_kept_of_a_long_file() -> None:
    one = FormScan(FIELDS, KIND)
    one.feed(FILE[:-2], ended=False)
    for _ in range(64):
        one.feed(b"\r\n--" * 16_384, ended=False)
        assert len(one._body) < 70_000
    assert len(one._value) == 0
    assert one.feed(b"\r\n" + END, ended=True)


PIECES = st.sampled_from(
    [b"--B", b"--B\r\n", b"--B--", b"--B--\r\n", b"\r\n--B\r\n", b"\r\n--B--", b"\r\n", b"\r",
     b"\n", b"-", b"B", b"x", b"\r\n\r\n", b"--", b'{"id":5}', b" ", ID, ID[:-2],
     FILE, part("text"), part("reply", b'{"id":2}'), part("text", b"a\r\n--Bx"), END,
     part("Chat_id"),
     b'Content-Disposition: form-data; name="chat_id"\r\n\r\n', b"Content-Type: text/plain\r\n",
     b'Content-Disposition: form-data; name="y"; filename="f"\r\n\r\n']
)  # fmt: skip
FORMS = st.lists(st.sampled_from([ID, FILE, part("text"), part("reply", b'{"id":"\xc3\xa9"}'),
                                  part("reply", b'{"id":5}'), part("x", b"\r\n-\r\n--")]),
                 max_size=4).map(lambda some: b"".join(some) + END)  # fmt: skip
BODIES = FORMS | st.lists(PIECES, max_size=8).map(b"".join) | st.tuples(FORMS, PIECES,
         st.integers(0, 200)).map(lambda t: t[0][: t[2]] + t[1] + t[0][t[2] :])  # fmt: skip


def outcome(*pieces: bytes) -> tuple[str, ...] | str:
    try:
        return scan(*pieces)
    except Refused as refused:
        return refused.deny.reason


@given(BODIES, st.data())
def test_how_it_is_cut_makes_no_difference(body: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[start:end] for start, end in pairwise([0, *cuts, len(body)])]
    assert outcome(*pieces) == outcome(body)
    assert outcome(*[bytes([one]) for one in body] or [b""]) == outcome(body)


@given(BODIES)
def test_agrees_with_the_reader_of_whole_forms(body: bytes) -> None:
    """Where nothing is ruled, both refuse the same; where something is, both find the same."""
    try:
        every = parts(body, b"B") if body else []
    except Refused:
        with pytest.raises(Refused):
            FormScan(FormFields([], "form"), KIND).feed(body, ended=True)
        assert isinstance(outcome(body), str)
        return
    assert FormScan(FormFields([], "form"), KIND).feed(body, ended=True)
    found = outcome(body)
    if not isinstance(found, str):
        values = [
            value
            for one in every
            for _, value in FIELDS.values(FIELDS.named(one.name), body[one.content : one.end])
        ]
        assert set(values) == set(found)


@given(BODIES)
def test_a_mail_reader_finds_no_other_value(body: bytes) -> None:
    found = outcome(body)
    if isinstance(found, str):
        return
    message = message_from_bytes(b"Content-Type: " + KIND + b"\r\n\r\n" + body)
    every: Any = message.get_payload() if message.is_multipart() else []
    values = [
        one.get_payload()
        for one in every
        if one.get_param("name", header="content-disposition") == "chat_id"
    ]
    assert set(values) <= set(found)
