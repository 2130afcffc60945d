"""Deadlines towards the provider (row 15), and a bot that leaves (row 18)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest

from gateway.deadlines import NEVER, Deadlines
from tests.faults.conftest import Figure
from tests.faults.gateways import TOKEN, apart, inside
from tests.faults.wire import BotWire, ProviderWire, bot, provider, request, until

_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_EVENT = b"data: {}\n\n"
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)


async def test_a_provider_that_does_not_begin_gets_504_at_the_limit(
    tmp_path: Path, figure: Figure
) -> None:
    """Row 15, first byte."""

    async def script(wire: ProviderWire) -> None:
        await wire.request()
        await wire.ended()

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines={"first_byte": 0.6, "stream": 9}) as gateway,
        bot(gateway.port) as wire,
    ):
        began = perf_counter()
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        took = perf_counter() - began
        assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    figure("15 first byte: 504 after", f"{took:.2f} s of 0.6 s")
    assert abs(took - 0.6) <= 1.0
    assert took >= 0.6


async def test_a_stream_that_falls_silent_is_cut_at_the_limit(
    tmp_path: Path, figure: Figure
) -> None:
    """Row 15, silence."""

    async def script(wire: ProviderWire) -> None:
        await wire.request()
        await wire.send(_STREAM + _CHUNK)
        await wire.ended()

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines={"first_byte": 9, "stream": 0.6}) as gateway,
        bot(gateway.port) as wire,
    ):
        began = perf_counter()
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        took = perf_counter() - began
        assert (answer.status, answer.whole, answer.body) == (200, False, _EVENT)
        record = await gateway.record()
        assert (record["outcome"], record["code"]) == ("cut", "upstream_incomplete")
    figure("15 silence: cut after", f"{took:.2f} s of 0.6 s")
    assert 0.6 <= took <= 1.6


async def test_a_long_stream_with_pings_is_left_alone(tmp_path: Path, figure: Figure) -> None:
    """Row 15: no deadline on the whole. The stream lasts several times longer than any limit."""
    pings = 20

    async def script(wire: ProviderWire) -> None:
        await wire.request()
        await wire.send(_STREAM)
        for _ in range(pings):
            await wire.send(b"8\r\n: ping\n\n\r\n")
            await asyncio.sleep(0.1)
        await wire.send(b"0\r\n\r\n")

    every = dict.fromkeys(["head", "idle", "body", "write", "first_byte", "stream", "pool"], 0.4)
    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines=every) as gateway,
        bot(gateway.port) as wire,
    ):
        began = perf_counter()
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        assert (answer.whole, answer.body) == (True, b": ping\n\n" * pings)
    figure("15 stream with pings", f"whole after {perf_counter() - began:.1f} s, limits 0.4 s")


async def test_a_slow_reader_is_not_held_against_the_provider(tmp_path: Path) -> None:
    """The provider's silence is not counted while the bot does not read."""
    body = b"x" * 8_000_000

    async def script(wire: ProviderWire) -> None:
        await wire.request()
        await wire.ok(body)

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines={"first_byte": 0.3, "stream": 0.3}) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN))
        await asyncio.sleep(1.0)  # a pause of the bot's, three times the limit
        assert (await wire.answer()).body == body


def _leave_by_fin(wire: BotWire) -> None:
    wire.close()


def _leave_by_reset(wire: BotWire) -> None:
    wire.reset()


@pytest.mark.parametrize("leave", [_leave_by_fin, _leave_by_reset])
@pytest.mark.parametrize("streaming", [False, True], ids=["silent", "streaming"])
async def test_the_provider_is_let_go_when_the_bot_leaves(
    streaming: bool, leave: Callable[[BotWire], None], tmp_path: Path, figure: Figure
) -> None:
    """Row 18: within 0.1 s, whatever the provider is doing."""
    freed: list[float] = []
    began = asyncio.Event()

    async def script(wire: ProviderWire) -> None:
        await wire.request()
        if not streaming:
            began.set()
            await wire.ended()
        else:
            await wire.send(_STREAM + _CHUNK)
            ended = asyncio.ensure_future(wire.ended())
            began.set()
            while not ended.done():
                wire.writer.write(_CHUNK)
                await asyncio.wait([ended], timeout=0.01)
        freed.append(perf_counter())

    took = []
    async with (
        provider(script) as origin,
        apart(tmp_path, origin.port) as gateway,
    ):
        for turn in range(20):
            began.clear()
            async with bot(gateway.port) as wire:
                await wire.send(request(TOKEN))
                await began.wait()
                if streaming:
                    await wire.head()
                left = perf_counter()
                leave(wire)
                async with asyncio.timeout(5):
                    while len(freed) <= turn:  # noqa: ASYNC110 the script's moment is what counts
                        await asyncio.sleep(0.001)
            took.append(freed[turn] - left)
        await gateway.record(20)
        assert {(r["outcome"], r["status"]) for r in gateway.records()} == {("gone", 499)}
    what = "streaming" if streaming else "silent"
    figure(f"18 {what}: let go after", f"{max(took) * 1000:.1f} ms at most, of 20")
    assert max(took) <= 0.1


