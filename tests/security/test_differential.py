"""Whatever aiohttp's C parser refuses, we refuse; what we take, it takes for the same message.

The inclusion is one-way: we refuse much that aiohttp accepts. Only grammar is compared; the
limits on sizes are set equal.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.security.corpora import Sample, desync, llhttp, needs_corpora, with_lines
from tests.security.mutations import garden, mutations
from tests.security.reading import Message, Oracle, Reading, ours
from tests.security.table import CARRIED, CASES, DENIED, REFUSED

# Why aiohttp may refuse what we take: (bytes that are in the message, the reason).
EXCEPTIONS = {
    b"sec-websocket-key1:": "aiohttp refuses the WebSocket draft of 2010 by this header's name; to "
    "everything else it is a header like any other, and it frames nothing",
}


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """aiohttp's parser; it needs an event loop only to be built."""
    loop = asyncio.new_event_loop()
    yield Oracle(loop)
    loop.close()


def _excepted(wire: bytes) -> bool:
    return any(mark in wire.lower() for mark in EXCEPTIONS)


def _included(oracle: Oracle, data: bytes) -> tuple[Reading, Reading]:
    """Read `data` twice and assert the inclusion, message by message."""
    reading, theirs = ours(data), oracle.reads(data)
    for message, wire in zip(reading.messages, reading.wire, strict=True):
        if _excepted(wire):
            continue
        other = oracle.reads(wire)
        refusal = "" if other.refusal == "upgraded" else other.refusal
        assert not refusal, f"aiohttp refuses what we take: {refusal}\n{wire!r}"
        assert other.messages == [message], wire
    if reading.begun and not _excepted(reading.begun):
        other = oracle.reads(reading.begun)
        assert not other.refusal, f"aiohttp refuses what we began: {other.refusal}"
        assert not other.messages, "aiohttp sees the end of a body that we do not"
    return reading, theirs


