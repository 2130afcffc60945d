"""Reading a request's head: what is taken, what is made of it, what is refused and as what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Deny
from gateway.core.headers import request_kinds
from gateway.core.request import HeadReader, RequestHead, read_request

KINDS = request_kinds([b"X-Route-Key"])


def read(*lines: bytes, start: bytes = b"POST /v1/x?y=z HTTP/1.1") -> RequestHead | Deny:
    return read_request(b"\r\n".join([start, b"Host: a", *lines, b"", b""]), KINDS, 128)


def taken(*lines: bytes, start: bytes = b"POST /v1/x?y=z HTTP/1.1") -> RequestHead:
    head = read(*lines, start=start)
    assert isinstance(head, RequestHead), head
    return head


def test_what_a_head_says() -> None:
    head = taken(
        b"Content-Type: application/json",
        b"content-length: 17",
        b"Authorization:  Bearer t ",
        b"X-ROUTE-KEY: k",
        b"X-Mine: a, b ",
    )
    assert (head.method, head.target, head.host) == (b"POST", b"/v1/x?y=z", b"a")
    assert (head.length, head.chunked, head.has_body, head.close) == (17, False, True, False)
    assert head.content_type == b"application/json"
    assert head.credentials == [(b"authorization", b"Bearer t"), (b"x-route-key", b"k")]
    assert head.lines == [b"Content-Type: application/json", b"X-Mine: a, b "]


@pytest.mark.parametrize(
    ("lines", "attribute", "value"),
    [
        pytest.param([], "length", -1, id="no-length"),
        pytest.param([], "has_body", False, id="no-body"),
        pytest.param([b"Content-Length: 0"], "has_body", False, id="length-0"),
        pytest.param([b"Transfer-Encoding: chunked"], "chunked", True, id="chunked"),
        pytest.param([b"Transfer-Encoding: CHUNKED"], "has_body", True, id="chunked-case"),
        pytest.param([b"Expect: 100-continue"], "expect", True, id="expect"),
        pytest.param([b"Expect: 100-Continue"], "expect", True, id="expect-case"),
        pytest.param([b"Connection: close"], "close", True, id="close"),
        pytest.param([b"Connection: X, Close"], "close", True, id="close-in-a-list"),
        pytest.param([b"Connection: keep-alive"], "close", False, id="keep-alive"),
        pytest.param(
            [b"Connection: upgrade", b"Upgrade: websocket"], "upgrade", b"websocket", id="ws"
        ),
        pytest.param(
            [b"Upgrade: websocket", b"Connection: Upgrade"], "upgrade", b"websocket", id="order"
        ),
        pytest.param([b"Upgrade: websocket"], "upgrade", b"", id="upgrade-unconnected"),
        pytest.param([b"Upgrade: websocket"], "upgrading", True, id="upgrade-seen"),
        pytest.param([b"Connection: upgrade", b"Upgrade: H2C"], "upgrade", b"", id="h2c"),
        pytest.param([b"Cookie: a=b"], "lines", [], id="cookie-dropped"),
        pytest.param([b"TE: trailers", b"Keep-Alive: 5"], "lines", [], id="hop-by-hop-dropped"),
        pytest.param([b"X-Forwarded-Anything: a"], "lines", [], id="forwarded-dropped"),
        pytest.param([b"X-Gateway-Anything: a"], "lines", [], id="ours-dropped"),
        pytest.param([b"Connection: x-a", b"X-A: b", b"X-B: c"], "lines", [b"X-B: c"], id="listed"),
        pytest.param([b"X-A: b", b"X-A: c"], "lines", [b"X-A: b", b"X-A: c"], id="twice-kept"),
    ],
)  # fmt: skip
def test_what_a_line_means(lines: list[bytes], attribute: str, value: object) -> None:
    assert getattr(taken(*lines), attribute) == value


def test_http10_closes_and_knows_no_continue() -> None:
    head = taken(b"Expect: 100-continue", b"Connection: keep-alive", start=b"GET / HTTP/1.0")
    assert (head.http10, head.close, head.expect) == (True, True, False)


@pytest.mark.parametrize(
    ("line", "code", "status"),
    [
        pytest.param(b"Host: a", "host", 400, id="two-hosts"),
        pytest.param(b"Content-Length: 03", "content_length", 400, id="leading-zero"),
        pytest.param(b"Content-Length: \xb2", "content_length", 400, id="superscript"),
        pytest.param(b"Content-Length: " + b"1" * 19, "content_length", 400, id="too-long"),
        pytest.param(b"Transfer-Encoding: gzip", "transfer_encoding", 400, id="gzip"),
        pytest.param(b"Expect: something", "expectation", 417, id="expectation"),
        pytest.param(b"Connection: x, Content-Type", "content_type", 400, id="type-taken-out"),
        pytest.param(b"Connection: content-encoding", "content_type", 400, id="coding-taken-out"),
        pytest.param(b"X_A: b", "header_name", 400, id="underscore"),
        pytest.param(b" X-A: b", "header_name", 400, id="fold"),
        pytest.param(b"X-A : b", "header_name", 400, id="space-before-colon"),
        pytest.param(b"X-A", "header_name", 400, id="no-colon"),
        pytest.param(b"X-A: \x00", "control_character", 400, id="nul"),
        pytest.param(b"X-A: a\nb", "bare_line_ending", 400, id="bare-lf"),
        pytest.param(b"X-A: a\rb", "bare_line_ending", 400, id="bare-cr"),
        pytest.param(b"X-A: a\n\rb", "bare_line_ending", 400, id="lf-cr"),
    ],
)
def test_line_that_is_refused(line: bytes, code: str, status: int) -> None:
    deny = read(line)
    assert isinstance(deny, Deny)
    assert (deny.code, deny.status, deny.repeatable) == (code, status, False)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        pytest.param([b"Content-Length: 3"] * 2, "content_length", id="lengths-agree"),
        pytest.param([b"Content-Length: 0"] * 2, "content_length", id="lengths-0"),
        pytest.param([b"Transfer-Encoding: chunked"] * 2, "transfer_encoding", id="codings"),
        pytest.param([b"Content-Length: 0", b"Transfer-Encoding: chunked"], "framing", id="both"),
        pytest.param([b"Content-Type: a/b"] * 2, "content_type", id="types"),
        pytest.param([b"Content-Type:"] * 2, "content_type", id="empty-types"),
        pytest.param([b"User-Agent: a", b"user-agent: b"], "repeated_header", id="user-agents"),
        pytest.param([b"ETag: a", b"etag: a"], "repeated_header", id="etags"),
        pytest.param([b"Content-Range: a"] * 2, "repeated_header", id="ranges"),
    ],
)
def test_what_may_stand_once_is_refused_twice(lines: list[bytes], code: str) -> None:
    deny = read(*lines)
    assert isinstance(deny, Deny)
    assert deny.code == code


def test_headers_are_counted() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nX-A: c\r\n\r\n"
    assert isinstance(read_request(head, KINDS, 3), RequestHead)
    deny = read_request(head, KINDS, 2)
    assert isinstance(deny, Deny)
    assert (deny.status, deny.code) == (431, "too_many_headers")


def test_no_secret_is_in_a_refusal() -> None:
    deny = read(b"Authorization : Bearer sk-secret")
    assert isinstance(deny, Deny)
    assert "sk-secret" not in deny.reason


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    head = read_request(data + b"\r\n\r\n", KINDS, 128)
    assert isinstance(head, (RequestHead, Deny))


@given(st.binary(min_size=1, max_size=30).filter(lambda value: value.strip(b" \t") == value))
def test_a_value_that_is_taken_travels_as_it_came(value: bytes) -> None:
    head = read(b"X-Mine: " + value)
    if isinstance(head, RequestHead):
        assert head.lines == [b"X-Mine: " + value]
        assert not any(byte < 32 and byte != 9 for byte in value)


class TestRemembered:
    """The reader does not read a head again that differs from the last in its length alone."""

    PLAIN = b"POST /a HTTP/1.1\r\nHost: a\r\n"

    def read(self, *heads: bytes) -> RequestHead | Deny:
        reader, kinds = HeadReader(), request_kinds()
        found: RequestHead | Deny | None = None
        for head in heads:
            found = reader.read(self.PLAIN + head + b"\r\n", kinds, 128)
        assert found is not None
        return found

    LINES = (b"", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"content-length: 17\r\n",
             b"Content-Length:5\r\n", b"Transfer-Encoding: chunked\r\n",
             b"Content-Length: 05\r\n")  # fmt: skip

    @given(
        st.lists(st.lists(st.sampled_from(LINES), max_size=2).map(b"".join), min_size=2, max_size=4)
    )
    def test_reads_as_if_it_were_the_first(self, heads: list[bytes]) -> None:
        last, alone = self.read(*heads), self.read(heads[-1])
        if isinstance(last, Deny) or isinstance(alone, Deny):
            assert last == alone
        else:
            assert (last.length, last.chunked, last.lines) == (
                alone.length,
                alone.chunked,
                alone.lines,
            )

    def test_long_heads_are_not_kept(self) -> None:
        """Every open connection would keep its last one, and anybody may open connections."""
        reader, kinds = HeadReader(), request_kinds()
        for length, is_kept in ((1_000, True), (10_000, False)):
            head = self.PLAIN + b"X-A: " + b"a" * length + b"\r\n\r\n"
            first = reader.read(head, kinds, 128)
            assert (reader.read(head, kinds, 128) is first) is is_kept

    def test_a_length_of_zero_stays(self) -> None:
        head = self.read(b"Content-Length: 0\r\n", b"Content-Length: 0\r\n")
        assert isinstance(head, RequestHead)
        assert head.length == 0

    def test_length_beside_a_known_coding_is_refused(self) -> None:
        both = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
        assert isinstance(self.read(b"Transfer-Encoding: chunked\r\n", both), Deny)

    def test_second_length_beside_a_known_zero_is_refused(self) -> None:
        both = b"Content-Length: 5\r\nContent-Length: 0\r\n"
        assert isinstance(self.read(b"Content-Length: 0\r\n", both), Deny)
