"""Our own table of ways to frame a request: what is carried, what is refused, and with what.

Whatever must not reach a provider carries one of `MARKERS` in its target.
"""

from __future__ import annotations

from dataclasses import dataclass

TOKEN = b"sk-gwt-the-token-of-a-bot-under-test"
AUTH = b"Authorization: Bearer " + TOKEN + b"\r\n"
MARKERS = (b"evil", b"admin", b"smuggle")


@dataclass(frozen=True)
class Case:
    """One message, or several, as they leave a bot in one segment."""

    name: str
    raw: bytes
    status: int
    """Of the first answer."""
    forwarded: int
    """How many requests the provider gets."""


def rq(
    extra: bytes = b"",
    body: bytes = b"",
    method: bytes = b"POST",
    target: bytes = b"/a",
    version: bytes = b"HTTP/1.1",
    host: bytes = b"Host: a\r\n",
) -> bytes:
    """Return one request with the token in it."""
    return b"%b %b %b\r\n%b%b%b\r\n%b" % (method, target, version, host, AUTH, extra, body)


def get(extra: bytes = b"", target: bytes = b"/a", **parts: bytes) -> bytes:
    """Return one request without a body."""
    return rq(extra, method=b"GET", target=target, **parts)


def _chunks(body: bytes, coding: bytes = b"chunked") -> bytes:
    return rq(b"Transfer-Encoding: " + coding + b"\r\n", body)


_CL3 = b"Content-Length: 3\r\n"
_TE = b"Transfer-Encoding: chunked\r\n"
_SMUGGLED = get(target=b"/smuggled")
_WITHIN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
_ABC = b"3\r\nabc\r\n0\r\n\r\n"


def _carried() -> list[Case]:
    one = {
        "get": get(),
        "post-length": rq(_CL3, b"abc"),
        "post-length-0": rq(b"Content-Length: 0\r\n"),
        "post-no-body": rq(),
        "post-chunked": _chunks(_ABC),
        "chunked-empty": _chunks(b"0\r\n\r\n"),
        "chunked-two": _chunks(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        "chunked-extension": _chunks(b'3;x=y;z="q"\r\nabc\r\n0;last\r\n\r\n'),
        "chunked-trailers": _chunks(b"3\r\nabc\r\n0\r\nAuthorization: Bearer evil\r\n\r\n"),
        "chunked-upper-hex": _chunks(b"A\r\n0123456789\r\n0\r\n\r\n"),
        "chunked-leading-zeros": _chunks(b"0003\r\nabc\r\n000\r\n\r\n"),
        "chunked-other-case": _chunks(_ABC, b"ChUnKeD"),
        "chunked-spaces-around": _chunks(_ABC, b"  chunked "),
        "chunks-that-look-like-a-request": _chunks(
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(_WITHIN), _WITHIN)
        ),
        "body-that-looks-like-a-request": rq(b"Content-Length: %d\r\n" % len(_WITHIN), _WITHIN),
        "get-with-body": rq(_CL3, b"abc", b"GET"),
        "delete-with-body": rq(_CL3, b"abc", b"DELETE"),
        "put": rq(_CL3, b"abc", b"PUT"),
        "patch": rq(_CL3, b"abc", b"PATCH"),
        "options": rq(method=b"OPTIONS"),
        "http10": get(version=b"HTTP/1.0"),
        "http10-post": rq(_CL3, b"abc", version=b"HTTP/1.0"),
        "length-spaces-around": rq(b"Content-Length: \t3 \r\n", b"abc"),
        "length-no-space": rq(b"Content-Length:3\r\n", b"abc"),
        "length-lower-case": rq(b"content-length: 3\r\n", b"abc"),
        "obs-text-in-value": get("X-A: é\r\n".encode("latin-1")),
        "tab-in-value": get(b"X-A: a\tb\r\n"),
        "empty-value": get(b"X-A:\r\n"),
        "odd-name": get(b"!#$%&'*+-.^`|~: 1\r\n"),
        "empty-line-before": b"\r\n" + get(),
        "two-empty-lines-before": b"\r\n\r\n" + get(),
        "host-port": get(host=b"Host: a.example:8080\r\n"),
        "host-v6": get(host=b"Host: [::1]:8080\r\n"),
        "h2c-offered": rq(
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
            + _CL3,
            b"abc",
        ),
        "upgrade-unconnected": get(b"Upgrade: websocket\r\n"),
        "connection-close": get(b"Connection: close\r\n"),
        "connection-lists-header": get(b"Connection: x-a, keep-alive\r\nX-A: evil\r\n"),
        "odd-query": get(target=b"/a?x=%2F..&y='[{|}]\"&z"),
        "head-20-kb": get(b"X-A: " + b"a" * 20_000 + b"\r\n"),
        "headers-127": get(b"".join(b"X-%d: v\r\n" % n for n in range(125))),
    }
    cases = [Case(name, raw, 200, 1) for name, raw in one.items()]
    then = get(target=b"/two")
    return [
        *cases,
        Case("pipelined-gets", get() + then, 200, 2),
        Case("pipelined-posts", rq(_CL3, b"abc") + rq(_CL3, b"def"), 200, 2),
        Case("pipelined-after-chunked", _chunks(_ABC) + then, 200, 2),
        Case("pipelined-after-no-length", rq() + then, 200, 2),
        Case("pipelined-after-get-body", rq(_CL3, b"abc", b"GET") + then, 200, 2),
        Case("pipelined-then-broken", get() + b"GET /evil\r\n\r\n", 200, 1),
        Case("pipelined-after-close", get(b"Connection: close\r\n") + _SMUGGLED, 200, 1),
        Case("pipelined-after-http10", get(version=b"HTTP/1.0") + _SMUGGLED, 200, 1),
        Case("expect", rq(b"Expect: 100-continue\r\n" + _CL3, b"abc"), 200, 1),
    ]


