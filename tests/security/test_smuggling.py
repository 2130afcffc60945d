"""Raw bytes in over TCP; judged by the bytes that a recording provider got.

Every forwarded message is well-formed and carries one credential, ours; there are never more
requests than answers; nothing that must be refused, and no smuggled target, ever arrives.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from gateway.server import Gateway
from tests.security.conftest import KEY, Start
from tests.security.corpora import Sample, desync, llhttp, needs_corpora, with_lines
from tests.security.mutations import mutations
from tests.security.reading import ours
from tests.security.recorder import Recorder, recording
from tests.security.strict import Message
from tests.security.table import AUTH, CASES, MARKERS, TOKEN, Case

_AT_ONCE = 150
_SHORT = {"head": 0.4, "body": 0.4, "idle": 0.4, "linger": 0.2}
_LINE = re.compile(TOKEN + rb"[ \t]*\r\n")
_CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"proxy-authorization", b"cookie")
Tell = Callable[[str, object], None]


@dataclass
class Sent:
    """What one bot sent and got, and what of it the provider got."""

    name: str
    raw: bytes
    answers: bytes = b""
    forwarded: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The status of the first final answer, 0 without one."""
        statuses = [int(s) for s in re.findall(rb"^HTTP/1\.1 (\d+)", self.answers, re.MULTILINE)]
        return next((status for status in statuses if status >= 200), 0)

    @property
    def targets(self) -> list[bytes]:
        """What the provider was asked for."""
        return [message.start[1] for message in self.forwarded]


async def _send(gateway: Gateway, sent: Sent) -> None:
    """Send everything in one write and read to the end."""
    port = gateway.listeners.addresses[0][2]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent.raw)
        async with asyncio.timeout(20):
            while data := await reader.read(65_536):
                sent.answers += data
    except ConnectionError:
        sent.answers += b"<reset>"
    finally:
        writer.transport.abort()


async def _send_all(start: Start, cases: Iterable[tuple[str, bytes]]) -> list[Sent]:
    """Send each case on a connection of its own. An `X-Case` header tells them apart behind it."""
    everything = [
        Sent(name, _LINE.sub(rb"\g<0>X-Case: %d\r\n" % n, raw))
        for n, (name, raw) in enumerate(cases)
    ]
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(sent: Sent) -> None:
        async with limit:
            await _send(gateway, sent)

    async with recording() as recorder, start(recorder.port, deadlines=_SHORT) as gateway:
        await asyncio.gather(*map(one, everything))
    _judge(recorder, everything)
    return everything


def _judge(recorder: Recorder, everything: list[Sent]) -> None:
    for message in recorder.requests():
        shown = [v for name in _CREDENTIALS for v in message.values(name)]
        assert shown == [b"Bearer " + KEY.encode()], message
        assert message.values(b"host") == [b"127.0.0.1:%d" % recorder.port]
        cases = message.values(b"x-case")
        assert len(set(cases)) == 1, f"nobody's request, or two in one: {message}"
        sent = everything[int(cases[0])]
        sent.forwarded.append(message)
        if sent.raw.count(TOKEN) == sent.raw.count(b"\r\n" + AUTH):  # else it moved elsewhere
            assert TOKEN not in b"".join(value for _, value in message.fields)
    for sent in everything:
        finals = sent.answers.count(b"\r\nx-gateway-exchange: ")
        assert len(sent.forwarded) <= finals, f"more requests than answers: {sent}"


def _no_marker(everything: list[Sent]) -> None:
    for sent in everything:
        assert not any(mark in target for mark in MARKERS for target in sent.targets), sent


def _tell(tell: Tell, name: str, everything: list[Sent]) -> None:
    counts = Counter(sent.status for sent in everything)
    forwarded = sum(bool(sent.forwarded) for sent in everything)
    tell(name, forwarded)
    print(f"\n    {name}: {len(everything)} sent, {forwarded} forwarded, {dict(counts)}", end="")  # noqa: T201


async def test_our_table(start: Start, record_property: Tell) -> None:
    by_name = {case.name: case for case in CASES}
    everything = await _send_all(start, [(case.name, case.raw) for case in CASES])
    _tell(record_property, "table", everything)
    _no_marker(everything)
    wrong = {
        sent.name: _found(sent) for sent in everything if not _as_told(by_name[sent.name], sent)
    }
    assert not wrong


def _as_told(case: Case, sent: Sent) -> bool:
    whole = sum(message.whole for message in sent.forwarded)
    return (sent.status, len(sent.forwarded), whole) == (
        case.status,
        case.forwarded,
        case.forwarded,
    )


def _found(sent: Sent) -> tuple[int, list[bytes]]:
    return sent.status, sent.targets


def _framed(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """A case with our token in its first head, and in every one; and with its head ended."""
    for every in (False, True):
        raw = with_lines(sample.raw, AUTH, every)
        yield sample.name, raw
        yield sample.name, raw + b"\r\n\r\n"


@needs_corpora
async def test_desync_guardian(start: Start, record_property: Tell) -> None:
    labels = {sample.name: sample.label for sample in desync()}
    everything = await _send_all(start, (case for sample in desync() for case in _framed(sample)))
    _no_marker(everything)
    for label in sorted(set(labels.values())):
        these = [sent for sent in everything if labels[sent.name] == label]
        _tell(record_property, f"desync {label}", these)
    severe = [sent for sent in everything if labels[sent.name] == "Severe"]
    assert len(severe) >= 58 * 2
    assert not [sent for sent in severe if sent.forwarded]


@needs_corpora
async def test_llhttp(start: Start, record_property: Tell) -> None:
    samples = {sample.name: sample for sample in llhttp()}
    everything = await _send_all(start, (case for sample in llhttp() for case in _framed(sample)))
    _no_marker(everything)
    for label in ("accepted", "rejected", "lenient"):
        these = [sent for sent in everything if samples[sent.name].label == label]
        _tell(record_property, f"llhttp {label}", these)
    for sent in everything:
        sample = samples[sent.name]
        if sample.label != "accepted":
            whole = [message for message in sent.forwarded if message.whole]
            assert len(whole) < sample.messages, sent


async def _fuzz(start: Start, tell: Tell, seed: int, count: int) -> None:
    """What is forwarded is among what the differential test holds equal to aiohttp's reading."""
    everything = await _send_all(start, (("", data) for data in mutations(seed, count)))
    _tell(tell, f"seed {seed}", everything)
    assert sum(bool(sent.forwarded) for sent in everything) > count / 20
    for sent in everything:
        reading = ours(sent.raw)
        expected = iter([((m.method, m.target), m.body) for m in reading.messages])
        whole = [((m.start[0], m.start[1]), m.body) for m in sent.forwarded if m.whole]
        assert all(one in expected for one in whole), sent  # in this order
        assert len(sent.forwarded) - len(whole) <= bool(reading.begun), sent


async def test_mutations(start: Start, record_property: Tell) -> None:
    await _fuzz(start, record_property, 11, 1200)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(12, 17))
async def test_many_mutations(start: Start, record_property: Tell, seed: int) -> None:
    await _fuzz(start, record_property, seed, 20_000)
