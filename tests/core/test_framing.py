"""Bodies of requests: where they end, what of them is payload, and what breaks them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.framing import LAST_CHUNK, ChunkedBody, FramingError, LengthBody, chunk

_PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


def decode(*pieces: bytes) -> tuple[bytes, bytes, bool]:
    """Return (payload, what follows, whether the body is over)."""
    body, payload = ChunkedBody(), b""
    for n, piece in enumerate(pieces):
        got, rest = body.feed(piece)
        payload += got
        if body.done:
            return payload, rest + b"".join(pieces[n + 1 :]), True
    return payload, b"", False


class TestLengthBody:
    @given(st.binary(min_size=1, max_size=50), st.binary(max_size=20), st.integers(0, 70))
    def test_split_anywhere(self, body: bytes, after: bytes, at: int) -> None:
        data = body + after
        reader = LengthBody(len(body))
        payload, rest = reader.feed(data[:at])
        if not reader.done:
            more, rest = reader.feed(data[at:])
            payload += more
        else:
            rest += data[at:]
        assert (payload, rest, reader.done) == (body, after, True)

    def test_of_nothing_is_over_at_once(self) -> None:
        assert LengthBody(0).done


class TestChunkedBody:
    @given(_PIECES, st.binary(max_size=20), st.lists(st.integers(0, 200), max_size=4))
    def test_what_we_write_we_read(
        self, pieces: list[bytes], after: bytes, cuts: list[int]
    ) -> None:
        wire = b"".join(map(chunk, pieces)) + LAST_CHUNK + after
        ends = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
        parts = [wire[a:b] for a, b in pairwise(ends)]
        assert decode(*parts) == (b"".join(pieces), after, True)

    @given(st.binary(max_size=60))
    def test_any_bytes_are_a_body_or_an_error(self, data: bytes) -> None:
        outcomes = set()
        for parts in ([data], [data[i : i + 1] for i in range(len(data))]):
            try:
                outcomes.add(decode(*parts))
            except FramingError:
                outcomes.add((b"", b"error", False))
        if len(outcomes) == 2:  # an error may show earlier when bytes come alone, never differ
            assert (b"", b"error", False) in outcomes

    @pytest.mark.parametrize(
        ("wire", "payload"),
        [
            pytest.param(b"3\r\nabc\r\n0\r\n\r\n", b"abc", id="plain"),
            pytest.param(b'0003;a=b;c="d;e"\r\nabc\r\n0;f\r\n\r\n', b"abc", id="extensions"),
            pytest.param(b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", id="lower-hex"),
            pytest.param(b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", id="upper-hex"),
            pytest.param(b"0\r\nX-T: a\r\nX-U:\r\n\r\n", b"", id="trailers"),
            pytest.param(b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", id="payload-is-crlf"),
        ],
    )
    def test_valid(self, wire: bytes, payload: bytes) -> None:
        assert decode(wire + b"next") == (payload, b"next", True)

    @pytest.mark.parametrize(
        "wire",
        [
            pytest.param(b"\r\n", id="empty-size"),
            pytest.param(b"g\r\n", id="not-hex"),
            pytest.param(b"-1\r\n", id="minus"),
            pytest.param(b"+1\r\n", id="plus"),
            pytest.param(b"0x1\r\n", id="0x"),
            pytest.param(b"1 \r\n", id="space"),
            pytest.param(b" 1\r\n", id="space-first"),
            pytest.param(b"1_0\r\n", id="underscore"),
            pytest.param("\uff11\r\n".encode(), id="full-width"),
            pytest.param(b"1" * 16 + b"\r\n", id="too-large"),
            pytest.param(b"1;\x00\r\n", id="nul-in-extension"),
            pytest.param(b"1;\xff\r\n", id="obs-text-in-extension"),
            pytest.param(b"1\na", id="bare-lf"),
            pytest.param(b"1;a\nb\r\n", id="bare-lf-in-extension"),
            pytest.param(b"1;a\rb\r\n", id="bare-cr-in-extension"),
            pytest.param(b"1\r\nab\r\n", id="data-too-long"),
            pytest.param(b"1\r\na\n0\r\n\r\n", id="data-ends-in-lf"),
            pytest.param(b"1\r\na\r\r\n", id="data-ends-in-cr"),
            pytest.param(b"1;" + b"a" * 1100, id="endless-extension"),
            pytest.param(b"0\r\nno colon\r\n", id="trailer-no-colon"),
            pytest.param(b"0\r\n X: a\r\n", id="trailer-fold"),
            pytest.param(b"0\r\nX: a\nY: b\r\n", id="trailer-bare-lf"),
            pytest.param(b"0\r\nContent-Length: 1\r\n\r\n", id="trailer-length"),
            pytest.param(b"0\r\ntransfer-encoding: chunked\r\n\r\n", id="trailer-coding"),
            pytest.param(b"0\r\n" + b"X: " + b"a" * 2000 + b"\r\n\r\n", id="trailer-long"),
            pytest.param(b"0\r\n" + b"X: aaaaaaaa\r\n" * 800 + b"\r\n", id="trailers-many"),
        ],
    )
    def test_broken(self, wire: bytes) -> None:
        with pytest.raises(FramingError):
            decode(wire)
        with pytest.raises(FramingError):
            decode(*[wire[i : i + 1] for i in range(len(wire))])