def _heads() -> dict[str, bytes]:
    """Heads that are refused with 400; each is followed by what must not be taken for a request."""
    lengths = {
        "plus": b"+3", "minus": b"-3", "list": b"3, 3", "two-words": b"3 3", "hex": b"0x3",
        "leading-zero": b"03", "empty": b"", "exponent": b"3e0", "point": b"3.0", "word": b"abc",
        "underscore": b"1_0", "huge": b"9" * 40, "2-64": b"18446744073709551619",
        "nbsp": b"\xa03", "arabic": "٣".encode(), "quoted": b'"3"', "semicolon": b"3;",
    }  # fmt: skip
    codings = {
        "xchunked": b"xchunked", "then-identity": b"chunked, identity", "identity": b"identity",
        "twice": b"chunked, chunked", "gzip": b"gzip, chunked", "empty": b"", "comma": b"chunked,",
        "comma-first": b",chunked", "quoted": b'"chunked"', "parameter": b"chunked;q=1",
        "nbsp": b"\xa0chunked", "cow": b"cow", "kelvin": "chun\u212aed".encode(),
        "tab-after": b"chunked \t",
    }  # fmt: skip
    heads = {f"length-{name}": rq(b"Content-Length: %b\r\n" % v) for name, v in lengths.items()}
    heads |= {f"coding-{name}": _chunks(b"0\r\n\r\n", v) for name, v in codings.items()}
    fields = {
        "length-and-chunked": _CL3 + _TE,
        "chunked-and-length": _TE + _CL3,
        "length-0-and-chunked": b"Content-Length: 0\r\n" + _TE,
        "lengths-differ": b"Content-Length: 3\r\nContent-Length: 5\r\n",
        "lengths-agree": _CL3 + _CL3,
        "lengths-0-and-3": b"Content-Length: 0\r\n" + _CL3,
        "codings-two-lines": _TE + _TE,
        "coding-and-identity-lines": b"Transfer-Encoding: identity\r\n" + _TE,
        "coding-folded": b"Transfer-Encoding:\r\n chunked\r\n",
        "coding-space-before-colon": b"Transfer-Encoding : chunked\r\n",
        "coding-tab-before-colon": b"Transfer-Encoding\t: chunked\r\n",
        "coding-underscore": b"Transfer_Encoding: chunked\r\n",
        "coding-vertical-tab": b"Transfer-Encoding: \x0bchunked\r\n",
        "coding-form-feed": b"Transfer-Encoding: chunked\x0c\r\n",
        "coding-nul": b"Transfer-Encoding: chunked\x00\r\n",
        "coding-space-first": b" Transfer-Encoding: chunked\r\n",
        "coding-after-bare-lf": b"X-A: 1\nTransfer-Encoding: chunked\r\n",
        "coding-after-bare-cr": b"X-A: 1\rTransfer-Encoding: chunked\r\n",
        "coding-after-lf-cr": b"X-A: 1\n\rTransfer-Encoding: chunked\r\n",
        "coding-after-cr-cr-lf": b"X-A: 1\r\r\nTransfer-Encoding: chunked\r\n",
        "length-space-before-colon": b"Content-Length : 3\r\n",
        "length-underscore-name": b"Content_Length: 3\r\n",
        "length-folded": b"Content-Length:\r\n 3\r\n",
        "fold": b"X-A: 1\r\n Authorization: Bearer evil\r\n",
        "fold-tab": b"X-A: 1\r\n\tb\r\n",
        "nul-in-value": b"X-A: 1\x002\r\n",
        "nul-in-name": b"X-\x00A: 1\r\n",
        "escape-in-value": b"X-A: \x1b[0m\r\n",
        "delete-in-value": b"X-A: \x7f\r\n",
        "no-colon": b"X-A\r\n",
        "no-name": b": 1\r\n",
        "space-in-name": b"X A: 1\r\n",
        "paren-in-name": b"X(A): 1\r\n",
        "obs-text-in-name": b"X-\xe9: 1\r\n",
        "underscore": b"X_Api_Key: evil\r\n",
        "type-twice": b"Content-Type: a/b\r\nContent-Type: a/c\r\n",
        "type-empty-twice": b"Content-Type:\r\nContent-Type: a/c\r\n",
        "user-agent-twice": b"User-Agent: a\r\nUser-Agent: b\r\n",
        "hosts": b"Host: evil\r\n",
        "hosts-agree": b"Host: a\r\n",
    }
    heads |= {name: rq(extra) for name, extra in fields.items()}
    hosts = {
        "none": b"", "empty": b"Host:\r\n", "user": b"Host: u@a\r\n", "path": b"Host: a/b\r\n",
        "comma": b"Host: a, b\r\n", "space": b"Host: a b\r\n", "port-word": b"Host: a:x\r\n",
        "query": b"Host: a?b\r\n", "long-port": b"Host: a:123456\r\n", "fold": b"Host:\r\n a\r\n",
        "space-before-colon": b"Host : a\r\n", "obs-text": b"Host: \xe9\r\n",
        "hash": b"Host: a#b\r\n",
    }  # fmt: skip
    heads |= {f"host-{name}": get(host=host) for name, host in hosts.items()}
    targets = {
        "absolute": b"http://evil.example/a", "absolute-own": b"http://a/a", "authority": b"a:80",
        "asterisk": b"*", "no-slash": b"a", "fragment": b"/a#b", "backslash": b"/a\\b",
        "nul": b"/a\x00", "escaped-nul": b"/%00", "escaped-crlf": b"/%0d%0aX-A:%20evil",
        "escaped-lf-in-query": b"/?%0A", "escaped-delete": b"/%7f", "utf8": "/é".encode(),
        "delete": b"/\x7f", "space": b"/a b", "tab": b"/a\tb", "empty": b"", "bare-cr": b"/\ra",
    }  # fmt: skip
    heads |= {f"target-{name}": get(target=target) for name, target in targets.items()}
    lines = {
        "two-spaces": b"GET  /a HTTP/1.1", "space-after": b"GET /a HTTP/1.1 ",
        "space-before": b" GET /a HTTP/1.1", "tab": b"GET\t/a HTTP/1.1", "no-version": b"GET /a",
        "only-method": b"GET", "two-targets": b"GET /a /b HTTP/1.1",
        "comma": b"GET /a,HTTP/1.1", "nul": b"GET\x00 /a HTTP/1.1",
    }  # fmt: skip
    rest = b"\r\nHost: a\r\n" + AUTH + b"\r\n"
    heads |= {f"line-{name}": line + rest for name, line in lines.items()}
    heads["bare-lf-everywhere"] = get().replace(b"\r\n", b"\n") + b"\r\n\r\n"
    heads["line-ends-in-bare-lf"] = get().replace(b"\r\n", b"\n", 1)
    heads["line-ends-in-bare-cr"] = get().replace(b"\r\n", b"\r", 1)
    heads["tls-hello"] = bytes.fromhex("16030100c8010000c40303") + b"\r\n\r\n"
    return heads


