"""The heads that leave: framed by us, once, and with nothing of the other side's framing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import AnswerHead, read_answer
from gateway.core.errors import Deny
from gateway.core.headers import answer_kinds, request_kinds
from gateway.core.model import Origin, Route
from gateway.core.outgoing import answer_head, refusal, request_head, unencoded
from gateway.core.places import Outgoing
from gateway.core.request import RequestHead, read_request
from gateway.providers.generic import PLUGIN


def route(base: bytes = b"", port: int = 443) -> Route:
    return Route("r", b"/r", PLUGIN, Origin("https", "api.example", port), base, None, (), ())


def head(*lines: bytes, method: bytes = b"POST") -> RequestHead:
    raw = b"\r\n".join([method + b" /r/x HTTP/1.1", b"Host: gateway", *lines, b"", b""])
    found = read_request(raw, request_kinds(), 128)
    assert isinstance(found, RequestHead), found
    return found


def sent(
    request: RequestHead, path: bytes = b"/x", target: Route | None = None, **rest: Any
) -> bytes:
    outgoing = Outgoing(path, rest.pop("query", None), (), [*request.lines], **rest)
    return request_head(request, target or route(), outgoing)


class TestRequests:
    def test_whole(self) -> None:
        request = head(b"X-A: b", b"Content-Length: 5", b"Connection: keep-alive")
        assert sent(request) == (
            b"POST /x HTTP/1.1\r\nHost: api.example\r\nX-A: b\r\nContent-Length: 5\r\n\r\n"
        )

    @pytest.mark.parametrize(
        ("base", "path", "query", "target"),
        [
            (b"", b"/x", None, b"/x"),
            (b"", b"", None, b"/"),
            (b"", b"", b"q", b"/?q"),
            (b"", b"/x", b"", b"/x?"),
            (b"/v2", b"", None, b"/v2"),
            (b"/v2", b"/", None, b"/v2/"),
            (b"/v2", b"/x", b"a=%2F..&b", b"/v2/x?a=%2F..&b"),
        ],
    )
    def test_target(self, base: bytes, path: bytes, query: bytes | None, target: bytes) -> None:
        line = sent(head(), path, route(base), query=query).split(b"\r\n")[0]
        assert line == b"POST " + target + b" HTTP/1.1"

    def test_host_is_the_upstreams_with_its_port(self) -> None:
        assert b"\r\nHost: api.example:8443\r\n" in sent(head(), target=route(port=8443))

    @pytest.mark.parametrize(
        ("lines", "body", "framing"),
        [
            pytest.param([b"Content-Length: 5"], None, b"Content-Length: 5", id="length"),
            pytest.param([b"Content-Length: 0"], None, b"Content-Length: 0", id="length-0"),
            pytest.param(
                [b"Transfer-Encoding: chunked"], None, b"Transfer-Encoding: chunked", id="chunked"
            ),
            pytest.param(
                [b"Transfer-Encoding: chunked"], b"abc", b"Content-Length: 3", id="was-chunked"
            ),
            pytest.param(
                [b"Content-Length: 5"], b"longer", b"Content-Length: 6", id="other-length"
            ),
        ],
    )  # fmt: skip
    def test_framing_is_ours(self, lines: list[bytes], body: bytes | None, framing: bytes) -> None:
        assert sent(head(*lines), body=body).endswith(b"\r\n" + framing + b"\r\n\r\n")

    def test_no_body_has_no_framing(self) -> None:
        out = sent(head(method=b"GET")).lower()
        assert b"content-length" not in out
        assert b"transfer-encoding" not in out

    @pytest.mark.parametrize(
        "lines",
        [
            [],
            [b"Accept-Encoding: gzip"],
            [b"accept-encoding: gzip", b"X-A: b", b"Accept-Encoding: br"],
        ],
        ids=["none", "one", "two"],
    )
    def test_asked_without_compression(self, lines: list[bytes]) -> None:
        out = unencoded(head(*lines).lines)
        kept = [line for line in out if line.lower().startswith(b"accept-encoding")]
        assert kept == [b"Accept-Encoding: identity"]
        assert (b"X-A: b" in out) is (b"X-A: b" in lines)


def answered(
    *lines: bytes, start: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET"
) -> AnswerHead:
    found = read_answer(b"\r\n".join([start, *lines, b"", b""]), answer_kinds(), method)
    assert isinstance(found, AnswerHead), found
    return found


_LENGTH, _CHUNKED = b"Content-Length: 5", b"Transfer-Encoding: chunked"


class TestAnswers:
    @pytest.mark.parametrize(
        ("start", "line", "method", "http10", "reframed", "framing"),
        [
            pytest.param(b"200 OK", _LENGTH, b"GET", False, False, _LENGTH, id="length"),
            pytest.param(b"200 OK", _LENGTH, b"GET", False, True, _CHUNKED, id="length-reframed"),
            pytest.param(b"200 OK", _CHUNKED, b"GET", False, False, _CHUNKED, id="chunked"),
            pytest.param(b"200 OK", b"X: y", b"GET", False, False, _CHUNKED, id="until-close"),
            pytest.param(b"200 OK", _LENGTH, b"GET", True, False, _LENGTH, id="1.0-length"),
            pytest.param(b"200 OK", _CHUNKED, b"GET", True, False, None, id="1.0-chunked"),
            pytest.param(b"200 OK", _LENGTH, b"GET", True, True, None, id="1.0-reframed"),
            pytest.param(b"200 OK", _LENGTH, b"HEAD", False, False, _LENGTH, id="head"),
            pytest.param(b"200 OK", _CHUNKED, b"HEAD", False, False, None, id="head-chunked"),
            pytest.param(b"204 No", _LENGTH, b"GET", False, False, None, id="204"),
            pytest.param(b"304 No", _LENGTH, b"GET", False, False, _LENGTH, id="304"),
        ],
    )
    def test_framing(
        self,
        start: bytes,
        line: bytes,
        method: bytes,
        http10: bool,
        reframed: bool,
        framing: bytes | None,
    ) -> None:
        answer = answered(line, start=b"HTTP/1.1 " + start, method=method)
        out, chunked = answer_head(answer, "id", http10, close=False, reframed=reframed)
        lines = out.split(b"\r\n")
        framed = [
            x for x in lines if x.lower().startswith((b"content-length", b"transfer-encoding"))
        ]
        assert framed == ([framing] if framing else [])
        assert chunked is (framing == _CHUNKED)
        assert out.endswith(b"\r\n\r\n")
        assert out.count(b"\r\n\r\n") == 1

    def test_names_the_exchange_and_the_close(self) -> None:
        answer = answered(b"X-Gateway-Exchange: forged", b"Connection: keep-alive", _LENGTH)
        out, _ = answer_head(answer, "e1", http10=False, close=True, reframed=False)
        assert out.lower().count(b"x-gateway-exchange") == 1
        assert b"\r\nx-gateway-exchange: e1\r\n" in out
        assert b"\r\nConnection: close\r\n" in out
        assert b"keep-alive" not in out

    def test_reason_is_the_providers_or_the_registrys(self) -> None:
        mine = answered(_LENGTH, start=b"HTTP/1.1 429 Slow Down")
        none = answered(_LENGTH, start=b"HTTP/1.0 429")
        odd = answered(_LENGTH, start=b"HTTP/1.1 599")
        outs = [
            answer_head(x, "i", False, False, False)[0].split(b"\r\n")[0] for x in (mine, none, odd)
        ]
        assert outs == [
            b"HTTP/1.1 429 Slow Down", b"HTTP/1.1 429 Too Many Requests", b"HTTP/1.1 599 "
        ]  # fmt: skip


class TestRefusals:
    @given(st.sampled_from([400, 401, 403, 404, 413, 429, 431, 500, 502, 503, 504]), st.booleans())
    def test_is_one_whole_answer(self, status: int, close: bool) -> None:
        deny = Deny(status, "some_code", "Some reason")
        out = refusal(PLUGIN.refuse(deny, "e1"), "e1", b"GET", close)
        raw, _, body = out.partition(b"\r\n\r\n")
        answer = read_answer(raw + b"\r\n\r\n", answer_kinds(), b"GET")
        assert isinstance(answer, AnswerHead)
        assert (answer.status, answer.length, answer.close) == (status, len(body), close)
        assert b"x-gateway-exchange: e1" in raw
        assert b"some_code" in body

    def test_head_gets_the_length_alone(self) -> None:
        deny = Deny(401, "c", "Some reason")
        shape = PLUGIN.refuse(deny, "e")
        whole, head_only = (refusal(shape, "e", m, close=False) for m in (b"GET", b"HEAD"))
        assert whole.startswith(head_only)
        assert head_only.endswith(b"\r\n\r\n")
