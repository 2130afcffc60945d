"""Anthropic as the demo speaks it: messages, whole and streamed, and their token count."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.demo import controls, stream, words
from gateway.demo.controls import Control, Reply
from gateway.demo.faults import MISSING_KEY, WRONG_KEY, Fault, Handler, guarded
from gateway.demo.seen import WATCH, key_check

SLOTS = ("x-api-key", "bearer")
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Anthropic:
    """The Anthropic API under ``/v1``."""

    def __init__(self, key: str) -> None:
        self._check = key_check(key, SLOTS)
        self._numbers = itertools.count(1)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/messages", self._behind(self._create)),
            web.post("/v1/messages/count_tokens", self._behind(_count)),
        ]

    def _behind(self, handler: Handler) -> Handler:
        return guarded(handler, self._check, refuse)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        ask = await request[WATCH].body.json_object()
        turn = _read(ask, next(self._numbers))
        await turn.control.obey()
        headers = {"request-id": f"req-{turn.id}"}
        if ask.get("stream"):
            return await _stream(await stream.start(request, headers=headers), turn)
        return web.json_response(turn.finished(), headers=headers)


def refuse(fault: Fault) -> web.Response:
    """An error in Anthropic's shape."""
    body = _error(fault)
    headers = fault.headers() | {"request-id": body["request_id"]}
    return web.json_response(body, status=fault.status, headers=headers)


@dataclass(frozen=True, slots=True)
class _Turn:
    id: str
    model: str
    control: Control
    reply: Reply
    input_tokens: int

    @property
    def stop_reason(self) -> str:
        return "max_tokens" if self.reply.is_truncated else "end_turn"

    def message(self, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
        }

    def finished(self) -> dict[str, Any]:
        content = [{"type": "text", "text": self.reply.text}]
        return self.message(content, self.stop_reason) | self.usage(self.reply.tokens)

    def usage(self, output_tokens: int) -> dict[str, Any]:
        """The ``usage`` member, or nothing where the caller asked for an answer without it."""
        if self.control.no_usage:
            return {}
        figures = {
            "input_tokens": self.input_tokens,
            "output_tokens": output_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "service_tier": "standard",
        }
        return {"usage": figures}


def _read(ask: dict[str, Any], number: int) -> _Turn:
    messages, limit = ask.get("messages"), ask.get("max_tokens")
    if not isinstance(messages, list) or not messages:
        raise Fault(400, "messages: at least one message is required")
    if not isinstance(limit, int) or limit < 1:
        raise Fault(400, "max_tokens: Field required")
    model = str(ask.get("model", ""))
    control = controls.parse(model)
    return _Turn(
        id=f"msg-demo-{number}",
        model=model,
        control=control,
        reply=controls.compose(" ".join(words.texts(messages[-1])), control, limit),
        input_tokens=_input_tokens(ask),
    )


def _input_tokens(ask: dict[str, Any]) -> int:
    return words.count_all(ask.get("messages"), ask.get("system"), ask.get("tools"))


async def _count(request: web.Request) -> web.Response:
    ask = await request[WATCH].body.json_object()
    return web.json_response({"input_tokens": _input_tokens(ask)})


async def _stream(out: stream.Stream, turn: _Turn) -> web.StreamResponse:
    """As the real one: a first figure in message_start, then a cumulative one at the end."""
    first = turn.usage(min(1, turn.reply.tokens))
    await _event(out, "message_start", message=turn.message([], None) | first)
    await _event(out, "content_block_start", index=0, content_block={"type": "text", "text": ""})
    await _event(out, "ping")
    try:
        async for piece in controls.speak(turn.reply, turn.control):
            delta = {"type": "text_delta", "text": piece}
            await _event(out, "content_block_delta", index=0, delta=delta)
    except Fault as fault:
        await out.event(_error(fault), "error")
        return await out.end()
    await _event(out, "content_block_stop", index=0)
    stop = {"stop_reason": turn.stop_reason, "stop_sequence": None}
    await _event(out, "message_delta", delta=stop, **turn.usage(turn.reply.tokens))
    await _event(out, "message_stop")
    return await out.end()


async def _event(out: stream.Stream, kind: str, **fields: object) -> None:
    await out.event({"type": kind, **fields}, kind)


def _error(fault: Fault) -> dict[str, Any]:
    fallback = "api_error" if fault.status >= 500 else "invalid_request_error"
    kind = _TYPES.get(fault.status, fallback)
    is_key = fault.code in (MISSING_KEY, WRONG_KEY)
    message = "invalid x-api-key" if is_key else fault.message
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req-demo-refused",
    }