def _bodies() -> dict[str, bytes]:
    """Chunked bodies that are refused with 400."""
    return {
        "size-word": b"zz\r\nabc\r\n0\r\n\r\n",
        "size-empty": b"\r\nabc\r\n0\r\n\r\n",
        "size-minus": b"-3\r\nabc\r\n0\r\n\r\n",
        "size-plus": b"+3\r\nabc\r\n0\r\n\r\n",
        "size-0x": b"0x3\r\nabc\r\n0\r\n\r\n",
        "size-space-before": b" 3\r\nabc\r\n0\r\n\r\n",
        "size-space-after": b"3 \r\nabc\r\n0\r\n\r\n",
        "size-tab-before-extension": b"3\t;x\r\nabc\r\n0\r\n\r\n",
        "size-underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
        "size-2-64": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
        "size-too-short": b"2\r\nabc\r\n0\r\n\r\n",
        "size-bare-lf": b"3\nabc\r\n0\r\n\r\n",
        "size-bare-cr": b"3\rabc\r\n0\r\n\r\n",
        "data-bare-lf": b"3\r\nabc\n0\r\n\r\n",
        "data-no-end": b"3\r\nabc0\r\n\r\n",
        "extension-bare-lf": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        "extension-bare-cr": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
        "extension-nul": b"3;a\x00\r\nabc\r\n0\r\n\r\n",
        "extension-too-long": b"3;" + b"a" * 2000 + b"\r\nabc\r\n0\r\n\r\n",
        "trailer-bare-lf": b"0\r\nX: y\n\r\n",
        "trailer-fold": b"0\r\nX: y\r\n z\r\n\r\n",
        "trailer-no-colon": b"0\r\nX\r\n\r\n",
        "trailer-space-before-colon": b"0\r\nX : y\r\n\r\n",
        "trailer-length": b"0\r\nContent-Length: 3\r\n\r\n",
        "trailer-coding": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "trailer-host": b"0\r\nHost: evil\r\n\r\n",
        "trailers-too-many": b"0\r\n" + b"X: yyyyyyyy\r\n" * 1000 + b"\r\n",
        "last-bare-lf": b"0\n\n",
    }