def _all(oracle: Oracle, cases: Iterable[bytes]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for data in cases:
        reading, theirs = _included(oracle, data)
        counts["cases"] += 1
        counts["refused by us"] += bool(reading.refusal)
        counts["refused by aiohttp"] += bool(theirs.refusal)
        counts["messages taken"] += len(reading.messages)
    return counts


Tell = Callable[[str, object], None]


def _report(tell: Tell, name: str, counts: Counter[str]) -> None:
    tell(name, dict(counts))
    print(f"\n    {name}: {dict(counts)}", end="")  # noqa: T201 shown by pytest -s


def test_our_table(oracle: Oracle, record_property: Tell) -> None:
    _report(record_property, "table", _all(oracle, [case.raw for case in CASES]))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused_at_the_head_or_in_the_body(case: object) -> None:
    reading = ours(case.raw)  # type: ignore[attr-defined]
    assert reading.refusal
    assert not reading.messages


@pytest.mark.parametrize("case", CARRIED + DENIED, ids=lambda case: case.name)
def test_taken(case: object) -> None:
    assert ours(case.raw).messages  # type: ignore[attr-defined]


def test_what_sdks_send_is_taken(oracle: Oracle) -> None:
    for seed in garden():
        reading, theirs = _included(oracle, seed)
        assert len(reading.messages) == 1
        assert reading.messages == theirs.messages
        assert not reading.refusal


def _variants(sample: Sample) -> Iterator[bytes]:
    """A case as it is; with the Host it may lack; and with its head ended where it is not."""
    yield sample.raw
    for every in (False, True):
        data = with_lines(sample.raw, b"X-Added: 1\r\n", every)
        yield data
        yield data + b"\r\n\r\n"


@needs_corpora
def test_llhttp(oracle: Oracle, record_property: Tell) -> None:
    samples = llhttp()
    assert len(samples) > 160
    cases = [data for sample in samples for data in _variants(sample)]
    _report(record_property, "llhttp", _all(oracle, cases))
    labels = Counter(sample.label for sample in samples)
    _report(record_property, "llhttp labels", labels)
    for sample in samples:
        if sample.label == "accepted":
            continue
        for data in _variants(sample):
            assert len(ours(data).messages) < sample.messages, (sample.name, sample.label)


@needs_corpora
def test_desync_guardian(oracle: Oracle, record_property: Tell) -> None:
    samples = desync()
    assert len(samples) == 159
    cases = [data for sample in samples for data in _variants(sample)]
    _report(record_property, "desync-guardian", _all(oracle, cases))
    severe = [sample for sample in samples if sample.label == "Severe"]
    assert len(severe) == 58
    for sample in severe:
        for data in _variants(sample):
            reading = ours(data)
            assert reading.refusal, sample.name
            assert not reading.messages
            assert not reading.begun


def test_mutations(oracle: Oracle, record_property: Tell) -> None:
    counts = _all(oracle, mutations(1, 10_000))
    _report(record_property, "mutations", counts)
    assert counts["messages taken"] > 2500, "the mutator breaks everything: it tests nothing"


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_mutations(oracle: Oracle, record_property: Tell, seed: int) -> None:
    _report(record_property, f"seed {seed}", _all(oracle, mutations(seed, 100_000)))


_names = st.sampled_from(
    [b"Host", b"host", b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection",
     b"Upgrade", b"Expect", b"X-A", b"Content-Type", b"User-Agent", b"Trailer", b"TE",
     b"Content-Length "]
) | st.binary(max_size=6)  # fmt: skip
_values = st.sampled_from(
    [b"a", b"a:1", b"0", b"5", b"05", b"5,5", b"chunked", b"Chunked", b"gzip, chunked", b"close",
     b"upgrade", b"keep-alive", b"h2c", b"websocket", b"100-continue", b"", b" 5 ", b"\t5"]
) | st.binary(max_size=8)  # fmt: skip
_ends = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\n ", b"\r\r\n"])
_colons = st.sampled_from([b": "] * 8 + [b":", b" : ", b":\t", b""])
_lines = st.builds(lambda *parts: b"".join(parts), _names, _colons, _values, _ends)
_starts = st.builds(
    b"%b %b %b\r\n".__mod__,
    st.tuples(
        st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"get", b"TRACE", b"CONNECT"]),
        st.sampled_from([b"/", b"/a?b", b"/a%2Fb", b"*", b"http://a/", b"/a b"])
        | st.binary(max_size=6).map(b"/".__add__),
        st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0"]),
    ),
)
_bodies = st.sampled_from(
    [b"", b"hello", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n",
     b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
     b"5 \r\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n"]
) | st.binary(max_size=30)  # fmt: skip


@given(
    st.lists(
        st.builds(
            lambda start, host, lines, body: start + host + b"".join(lines) + b"\r\n" + body,
            _starts,
            st.sampled_from([b"Host: a\r\n"] * 6 + [b""]),
            st.lists(_lines, max_size=5),
            _bodies,
        ),
        min_size=1,
        max_size=3,
    ).map(b"".join)
)
@example(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello")
@settings(max_examples=600, deadline=None)
def test_generated_requests(data: bytes) -> None:
    loop = asyncio.new_event_loop()
    try:
        _included(Oracle(loop), data)
    finally:
        loop.close()


def test_a_remembered_head_hides_no_second_length() -> None:
    """The reader skips a head it has just read, but for its length: that must not be a way in."""
    plain = b"POST /a HTTP/1.1\r\nHost: a\r\n"
    for known in (b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"):
        body = b"0\r\n\r\n" if b"chunked" in known else b""
        first = plain + known + b"\r\n" + body
        assert ours(first + first).messages == [Message(b"POST", b"/a", b"")] * 2
        assert (
            len(ours(first + plain + b"Content-Length: 5\r\n" + known + b"\r\nhello").messages) == 1
        )
        assert len(ours(first + plain + known + b"Content-Length: 5\r\n\r\nhello").messages) == 1