async def test_a_stalled_upload_ends_with_the_first_byte_deadline(
    tmp_path: Path, figure: Figure
) -> None:
    """Row 18, where the provider reads no further: the bot is not read then, nor its leaving seen.

    What bounds it is the provider's deadline.
    """
    freed = asyncio.Event()
    stalled = asyncio.Event()

    async def script(wire: ProviderWire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await stalled.wait()
        await asyncio.sleep(1.0)
        wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await wire.ended()
        freed.set()

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines={"first_byte": 0.5}) as gateway,
    ):
        async with bot(gateway.port) as wire:
            sending = asyncio.ensure_future(wire.send(request(TOKEN, b"x" * 30_000_000)))
            await asyncio.wait([sending], timeout=0.2)
            assert not sending.done(), "it should be stuck"
            sending.cancel()
        left = perf_counter()
        stalled.set()
        record = await gateway.record()
        seconds = perf_counter() - left
        await freed.wait()
    figure("18 amid a stalled upload: let go after", f"{seconds:.2f} s of 0.5 s")
    assert record["status"] in (499, 504)
    assert seconds <= 1.0


async def test_neither_side_reads_and_the_bot_is_cut(tmp_path: Path) -> None:
    """The upload is stuck at the provider and the answer at the bot: the bot has the deadline."""

    async def script(wire: ProviderWire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await wire.send(_STREAM)
        while True:
            await wire.send(b"10000\r\n%b\r\n" % (b"x" * 65_536))

    async def upload(wire: BotWire) -> None:
        while True:
            await wire.send(b"10000\r\n%b\r\n" % (b"y" * 65_536))

    deadlines = {"first_byte": 1, "stream": 1, "write": 1, "body": 1, "idle": 1}
    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines=deadlines) as gateway,
        bot(gateway.port) as wire,
    ):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await wire.send(request(TOKEN, b"", "Transfer-Encoding: chunked"))
        await asyncio.sleep(0.5)  # the answer fills up first
        uploading = asyncio.ensure_future(upload(wire))
        record = await gateway.record()
        uploading.cancel()
        await asyncio.gather(uploading, return_exceptions=True)
        assert (record["status"], record["code"]) == (499, "client_gone")
        assert not gateway.gateway.proxy.live


async def test_a_provider_that_reads_no_further_after_its_answer_is_let_go(tmp_path: Path) -> None:
    """What the bot uploaded will never leave: the connection is not kept open for it."""
    over = asyncio.Event()

    async def script(wire: ProviderWire) -> None:
        await wire.head()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)  # the upload gets stuck first
        await wire.ok(b"enough")
        await over.wait()

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines={"stream": 0.5}) as gateway,
        bot(gateway.port) as wire,
    ):
        uploading = asyncio.ensure_future(wire.send(request(TOKEN, b"x" * 30_000_000)))
        assert (await wire.answer()).body == b"enough"
        uploading.cancel()
        await asyncio.gather(uploading, return_exceptions=True)
        assert gateway.gateway.pool.busy == 1
        await until(lambda: gateway.gateway.pool.busy == 0)
        over.set()


class _Due:
    """Something whose deadline has passed."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.deadline = 0.0
        self.expired = 0
        self._act = act

    def expire(self, now: float) -> None:
        """Act."""
        self.deadline = NEVER
        self.expired += 1
        self._act()


async def test_a_defect_of_one_deadline_does_not_end_the_others() -> None:
    def fail() -> None:
        raise RuntimeError

    deadlines = Deadlines(asyncio.get_running_loop(), 0.01)
    broken, good = _Due(fail), _Due(lambda: None)
    deadlines.watch(broken)
    await until(lambda: broken.expired)
    deadlines.watch(good)
    await until(lambda: good.expired)
    deadlines.forget(broken)
    deadlines.forget(good)


async def test_a_deadline_that_was_just_moved_does_not_pass() -> None:
    pair: list[_Due] = []

    def move_both() -> None:
        for one in pair:
            one.deadline = NEVER

    deadlines = Deadlines(asyncio.get_running_loop(), 0.01)
    pair += [_Due(move_both), _Due(move_both)]
    for one in pair:
        deadlines.watch(one)
    await until(lambda: any(one.expired for one in pair))
    await asyncio.sleep(0.05)
    assert sum(one.expired for one in pair) == 1
    for one in pair:
        deadlines.forget(one)
