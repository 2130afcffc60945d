"""What the tests of stores share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from gateway.core.model import Freeze, Token

DEADLINE = 20.0
POLL = 0.01
BOT, ROUTE, ALL = Freeze("bot", "support"), Freeze("route", "openai"), Freeze("all")


def token(name: str, bot: str = "support", **changes: object) -> Token:
    digest = sha256(name.encode()).digest()
    return replace(Token(f"tok_{name}", digest, bot, 1_000.0), **changes)  # type: ignore[arg-type]


class Changes:
    """Lets a test wait until the store has announced what it waits for."""

    def __init__(self) -> None:
        self.count = 0
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._event.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not happened():
                self._event.clear()
                await self._event.wait()
