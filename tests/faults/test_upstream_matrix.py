"""What a provider can get wrong, one case each: never a 500, a hang, or another's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.gateways import KEY, TOKEN, Inside, inside
from tests.faults.wire import Answer, BotWire, ProviderWire, bot, provider, request

Step = Callable[[ProviderWire], Awaitable[None]]

_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_OK = _HEAD + b"Content-Length: 2\r\n\r\nok"
_DEADLINES = {"first_byte": 0.4, "stream": 0.4, "linger": 0.2, "body": 2.0}


def _says(data: bytes) -> Step:
    async def step(wire: ProviderWire) -> None:
        await wire.send(data)

    return step


def _says_more(first: bytes, later: bytes) -> Step:
    async def step(wire: ProviderWire) -> None:
        await wire.send(first)
        await asyncio.sleep(0.1)  # so that the gateway passes on the first part
        await wire.send(later)

    return step


def _then_closes(data: bytes) -> Step:
    async def step(wire: ProviderWire) -> None:
        await wire.send(data)
        wire.close()

    return step


def _then_resets(data: bytes) -> Step:
    async def step(wire: ProviderWire) -> None:
        await wire.send(data)
        wire.reset()

    return step


def _drips(data: bytes) -> Step:
    async def step(wire: ProviderWire) -> None:
        for byte in data:
            await wire.send(bytes([byte]))
            await asyncio.sleep(0.05)

    return step


async def _silent(wire: ProviderWire) -> None:
    pass


@dataclass
class Fault:
    """One way to fail, and what the bot is to see of it."""

    name: str
    step: Step
    status: int
    body: bytes | None = b"ok"
    """What arrives of the body; None for an error of ours."""
    whole: bool = True
    code: str = ""
    """The record's code."""


def _refused(name: str, step: Step, code: str = "upstream_malformed", status: int = 502) -> Fault:
    return Fault(name, step, status, None, code=code)


def _cut(name: str, step: Step, body: bytes = b"hello") -> Fault:
    return Fault(name, step, 200, body, whole=False, code="upstream_incomplete")


_PART = _CHUNKED + b"5\r\nhello\r\n"
_SHORT = _HEAD + b"Content-Length: 100\r\n\r\nhello"
_END = b"Content-Length: 2\r\n\r\nok"
_INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"
_TRAILERS = b"".join(b"X-T%d: v\r\n" % n for n in range(20_000))
_RAW_413 = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"

FAULTS = [
    _cut("reset within chunks", _then_resets(_PART)),
    _cut("FIN within chunks", _then_closes(_PART)),
    _cut("reset within a chunk", _then_resets(_CHUNKED + b"a\r\nhello")),
    _cut("reset within Content-Length", _then_resets(_SHORT)),
    _cut("FIN within Content-Length", _then_closes(_SHORT)),
    _cut("silence within chunks", _says(_PART)),
    _cut("broken chunk", _says_more(_PART, b"xyz\r\n")),
    _refused("broken chunk at once", _says(_PART + b"xyz\r\n")),
    _refused("reset before the head", _then_resets(b""), "upstream_closed"),
    _refused("FIN before the head", _then_closes(b""), "upstream_closed"),
    _refused("FIN within the head", _then_closes(_HEAD + b"Content-Le"), "upstream_closed"),
    _refused("slow head", _silent, "upstream_timeout", 504),
    _refused("dripping head", _drips(_OK), "upstream_timeout", 504),
    Fault("103", _says(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + _OK), 200),
    Fault("one 102", _says(_INTERIM + _OK), 200),
    _refused("1000 x 102", _says(_INTERIM * 1000 + _OK)),
    _refused("102 for ever", _drips(_INTERIM * 50), "upstream_timeout", 504),
    _refused(
        "101 unasked",
        _says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi"),
    ),
    Fault("trailers", _says(_CHUNKED + b"2\r\nok\r\n0\r\nX-Trailer: secret\r\n\r\n"), 200),
    _cut("20k trailers", _says(_CHUNKED + b"2\r\nok\r\n0\r\n" + _TRAILERS + b"\r\n"), b"ok"),
    Fault("204 with a body", _says(b"HTTP/1.1 204 No Content\r\n" + _END), 204, b""),
    Fault("304 with a body", _says(b"HTTP/1.1 304 Not Modified\r\n" + _END), 304, b""),
    _refused("TE and CL", _says(_HEAD + b"Transfer-Encoding: chunked\r\n" + _END)),
    _refused("two CL that differ", _says(_HEAD + b"Content-Length: 3\r\n" + _END)),
    Fault("two CL that agree", _says(_HEAD + b"Content-Length: 2\r\n" + _END), 200),
    _refused("negative CL", _says(_HEAD + b"Content-Length: -2\r\n\r\nok")),
    _refused("bare LF", _says(_HEAD + b"X-A: b\n" + _END)),
    _refused("obs-fold", _says(_HEAD + b"X-A: b\r\n c\r\n" + _END)),
    _refused("NUL in a value", _says(_HEAD + b"X-A: b\0c\r\n" + _END)),
    _refused("CR in a value", _says(_HEAD + b"X-A: b\rc\r\n" + _END)),
    Fault("16 kB header", _says(_HEAD + b"X-A: " + b"a" * 16_000 + b"\r\n" + _END), 200),
    _refused("100 kB header", _says(_HEAD + b"X-A: " + b"a" * 100_000 + b"\r\n" + _END)),
    _refused("garbage, closed", _then_closes(b"\x15\x03\x01 what is this\r\n\r\n")),
    _refused("garbage, left open", _says(b"SSH-2.0-OpenSSH_9.2\r\n")),
    _refused("status 999", _says(b"HTTP/1.1 999 Odd\r\n" + _END)),
    _refused("status 099", _says(b"HTTP/1.1 099 Odd\r\n" + _END)),
    _refused("status 600", _says(b"HTTP/1.1 600 Odd\r\n" + _END)),
    Fault("listed header", _says(_HEAD + b"Connection: X-Secret\r\nX-Secret: s\r\n" + _END), 200),
    Fault("CL too short", _says(_HEAD + _END + b"HTTP/1.1 200 OK\r\n" + _END), 200),
]


