"""What a caller can ask the demo to do, by a model name (or a chat message) such as demo-slow-1.5.

Parts can be joined and may follow another model's name: ``gpt-5-mini-demo-tokens-50-pace-0.1``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.demo import words
from gateway.demo.faults import ON_DEMAND, Cut, Fault

_PART = re.compile(r"-(error|retry|slow|tokens|pace|cut|fail|nousage)(?:-(\d+(?:\.\d+)?))?")
_FILLER = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog")
MOST_TOKENS = 1_000_000
MOST_SECONDS = 600.0
ECHOED_WORDS = 40


@dataclass(frozen=True, slots=True)
class Control:
    """The behaviour asked for; the defaults are an ordinary, immediate answer."""

    error: int | None = None
    retry: float | None = None
    slow: float = 0.0
    tokens: int | None = None
    pace: float = 0.0
    cut: int | None = None
    fail: int | None = None
    no_usage: bool = False

    async def obey(self) -> None:
        """Delay, refuse or cut before the first byte, where asked to."""
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.error is not None:
            raise Fault(self.error, f"demo error {self.error}", ON_DEMAND, self._retry_after())
        if self.cut == 0:
            raise Cut

    def _retry_after(self) -> float | None:
        return 1.0 if self.retry is None and self.error == 429 else self.retry


@dataclass(frozen=True, slots=True)
class Reply:
    """What the demo says, and whether the caller's output limit cut it short."""

    text: str
    is_truncated: bool

    @property
    def tokens(self) -> int:
        return words.count(self.text)


def parse(name: str) -> Control:
    """Read the control parts after ``demo`` in a name; a name without them asks for nothing."""
    start = name.find("demo-")
    if start < 0:
        return Control()
    found = {part: float(value or 0) for part, value in _PART.findall(name[start + 4 :])}
    return Control(
        error=_status(found.get("error")),
        retry=found.get("retry"),
        slow=min(found.get("slow", 0.0), MOST_SECONDS),
        tokens=_whole(found.get("tokens")),
        pace=min(found.get("pace", 0.0), MOST_SECONDS),
        cut=_whole(found.get("cut")),
        fail=_whole(found.get("fail")),
        no_usage="nousage" in found,
    )


def compose(prompt: str, control: Control, limit: object = None) -> Reply:
    """The answer to a prompt: always the same for the same prompt, control and limit."""
    said = _said(prompt, control)
    if isinstance(limit, int) and 0 <= limit < len(said):
        return Reply(" ".join(said[:limit]), is_truncated=True)
    return Reply(" ".join(said), is_truncated=False)


async def speak(reply: Reply, control: Control) -> AsyncIterator[str]:
    """The reply piece by piece, one token each, with the pace, failure or cut asked for."""
    for spoken, piece in enumerate(words.pieces(reply.text)):
        if control.pace and spoken:
            await asyncio.sleep(control.pace)
        if spoken == control.cut:
            raise Cut
        if spoken == control.fail:
            raise Fault(503, f"demo failure after {spoken} tokens", ON_DEMAND)
        yield piece


def _said(prompt: str, control: Control) -> list[str]:
    if control.tokens is not None:
        return [_FILLER[i % len(_FILLER)] for i in range(control.tokens)]
    heard = prompt.split()[:ECHOED_WORDS]
    return ["You", "said:", *heard] if heard else ["You", "said", "nothing."]


def _whole(value: float | None) -> int | None:
    return None if value is None else min(int(value), MOST_TOKENS)


def _status(value: float | None) -> int | None:
    return None if value is None else min(max(int(value), 400), 599)
