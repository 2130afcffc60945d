"""A provider's chunked body, taken apart: all of its payload, and nothing but it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.dechunk import Dechunker
from gateway.core.framing import LAST_CHUNK, FramingError, chunk


def started() -> Dechunker:
    dechunker = Dechunker()
    dechunker.start()
    return dechunker


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(0, 150))
def test_split_anywhere(pieces: list[bytes], at: int) -> None:
    wire = b"".join(map(chunk, pieces)) + LAST_CHUNK
    dechunker = started()
    payload = dechunker.feed(wire[:at])
    if at < len(wire):
        payload += dechunker.feed(wire[at:])
    assert (payload, dechunker.done, dechunker.excess) == (b"".join(pieces), True, False)


def test_one_after_another() -> None:
    dechunker = started()
    assert dechunker.feed(chunk(b"one") + LAST_CHUNK) == b"one"
    dechunker.start()
    assert not dechunker.done
    assert dechunker.feed(chunk(b"two") + LAST_CHUNK) == b"two"
    assert (dechunker.done, dechunker.excess) == (True, False)


def test_extensions_and_trailers_are_dropped() -> None:
    dechunker = started()
    assert dechunker.feed(b"3;a=b\r\nabc\r\n0\r\nX-T: evil\r\n\r\n") == b"abc"
    assert dechunker.done


@pytest.mark.parametrize(
    "after",
    [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", b"\x00",
     chunk(b"more") + LAST_CHUNK],
    ids=["byte", "answer", "nul", "chunks"],
)  # fmt: skip
def test_what_follows_the_end_is_excess_and_no_payload(after: bytes) -> None:
    dechunker = started()
    assert dechunker.feed(chunk(b"abc") + LAST_CHUNK + after) == b"abc"
    assert dechunker.done
    assert dechunker.excess


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"zz\r\n", id="size"),
        pytest.param(b"3\r\nabcd\r\n", id="data-too-long"),
        pytest.param(b"-1\r\n", id="minus"),
        pytest.param(b"1" * 17 + b"\r\n", id="overflow"),
        pytest.param(b"3\nabc\n0\n\n", id="bare-lf"),
    ],
)
def test_broken(wire: bytes) -> None:
    with pytest.raises(FramingError):
        started().feed(wire)


@pytest.mark.parametrize("start", [b"1;", b"0\r\nX: "], ids=["extension", "trailer"])
def test_endless_framing_is_an_error(start: bytes) -> None:
    dechunker = started()
    dechunker.feed(start)
    for _ in range(63):
        assert dechunker.feed(b"a" * 1024) == b""
    with pytest.raises(FramingError, match="without payload"):
        dechunker.feed(b"a" * 1024)


def test_not_done_before_the_end() -> None:
    dechunker = started()
    dechunker.feed(chunk(b"abc") + LAST_CHUNK[:-1])
    assert not dechunker.done