async def _first_badly(wire: ProviderWire, step: Step) -> None:
    """Play a fault to the first request, and answer every other properly."""
    while got := await wire.request():
        if len(wire.origin.requests) == 1:
            await step(wire)
        else:
            await wire.ok(b"echo " + got.body)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_fault_is_contained(fault: Fault, tmp_path: Path) -> None:
    async with (
        provider(lambda wire: _first_badly(wire, fault.step)) as origin,
        inside(tmp_path, origin.port, deadlines=dict(_DEADLINES)) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        _judge(fault, answer)
        assert len(origin.requests) == 1, "a POST was repeated"
        record = await gateway.record()
        assert (record["code"], record["status"]) == (fault.code, fault.status)
        assert record["outcome"] == (
            "answered" if not fault.code else "refused" if fault.body is None else "cut"
        )
        await _next_is_unharmed(gateway, wire, answer)
        assert not gateway.gateway.proxy.live


def _judge(fault: Fault, answer: Answer) -> None:
    assert answer.status == fault.status
    assert answer.whole is fault.whole
    assert KEY.encode() not in answer.head + answer.body
    assert b"X-Secret" not in answer.head
    assert b"\0" not in answer.head
    if fault.body is None:
        assert answer.error["code"] == fault.code
        assert answer.error["message"].startswith("The gateway refused this: ")
        assert answer.header("x-should-retry") == "false"
    else:
        assert answer.body == fault.body


async def _next_is_unharmed(gateway: Inside, wire: BotWire, answer: Answer) -> None:
    """The same connection, where it may be used on, and another one carry what they should."""
    if answer.whole and answer.header("connection") != "close":
        await wire.send(request(TOKEN, b"same"))
        assert (await wire.answer()).body == b"echo same"
    async with bot(gateway.port) as other:
        await other.send(request(TOKEN, b"other"))
        assert (await other.answer()).body == b"echo other"


@pytest.mark.parametrize("closing", [False, True], ids=["open", "closed at once"])
async def test_early_413_arrives_while_the_bot_still_uploads(closing: bool, tmp_path: Path) -> None:
    async def script(wire: ProviderWire) -> None:
        await wire.head()
        await wire.send(_RAW_413)
        if closing:
            wire.close()
        else:
            await wire.ended()

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port, deadlines=dict(_DEADLINES)) as gateway,
        bot(gateway.port) as wire,
    ):
        upload = asyncio.ensure_future(_upload(wire))
        answer = await wire.answer()
        assert answer.status in ({413, 502} if closing else {413})
        assert answer.whole
        await upload
        record = await gateway.record()
        assert record["status"] == answer.status


async def _upload(wire: BotWire) -> None:
    body = b"x" * 4_000_000
    try:
        await wire.send(request(TOKEN, body))
    except OSError:
        assert wire.writer.is_closing()


async def test_answer_to_head_with_a_body_is_not_taken_for_the_next_one(tmp_path: Path) -> None:
    async def script(wire: ProviderWire) -> None:
        while got := await wire.request():
            await wire.ok(b"poison" if got.method == b"HEAD" else b"mine")

    async with (
        provider(script) as origin,
        inside(tmp_path, origin.port) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN, b"", method="HEAD"))
        assert (await wire.answer("HEAD")).status == 200
        await wire.send(request(TOKEN))
        assert (await wire.answer()).body == b"mine"