def _refused() -> list[Case]:
    """Everything refused; no request after it on the same connection is served."""
    cases = [Case(name, raw + _SMUGGLED, 400, 0) for name, raw in _heads().items()]
    cases += [
        Case(f"chunked-{name}", _chunks(body) + _SMUGGLED, 400, 0)
        for name, body in _bodies().items()
    ]
    cases += [
        Case(f"version-{v.decode()}", get(version=v) + _SMUGGLED, 505, 0)
        for v in (b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.10",
        b"HTTP/01.1", b"ICE/1.0")
    ]  # fmt: skip
    cases += [
        Case(f"method-{m.decode()}", rq(method=m) + _SMUGGLED, 501, 0)
        for m in (b"TRACE", b"get", b"PROPFIND", b"QUERY", b"G@T")
    ]
    return [
        *cases,
        Case("http10-chunked", _chunks(_ABC).replace(b"HTTP/1.1", b"HTTP/1.0") + _SMUGGLED, 400, 0),
        Case("http2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 0),
        Case("connect", b"CONNECT evil:443 HTTP/1.1\r\nHost: evil\r\n" + AUTH + b"\r\n", 501, 0),
        Case("expect-other", rq(b"Expect: evil\r\n" + _CL3, b"abc") + _SMUGGLED, 417, 0),
        Case("head-70-kb", get(b"X-A: " + b"a" * 70_000 + b"\r\n"), 431, 0),
        Case("headers-129", get(b"".join(b"X-%d: v\r\n" % n for n in range(127))), 431, 0),
    ]


def _denied() -> list[Case]:
    """Understood and not allowed: nothing reaches the provider, the next request is served."""
    then = get(target=b"/two")
    websocket = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    return [
        Case("two-tokens", get(b"Authorization: Bearer second\r\n") + then, 401, 1),
        Case("websocket", get(websocket) + then, 501, 1),
        Case("path-dots", get(target=b"/v1/../../admin") + then, 400, 1),
        Case("path-escaped-dots", get(target=b"/v1/%2e%2e/admin") + then, 400, 1),
        Case("path-escaped-slash", get(target=b"/v1%2Fadmin") + then, 400, 1),
        Case("path-two-slashes", get(target=b"//evil.example/a") + then, 400, 1),
    ]


CARRIED = _carried()
REFUSED = _refused()
DENIED = _denied()
CASES = CARRIED + REFUSED + DENIED
