"""What a request is about: found where the provider says, bounded, and never an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import Subject
from gateway.core.subject import SubjectFinder

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
PARTS = b"multipart/form-data; boundary=B"
FINDER = SubjectFinder(
    [
        Subject(
            "model", fields=("tools[].model", "model"), query=("model",), path=r"/models/([^/:]+)"
        ),
        Subject("chat", fields=("chat_id", "reply.chat_id"), query=("chat_id",)),
    ]
)


def _parts(more: bytes, name: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="%b"%b' % (name, more)
    return b"--B\r\n%b\r\n\r\nvalue\r\n--B--\r\n" % head


@pytest.mark.parametrize(
    ("path", "query", "content_type", "body", "found"),
    [
        pytest.param(b"/x", None, JSON, b'{"model":"gpt"}', "gpt", id="json"),
        pytest.param(b"/x", None, JSON, b'{"chat_id":-5}', "-5", id="json-number"),
        pytest.param(
            b"/x", None, JSON, b'{"chat_id":1,"model":"m"}', "m", id="first-subject-first"
        ),
        pytest.param(b"/x", None, b"", b'{"model":"m"}', "m", id="json-unnamed"),
        pytest.param(b"/x", None, JSON, b'{"model":["m"]}', "", id="json-list"),
        pytest.param(b"/x", None, JSON, b'{"model":null}', "", id="json-null"),
        pytest.param(b"/x", None, JSON, b'{"model":true}', "", id="json-true"),
        pytest.param(b"/x", None, JSON, b'{"model":' + b"9" * 5000 + b"}", "", id="json-huge"),
        pytest.param(b"/x", None, JSON, b'{"a":{"model":"m"}}', "", id="json-deeper"),
        pytest.param(b"/x", None, JSON, b'{"model":"m"', "", id="json-broken"),
        pytest.param(b"/x", None, JSON, b'{"model":"\xff"}', "", id="json-not-utf8"),
        pytest.param(b"/x", None, JSON, b'["model"]', "", id="json-no-object"),
        pytest.param(b"/x", None, FORM, b"a=b&model=m+n", "m n", id="form"),
        pytest.param(b"/x", None, FORM + b"; charset=utf-8", b"model=m", "m", id="form-charset"),
        pytest.param(b"/x", None, b"text/plain", b"model=m", "", id="no-form"),
        pytest.param(b"/x", None, FORM, b"&".join([b"a=b"] * 100), "", id="form-too-many"),
        pytest.param(b"/x", None, PARTS, _parts(b"", b"model"), "value", id="multipart"),
        pytest.param(b"/x", None, PARTS, _parts(b'; filename="f"', b"model"), "", id="file"),
        pytest.param(b"/x", None, PARTS, _parts(b"", b"other"), "", id="multipart-without"),
        pytest.param(b"/x", None, PARTS, b"--B\r\nmodel", "", id="multipart-broken"),
        pytest.param(b"/x", b"chat_id=%2D7", b"", b"", "-7", id="query"),
        pytest.param(b"/x", b"chat_id=", b"", b"", "", id="query-empty"),
        pytest.param(b"/models/gem:go", b"model=q", JSON, b'{"model":"b"}', "gem", id="path-first"),
        pytest.param(b"/x", b"model=q", JSON, b'{"model":"b"}', "q", id="query-before-body"),
        pytest.param(b"/models/", None, JSON, b'{"model":"b"}', "b", id="path-without"),
        pytest.param(b"/models/\xff", None, b"", b"", "\ufffd", id="path-not-utf8"),
        pytest.param(b"/x", None, JSON, b"", "", id="nothing"),
    ],
)
def test_where_it_is_found(
    path: bytes, query: bytes | None, content_type: bytes, body: bytes, found: str
) -> None:
    assert FINDER.find(path, query, content_type, body) == found


@pytest.mark.parametrize(
    ("path", "query", "body"),
    [
        pytest.param(b"/models/" + b"a" * 500, None, b"", id="path"),
        pytest.param(b"/", b"model=" + b"a" * 500, b"", id="query"),
        pytest.param(b"/", None, b'{"model":"' + b"a" * 500 + b'"}', id="json"),
    ],
)
def test_is_cut_at_128(path: bytes, query: bytes | None, body: bytes) -> None:
    assert FINDER.find(path, query, JSON, body) == "a" * 128


def test_deep_json_is_no_error() -> None:
    body = b'{"model":' + b"[" * 100_000
    assert FINDER.find(b"/", None, JSON, body) == ""


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40), st.binary(max_size=80))
def test_never_raises(path: bytes, query: bytes | None, body: bytes) -> None:
    for content_type in (JSON, FORM):
        assert len(FINDER.find(path, query, content_type, body)) <= 128
        assert len(FINDER.find(path, query, content_type, b"{" + body)) <= 128


def test_without_subjects_nothing_is_found() -> None:
    assert SubjectFinder([]).find(b"/models/x", b"model=x", JSON, b'{"model":"m"}') == ""
