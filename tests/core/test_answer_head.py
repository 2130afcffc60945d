"""Reading an answer's head: how its body ends, what travels on, what cannot be trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import AnswerHead, Body, read_answer
from gateway.core.headers import answer_kinds


def read(
    *lines: bytes, start: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET"
) -> AnswerHead | str:
    return read_answer(b"\r\n".join([start, *lines, b"", b""]), answer_kinds(), method)


def taken(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET") -> AnswerHead:
    answer = read(*lines, start=start, method=method)
    assert isinstance(answer, AnswerHead), answer
    return answer


_LENGTH = b"Content-Length: 5"
_CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("start", "line", "method", "body"),
    [
        pytest.param(b"200 OK", _LENGTH, b"GET", Body.LENGTH, id="length"),
        pytest.param(b"200 OK", b"Content-Length: 0", b"GET", Body.NONE, id="length-0"),
        pytest.param(b"200 OK", _CHUNKED, b"GET", Body.CHUNKED, id="chunked"),
        pytest.param(b"200 OK", b"X: y", b"GET", Body.CLOSE, id="until-close"),
        pytest.param(b"200 OK", _LENGTH, b"HEAD", Body.NONE, id="head-length"),
        pytest.param(b"200 OK", _CHUNKED, b"HEAD", Body.NONE, id="head-chunked"),
        pytest.param(b"200 OK", b"X: y", b"HEAD", Body.NONE, id="head"),
        pytest.param(b"204 No Content", _LENGTH, b"GET", Body.NONE, id="204-length"),
        pytest.param(b"204 No Content", _CHUNKED, b"GET", Body.NONE, id="204-chunked"),
        pytest.param(b"304 Not Modified", _LENGTH, b"GET", Body.NONE, id="304"),
        pytest.param(b"103 Early Hints", b"X: y", b"GET", Body.NONE, id="103"),
        pytest.param(b"500 Oh", _LENGTH, b"POST", Body.LENGTH, id="500"),
    ],
)
def test_how_the_body_ends(start: bytes, line: bytes, method: bytes, body: Body) -> None:
    answer = taken(line, start=b"HTTP/1.1 " + start, method=method)
    assert answer.body is body
    assert answer.close is (body is Body.CLOSE)


@pytest.mark.parametrize(
    ("lines", "attribute", "value"),
    [
        pytest.param([_LENGTH, b"content-length: 5"], "length", 5, id="lengths-agree"),
        pytest.param([_LENGTH, b"Content-Length: 05"], "length", 5, id="lengths-agree-padded"),
        pytest.param([b"Connection: close"], "close", True, id="close"),
        pytest.param([b"Connection: X-A", b"X-A: b", _LENGTH], "lines", [], id="listed"),
        pytest.param(
            [b"Set-Cookie: a", b"Alt-Svc: b", b"Keep-Alive: c"], "lines", [], id="dropped"
        ),
        pytest.param([b"X-Gateway-Exchange: forged"], "lines", [], id="ours"),
        pytest.param([b"Via: 1.1 google"], "lines", [b"Via: 1.1 google"], id="via-stays"),
        pytest.param([b"X-Request-Id: r1"], "request_id", b"r1", id="request-id"),
        pytest.param([b"X-Request-Id: r1"], "lines", [b"X-Request-Id: r1"], id="request-id-stays"),
        pytest.param(
            [b"request-id: " + b"r" * 500], "request_id", b"r" * 128, id="request-id-long"
        ),
    ],
)
def test_what_a_line_means(lines: list[bytes], attribute: str, value: object) -> None:
    assert getattr(taken(*lines), attribute) == value


@pytest.mark.parametrize(
    ("start", "status", "reason"),
    [
        pytest.param(b"HTTP/1.1 200", 200, b"", id="no-reason-no-space"),
        pytest.param(b"HTTP/1.1 200 ", 200, b"", id="no-reason"),
        pytest.param(b"HTTP/1.1 404 Not  Here ", 404, b"Not  Here", id="reason"),
        pytest.param(b"HTTP/1.0 599 \xfc", 599, b"\xfc", id="obs-text"),
    ],
)
def test_status_line(start: bytes, status: int, reason: bytes) -> None:
    answer = taken(start=start)
    assert (answer.status, answer.reason) == (status, reason)


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 99 X", b"HTTP/1.1 099 X", b"HTTP/1.1 600 X", b"HTTP/1.1 2000 X", b"HTTP/2 200",
     b"200",
     b"HTTP/1.1  200 OK", b" HTTP/1.1 200 OK", b"ICY 200 OK", b"HTTP/1.1 +20 X", b"HTTP/1.1 200OK"],
    ids=repr,
)  # fmt: skip
def test_status_line_that_is_none(start: bytes) -> None:
    assert read(start=start) == "malformed status line"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([_LENGTH, b"Content-Length: 6"], id="lengths-differ"),
        pytest.param([b"Content-Length: -5"], id="negative"),
        pytest.param([b"Content-Length: 5, 5"], id="list"),
        pytest.param([b"Content-Length:"], id="empty"),
        pytest.param([b"Content-Length: " + b"9" * 19], id="huge"),
        pytest.param([_LENGTH, _CHUNKED], id="both"),
        pytest.param([_CHUNKED, _CHUNKED], id="chunked-twice"),
        pytest.param([b"Transfer-Encoding: gzip, chunked"], id="gzip"),
        pytest.param([b"X-A: b", b" c"], id="fold"),
        pytest.param([b"X-A : b"], id="space-before-colon"),
        pytest.param([b"nothing"], id="no-colon"),
        pytest.param([b"X-A: a\nb"], id="bare-lf"),
        pytest.param([b"X-A: a\rb"], id="bare-cr"),
        pytest.param([b"X-A: \x00"], id="nul"),
    ],
)
def test_what_cannot_be_trusted(lines: list[bytes]) -> None:
    assert isinstance(read(*lines), str)


def test_http10_closes_unless_it_says_otherwise() -> None:
    start = b"HTTP/1.0 200 OK"
    assert taken(_LENGTH, start=start).close
    assert not taken(_LENGTH, b"Connection: keep-alive", start=start).close
    assert isinstance(read(_CHUNKED, start=start), str)


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    assert isinstance(read_answer(data + b"\r\n\r\n", answer_kinds(), b"GET"), (AnswerHead, str))


@given(st.lists(st.sampled_from([_LENGTH, b"X-A: b", b"Connection: X-A", b"Via: x"]), max_size=6))
def test_what_was_seen_before_changes_nothing(lines: list[bytes]) -> None:
    """Kinds remember names and lines from one answer to the next."""
    kinds = answer_kinds()
    head = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])
    first, second = read_answer(head, kinds, b"GET"), read_answer(head, kinds, b"GET")
    assert isinstance(first, AnswerHead)
    assert isinstance(second, AnswerHead)
    assert (first.lines, first.length, first.body) == (second.lines, second.length, second.body)
