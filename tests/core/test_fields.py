"""What head and body of a request say of its subjects, and what is refused as unreadable."""

from __future__ import annotations

import pytest

from gateway.core.errors import Refused
from gateway.core.fields import FieldReader, Reading, Said, merged
from gateway.core.fields.ruled import Ruled
from gateway.core.model import Subject

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
MODEL = Subject(
    "model",
    fields=("model",),
    query=("model",),
    path=r"^/v1/models/([^/:]+)",
    decisive=True,
    strip="models/",
)
CHAT = Subject(
    "chat",
    fields=("chat_id", "reply_parameters.chat_id"),
    query=("chat_id", "reply_parameters.chat_id", "chats[]", "many,"),
    form=r"-?[1-9][0-9]{0,19}|@[a-z0-9_]{3,64}",
    fold=True,
)
READER = FieldReader([MODEL, CHAT])


def body(reader: FieldReader, kind: bytes, data: bytes, path: bytes = b"/x") -> Said:
    return read(reader.reading(path, kind, b""), data)


def read(reading: Reading, data: bytes) -> Said:
    if not reading.streams:
        return reading.read(data)
    scan = reading.scan()
    assert scan.feed(data, ended=True)
    return scan.said()


def refused(reader: FieldReader, kind: bytes, data: bytes, encoding: bytes = b"") -> str:
    with pytest.raises(Refused) as caught:
        read(reader.reading(b"/x", kind, encoding), data)
    return unreadable(caught.value)


def unreadable(error: Refused) -> str:
    deny = error.deny
    assert (deny.status, deny.code, deny.repeatable) == (400, "scope_unreadable", False)
    return deny.reason


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        pytest.param(b"/x", None, {}, id="nothing"),
        pytest.param(b"/x", b"", {}, id="empty-query"),
        pytest.param(b"/v1/models/gpt:go", None, {"model": ("gpt",)}, id="path"),
        pytest.param(b"/v1/models/a%2Db", None, {"model": ("a-b",)}, id="path-escaped"),
        pytest.param(b"/v1/models/models%2Fgpt", None, {"model": ("gpt",)}, id="path-stripped"),
        pytest.param(b"/v1/models/a+b", None, {"model": ("a+b",)}, id="path-plus-is-plus"),
        pytest.param(b"/x", b"model=gpt", {"model": ("gpt",)}, id="query"),
        pytest.param(b"/v1/models/a", b"model=b", {"model": ("a", "b")}, id="both"),
        pytest.param(b"/v1/models/a", b"model=a", {"model": ("a",)}, id="the-same-twice"),
        pytest.param(b"/x", b"mod%65l=g%70t", {"model": ("gpt",)}, id="query-escaped"),
        pytest.param(b"/x", b"chat_id=-7&text=a%3Bb", {"chat": ("-7",)}, id="telebot"),
        pytest.param(b"/x", b"chat_id=%40News", {"chat": ("@news",)}, id="folded"),
        pytest.param(
            b"/x", b"reply_parameters=%7B%22chat_id%22%3A-7%7D", {"chat": ("-7",)}, id="json-inside"
        ),
        pytest.param(b"/x", b"reply_parameters=null", {}, id="null-inside"),
        pytest.param(b"/x", b"chats=[1,%22-2%22]", {"chat": ("1", "-2")}, id="array-inside"),
        pytest.param(b"/x", b"many=1,2", {"chat": ("1", "2")}, id="commas"),
        pytest.param(b"/x", b"alt=json%3Benum=int&&x&=y", {}, id="others"),
        pytest.param(b"/x", b"a=1;b=2", {}, id="semicolon-beside-none"),
    ],
)
def test_head(path: bytes, query: bytes | None, said: Said) -> None:
    assert READER.head(path, query) == said


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param(b"/v1/models/a%252Db", None, id="path-twice-escaped"),
        pytest.param(b"/v1/models/a%zz", None, id="path-stray-percent"),
        pytest.param(b"/v1/models/a%20b", None, id="path-space"),
        pytest.param(b"/v1/models/a%00", None, id="path-nul"),
        pytest.param(b"/v1/models/%ff", None, id="path-not-utf8"),
        pytest.param(b"/v1/models/models%2F", None, id="path-nothing-but-what-is-stripped"),
        pytest.param(b"/v1/models/" + b"a" * 257, None, id="path-long"),
        pytest.param(b"/x", b"model=a&model=a", id="twice"),
        pytest.param(b"/x", b"model=a&mod%65l=b", id="twice-escaped"),
        pytest.param(b"/x", b"model=", id="empty"),
        pytest.param(b"/x", b"model", id="no-value"),
        pytest.param(b"/x", b"Model=a", id="case"),
        pytest.param(b"/x", b"reply_parameters={", id="broken-json"),
        pytest.param(b"/x", b"reply_parameters=[{%22chat_id%22:1}]", id="array-for-object"),
        pytest.param(b"/x", b"chats={%22a%22:1}", id="object-for-array"),
        pytest.param(b"/x", b"many=1,,2", id="empty-piece"),
        pytest.param(b"/x", b"many=1,%202", id="spaced-piece"),
        pytest.param(b"/x", b"chat_id=0123", id="leading-zero"),
        pytest.param(b"/x", b"chat_id=%2B1", id="plus"),
        pytest.param(b"/x", b"chat_id=+1", id="space"),
        pytest.param(b"/x", b"chat_id=1.0", id="fraction"),
        pytest.param(b"/x", b"chat_id=1e2", id="exponent"),
        pytest.param(b"/x", b"chat_id=1%0A", id="line-end"),
        pytest.param(b"/x", b"chat_id=%D9%A1", id="arabic-digit"),
        pytest.param(b"/x", b"chat_id=@new%E2%84%AA", id="kelvin-is-no-k"),
    ],
)
def test_head_refused(path: bytes, query: bytes | None) -> None:
    with pytest.raises(Refused) as caught:
        READER.head(path, query)
    unreadable(caught.value)


