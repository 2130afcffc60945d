"""Answers that are sent piece by piece."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

SSE = "text/event-stream; charset=utf-8"


class Stream:
    """A started answer; what is sent leaves at once and waits where the reader is slow."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response

    async def event(self, payload: dict[str, Any], name: str | None = None) -> None:
        """One server-sent event."""
        head = f"event: {name}\n" if name else ""
        await self.write(f"{head}data: {compact(payload)}\n\n")

    async def write(self, text: str) -> None:
        await self.response.write(text.encode())

    async def end(self) -> web.StreamResponse:
        await self.response.write_eof()
        return self.response


async def start(
    request: web.Request, content_type: str = SSE, headers: dict[str, str] | None = None
) -> Stream:
    """Send the head of a streamed answer."""
    sent = {"Content-Type": content_type, "Cache-Control": "no-cache", **(headers or {})}
    response = web.StreamResponse(headers=sent)
    await response.prepare(request)
    return Stream(response)


def compact(payload: object) -> str:
    """JSON on one line."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
