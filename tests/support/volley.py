"""Thousands of requests over a few connections, each connection used for as long as it is open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.faults.wire import Answer, BotWire, ProviderWire, bot

WIRES = 8
CASE = "X-Case"


def cases(heads: Sequence[bytes], bodies: Sequence[bytes] = ()) -> list[bytes]:
    """Return whole requests of heads without their end; each says by `X-Case` which it is."""
    found = []
    for number, head in enumerate(heads):
        body = bodies[number] if bodies else b""
        length = b"\r\nContent-Length: %d" % len(body) if body else b""
        case = b"\r\n%b: %d" % (CASE.encode(), number)
        found.append(head + case + length + b"\r\n\r\n" + body)
    return found


def case_of(head: bytes) -> int:
    """Return which of `cases` it was that reached the provider with this head."""
    return int(head.partition(b"%b: " % CASE.encode())[2].partition(b"\r\n")[0])


async def volley(
    port: int, requests: Sequence[bytes], wires: int = WIRES, source: str = "127.0.0.1"
) -> list[Answer]:
    """Send all of them from the address `source`; return their answers in the same order."""
    answers = [Answer() for _ in requests]
    numbers = iter(range(len(requests)))

    async def work() -> None:
        number = next(numbers, None)
        while number is not None:
            async with bot(port, local_addr=(source, 0)) as wire:
                number = await _use(wire, number)

    async def _use(wire: BotWire, number: int) -> int | None:
        """Send on one connection until it is closed; return what has not been sent."""
        following: int | None = number
        while following is not None:
            await wire.send(requests[following])
            answer = answers[following] = await wire.answer(seconds=20)
            following = next(numbers, None)
            if not answer.whole or answer.header("connection") == "close":
                break
        return following

    loop = asyncio.get_running_loop()
    await asyncio.gather(*[loop.create_task(work(), name="volley") for _ in range(wires)])
    return answers


async def answers_all(wire: ProviderWire) -> None:
    """A provider's script: everything is fine."""
    while await wire.request():
        await wire.ok()