def test_a_reason_names_no_value() -> None:
    with pytest.raises(Refused) as caught:
        READER.head(b"/x", b"chat_id=a%20secret")
    assert unreadable(caught.value) == (
        "the field chat_id does not hold a plain chat, which is -?[1-9][0-9]{0,19}|@[a-z0-9_]{3,64}"
    )


def test_which_bodies_are_wanted() -> None:
    decisive = FieldReader([MODEL])
    assert decisive.wants_body(b"/v1/chat")
    assert not decisive.wants_body(b"/v1/models/gpt")
    assert READER.wants_body(b"/v1/models/gpt"), "the chat may be in it"
    assert not FieldReader([Subject("model", path="/(x)")]).wants_body(b"/y")
    assert not FieldReader([]).wants_body(b"/y")


def test_what_the_path_decides_is_not_looked_for_in_the_body() -> None:
    data = b'{"model":"other","chat_id":7}'
    assert body(READER, JSON, data, b"/v1/models/gpt") == {"chat": ("7",)}
    assert body(READER, JSON, data, b"/x") == {"model": ("other",), "chat": ("7",)}


@pytest.mark.parametrize("kind", [JSON, FORM, b"multipart/form-data; boundary=b"])
def test_an_empty_body_says_nothing(kind: bytes) -> None:
    assert body(READER, kind, b"") == {}


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json;charset=utf-8",
        b'application/json; charset="UTF-8"',
        b"Application/JSON ; charset=utf8",
        b"application/vnd.api+json",
    ],
)
def test_json_by_other_names(kind: bytes) -> None:
    assert body(READER, kind, b'{"model":"m"}') == {"model": ("m",)}


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        pytest.param(b"", b"", id="none"),
        pytest.param(b"text/plain", b"", id="text"),
        pytest.param(b"text/json", b"", id="text-json"),
        pytest.param(b"application/octet-stream", b"", id="octets"),
        pytest.param(b"application/json", b"gzip", id="gzip"),
        pytest.param(b"application/json", b"identity, gzip", id="gzip-behind-identity"),
        pytest.param(b"application/json; charset=utf-16", b"", id="utf-16"),
        pytest.param(b"application/json; charset=utf-7", b"", id="utf-7"),
        pytest.param(b"application/json; charset=utf-8; charset=utf-16", b"", id="two-charsets"),
        pytest.param(b"application/json, " + FORM, b"", id="two-in-one"),
        pytest.param(b"application/json; x=" + FORM, b"", id="a-parameter-that-is-a-kind"),
        pytest.param(b"application/json; x=y", b"", id="another-parameter"),
        pytest.param(b"application/json; boundary=b", b"", id="boundary-of-no-form"),
        pytest.param(FORM + b"+json", b"", id="form-plus-json"),
        pytest.param(FORM + b"; x=+json", b"", id="form-with-json"),
        pytest.param(b"multipart/form-data", b"", id="no-boundary"),
        pytest.param(b"multipart/form-data; boundary=" + FORM, b"", id="boundary-that-is-a-kind"),
        pytest.param(b"multipart/form-data; boundary=a; boundary=b", b"", id="two-boundaries"),
        pytest.param(b"multipart/form-data; boundary=a; charset=utf-16", b"", id="form-in-utf-16"),
        pytest.param(b"multipart/mixed; boundary=a", b"", id="mixed"),
        pytest.param(b"application/json;;", b"", id="broken"),
    ],
)
def test_other_bodies_are_refused(kind: bytes, encoding: bytes) -> None:
    assert refused(READER, kind, b'{"model":"m"}', encoding)


def test_the_refusal_says_what_is_allowed() -> None:
    assert refused(READER, b"text/plain", b"x") == (
        "a rule depends on what the body says; it must be application/json, "
        "application/x-www-form-urlencoded or multipart/form-data, in UTF-8 and not encoded further"
    )


@pytest.mark.parametrize("written", ["", ".", "a.", "a[]b", "[]", "a,b", "a b", "a[0]", 'a"', "é"])
def test_other_notations_are_errors(written: str) -> None:
    with pytest.raises(ValueError, match="is not a field such as"):
        Ruled(written, MODEL)


def test_fields_that_differ_only_in_case_are_an_error() -> None:
    with pytest.raises(ValueError, match="case"):
        FieldReader([Subject("model", fields=("model", "Model"))])


def test_merged() -> None:
    assert merged({"a": ("1",)}, {}, {"a": ("2", "1"), "b": ("3",)}) == {
        "a": ("1", "2"),
        "b": ("3",),
    }
    assert merged() == {}
