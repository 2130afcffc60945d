"""OpenAI's Responses API as the demo speaks it."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.demo import controls, stream, words
from gateway.demo.controls import Control, Reply
from gateway.demo.faults import Fault
from gateway.demo.seen import WATCH


class Responses:
    """``POST /v1/responses``, whole and streamed."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    async def create(self, request: web.Request) -> web.StreamResponse:
        ask = await request[WATCH].body.json_object()
        turn = _read(ask, next(self._numbers))
        await turn.control.obey()
        headers = {"x-request-id": f"req-{turn.id}"}
        if not ask.get("stream"):
            return web.json_response(turn.finished(), headers=headers)
        return await _Teller(await stream.start(request, headers=headers), turn).tell()


@dataclass(frozen=True, slots=True)
class _Turn:
    id: str
    created: float
    model: str
    control: Control
    reply: Reply
    input_tokens: int

    @property
    def status(self) -> str:
        return "incomplete" if self.reply.is_truncated else "completed"

    def response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": self.model,
            "output": output,
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": None,
        }

    def finished(self) -> dict[str, Any]:
        done = self.response(self.status, [self.item(self.status, [self.part(self.reply.text)])])
        if self.reply.is_truncated:
            done["incomplete_details"] = {"reason": "max_output_tokens"}
        if not self.control.no_usage:
            done["usage"] = self.usage()
        return done

    def usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self.reply.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.input_tokens + self.reply.tokens,
        }

    def item(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"msg-{self.id}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _read(ask: dict[str, Any], number: int) -> _Turn:
    given = ask.get("input")
    if not given:
        raise Fault(400, "input: expected a text, or a list that is not empty")
    model = str(ask.get("model", ""))
    control = controls.parse(model)
    last = given[-1] if isinstance(given, list) else given
    prompt = " ".join(words.texts(last))
    return _Turn(
        id=f"resp-demo-{number}",
        created=float(int(time.time())),
        model=model,
        control=control,
        reply=controls.compose(prompt, control, ask.get("max_output_tokens")),
        input_tokens=words.count_all(given, ask.get("instructions"), ask.get("tools")),
    )


@dataclass(slots=True)
class _Teller:
    """Sends the numbered events of one streamed response."""

    out: stream.Stream
    turn: _Turn
    _sequence: itertools.count[int] = field(default_factory=itertools.count)

    async def tell(self) -> web.StreamResponse:
        turn = self.turn
        for kind in ("response.created", "response.in_progress"):
            await self._event(kind, response=turn.response("in_progress", []))
        try:
            await self._message()
        except Fault as fault:
            await self._failed(fault)
            return await self.out.end()
        await self._event(f"response.{turn.status}", response=turn.finished())
        return await self.out.end()

    async def _message(self) -> None:
        turn, text = self.turn, self.turn.reply.text
        place: dict[str, Any] = {"item_id": f"msg-{turn.id}", "output_index": 0, "content_index": 0}
        opened = turn.item("in_progress", [])
        await self._event("response.output_item.added", output_index=0, item=opened)
        await self._event("response.content_part.added", **place, part=turn.part(""))
        async for piece in controls.speak(turn.reply, turn.control):
            await self._event("response.output_text.delta", **place, delta=piece, logprobs=[])
        await self._event("response.output_text.done", **place, text=text, logprobs=[])
        await self._event("response.content_part.done", **place, part=turn.part(text))
        closed = turn.item(turn.status, [turn.part(text)])
        await self._event("response.output_item.done", output_index=0, item=closed)

    async def _failed(self, fault: Fault) -> None:
        error = {"code": "server_error", "message": fault.message}
        failed = self.turn.response("failed", []) | {"error": error}
        await self._event("response.failed", response=failed)

    async def _event(self, kind: str, **fields: object) -> None:
        payload = {"type": kind, "sequence_number": next(self._sequence), **fields}
        await self.out.event(payload, kind)
