"""Gemini as the demo speaks it: answers, whole and streamed, embeddings and interactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.demo import controls, stream, words
from gateway.demo.controls import Control, Reply
from gateway.demo.faults import MISSING_KEY, WRONG_KEY, Fault, guarded
from gateway.demo.seen import WATCH, key_check

SLOTS = ("x-goog-api-key", "query:key")
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_UNKNOWN_CALLER = (
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API consumer identity to call this API."
)
_VECTOR = {"values": [0.0, 0.5, 1.0]}


class Gemini:
    """The Gemini API under ``/v1`` and ``/v1beta``."""

    def __init__(self, key: str) -> None:
        self._check = key_check(key, SLOTS)

    def routes(self) -> list[web.RouteDef]:
        call = guarded(_call, self._check, refuse)
        interact = guarded(_interact, self._check, refuse)
        return [
            web.post("/v1/models/{call:.+}", call),
            web.post("/v1beta/models/{call:.+}", call),
            web.post("/v1/interactions", interact),
            web.post("/v1beta/interactions", interact),
        ]


def refuse(fault: Fault) -> web.Response:
    """An error in Gemini's shape: a wrong key is status 400 there, a missing one 403."""
    error = _error(fault)
    status = error["error"]["code"]
    return web.json_response(error, status=status, headers=fault.headers())


@dataclass(frozen=True, slots=True)
class _Turn:
    model: str
    control: Control
    reply: Reply
    prompt_tokens: int

    def answer(self, text: str, spoken: int, *, is_last: bool) -> dict[str, Any]:
        candidate: dict[str, Any] = {
            "content": {"parts": [{"text": text}], "role": "model"},
            "index": 0,
        }
        if is_last:
            candidate["finishReason"] = "MAX_TOKENS" if self.reply.is_truncated else "STOP"
        answer = {"candidates": [candidate], "modelVersion": self.model, "responseId": "demo"}
        return answer if self.control.no_usage else answer | {"usageMetadata": self.usage(spoken)}

    def usage(self, spoken: int) -> dict[str, Any]:
        return {
            "promptTokenCount": self.prompt_tokens,
            "candidatesTokenCount": spoken,
            "totalTokenCount": self.prompt_tokens + spoken,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.prompt_tokens}],
        }


async def _call(request: web.Request) -> web.StreamResponse:
    model, _, method = request.match_info["call"].rpartition(":")
    ask = await request[WATCH].body.json_object()
    if method == "countTokens":
        return web.json_response({"totalTokens": _prompt_tokens(ask)})
    if method == "batchEmbedContents":
        await controls.parse(model).obey()
        return web.json_response({"embeddings": [_VECTOR for _ in ask.get("requests", [])]})
    turn = _read(model, ask)
    await turn.control.obey()
    if method == "generateContent":
        return web.json_response(turn.answer(turn.reply.text, turn.reply.tokens, is_last=True))
    if method == "streamGenerateContent":
        return await _stream(request, turn)
    raise Fault(404, f"the demo has no method {method!r}")


async def _interact(request: web.Request) -> web.Response:
    """One turn of the interactions API, whose model stands in the body."""
    ask = await request[WATCH].body.json_object()
    model = str(ask.get("model") or ask.get("agent") or "")
    control = controls.parse(model)
    await control.obey()
    reply = controls.compose(" ".join(words.texts(ask.get("input"))), control)
    said = {"type": "model_output", "content": [{"type": "text", "text": reply.text}]}
    answer = {
        "id": "interaction-demo",
        "object": "interaction",
        "model": model,
        "status": "completed",
        "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:00Z",
        "steps": [said],
    }
    return web.json_response(answer)


def _read(model: str, ask: dict[str, Any]) -> _Turn:
    contents = ask.get("contents")
    if not isinstance(contents, list) or not contents:
        raise Fault(400, "contents: at least one content is required")
    config = ask.get("generationConfig") or ask.get("generation_config")
    settings = config if isinstance(config, dict) else {}
    limit = settings.get("maxOutputTokens", settings.get("max_output_tokens"))
    control = controls.parse(model)
    return _Turn(
        model=model,
        control=control,
        reply=controls.compose(" ".join(words.texts(contents[-1])), control, limit),
        prompt_tokens=_prompt_tokens(ask),
    )


def _prompt_tokens(ask: dict[str, Any]) -> int:
    system = ask.get("systemInstruction") or ask.get("system_instruction")
    return words.count_all(ask.get("contents"), system)


async def _stream(request: web.Request, turn: _Turn) -> web.StreamResponse:
    """Server-sent events with ``alt=sse``; without it, one JSON array sent piece by piece."""
    is_sse = request.query.get("alt") == "sse"
    kind = stream.SSE if is_sse else "application/json; charset=utf-8"
    out = await stream.start(request, kind)
    framing = _Framing(out, is_sse=is_sse)
    last, spoken = turn.reply.tokens, 0
    try:
        async for piece in controls.speak(turn.reply, turn.control):
            spoken += 1
            await framing.send(turn.answer(piece, spoken, is_last=spoken == last))
    except Fault as fault:
        await framing.send(_error(fault))
    if not last:
        await framing.send(turn.answer("", 0, is_last=True))
    return await framing.end()


@dataclass(slots=True)
class _Framing:
    out: stream.Stream
    is_sse: bool
    is_open: bool = False

    async def send(self, payload: dict[str, Any]) -> None:
        if self.is_sse:
            await self.out.event(payload)
            return
        await self.out.write((",\r\n" if self.is_open else "[") + stream.compact(payload))
        self.is_open = True

    async def end(self) -> web.StreamResponse:
        if not self.is_sse:
            await self.out.write("]" if self.is_open else "[]")
        return await self.out.end()


def _error(fault: Fault) -> dict[str, Any]:
    if fault.code == WRONG_KEY:
        reason = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }
        refused = _shape(400, "API key not valid. Please pass a valid API key.")
        refused["error"]["details"] = [reason]
        return refused
    if fault.code == MISSING_KEY:
        return _shape(403, _UNKNOWN_CALLER)
    return _shape(fault.status, fault.message)


def _shape(code: int, message: str) -> dict[str, Any]:
    status = _STATUSES.get(code, "UNKNOWN")
    return {"error": {"code": code, "message": message, "status": status}}
