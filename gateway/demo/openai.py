"""OpenAI as the demo speaks it: chat completions, embeddings; siblings add the rest."""

from __future__ import annotations

import base64
import hashlib
import itertools
import struct
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.demo import controls, stream, words
from gateway.demo.controls import Control, Reply
from gateway.demo.faults import MISSING_KEY, WRONG_KEY, Fault, Handler, guarded
from gateway.demo.openai_files import Files
from gateway.demo.openai_responses import Responses
from gateway.demo.seen import WATCH, key_check
from gateway.demo.shelf import Shelf

SLOTS = ("bearer",)
MOST_CHOICES = 16
DIMENSIONS = 16
MOST_DIMENSIONS = 4096
_TYPES = {
    401: "invalid_request_error",
    402: "insufficient_quota",
    429: "rate_limit_exceeded",
    500: "server_error",
    503: "server_error",
}


class OpenAI:
    """The OpenAI API under ``/v1``."""

    def __init__(self, key: str, shelf: Shelf) -> None:
        self._check = key_check(key, SLOTS)
        self._numbers = itertools.count(1)
        self._files = Files(shelf)
        self._responses = Responses()

    def routes(self) -> list[web.RouteDef]:
        behind = self._behind
        return [
            web.post("/v1/chat/completions", behind(self._chat)),
            web.post("/v1/responses", behind(self._responses.create)),
            web.post("/v1/embeddings", behind(_embeddings)),
            web.post("/v1/files", behind(self._files.upload)),
            web.get("/v1/files/{id}", behind(self._files.describe)),
            web.get("/v1/files/{id}/content", behind(self._files.download)),
            web.post("/v1/audio/transcriptions", behind(self._files.transcribe)),
        ]

    def _behind(self, handler: Handler) -> Handler:
        return guarded(handler, self._check, refuse)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        ask = await request[WATCH].body.json_object()
        chat = _read_chat(ask, next(self._numbers))
        await chat.control.obey()
        if ask.get("stream"):
            return await _stream_chat(request, chat)
        return web.json_response(_whole_chat(chat), headers=_request_id(chat.id))


def refuse(fault: Fault) -> web.Response:
    """An error in OpenAI's shape."""
    return web.json_response(_error(fault), status=fault.status, headers=fault.headers())


@dataclass(frozen=True, slots=True)
class _Chat:
    id: str
    created: int
    model: str
    control: Control
    reply: Reply
    choices: int
    prompt_tokens: int
    includes_usage: bool

    @property
    def finish(self) -> str:
        return "length" if self.reply.is_truncated else "stop"


def _read_chat(ask: dict[str, Any], number: int) -> _Chat:
    messages = ask.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Fault(400, "messages: expected a list with at least one message")
    model = str(ask.get("model", ""))
    control = controls.parse(model)
    limit = ask.get("max_completion_tokens", ask.get("max_tokens"))
    return _Chat(
        id=f"chatcmpl-demo-{number}",
        created=int(time.time()),
        model=model,
        control=control,
        reply=controls.compose(" ".join(words.texts(messages[-1])), control, limit),
        choices=_bounded(ask.get("n"), 1, MOST_CHOICES),
        prompt_tokens=words.count_all(messages, ask.get("tools")),
        includes_usage=_includes_usage(ask.get("stream_options")),
    )


def _includes_usage(options: object) -> bool:
    return isinstance(options, dict) and options.get("include_usage") is True


def _bounded(given: object, default: int, most: int) -> int:
    return min(max(given, 1), most) if isinstance(given, int) else default


def _whole_chat(chat: _Chat) -> dict[str, Any]:
    message = {"role": "assistant", "content": chat.reply.text, "refusal": None}
    answer = _head(chat, "chat.completion") | {
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": chat.finish}
            for index in range(chat.choices)
        ]
    }
    return answer if chat.control.no_usage else answer | {"usage": _usage(chat)}


async def _stream_chat(request: web.Request, chat: _Chat) -> web.StreamResponse:
    out = await stream.start(request, headers=_request_id(chat.id))
    try:
        await _each_choice(out, chat, {"role": "assistant", "content": "", "refusal": None})
        async for piece in controls.speak(chat.reply, chat.control):
            await _each_choice(out, chat, {"content": piece})
    except Fault as fault:
        await out.event(_error(fault))
        return await out.end()
    await _each_choice(out, chat, {}, chat.finish)
    if chat.includes_usage and not chat.control.no_usage:
        await out.event(_chunk(chat) | {"usage": _usage(chat)})
    await out.write("data: [DONE]\n\n")
    return await out.end()


async def _each_choice(
    out: stream.Stream, chat: _Chat, delta: dict[str, Any], finish: str | None = None
) -> None:
    for index in range(chat.choices):
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        await out.event(_chunk(chat, choice))


def _chunk(chat: _Chat, *choices: dict[str, Any]) -> dict[str, Any]:
    chunk = _head(chat, "chat.completion.chunk") | {"choices": list(choices)}
    return chunk | {"usage": None} if chat.includes_usage else chunk


def _head(chat: _Chat, kind: str) -> dict[str, Any]:
    return {
        "id": chat.id,
        "object": kind,
        "created": chat.created,
        "model": chat.model,
        "service_tier": "default",
    }


def _usage(chat: _Chat) -> dict[str, Any]:
    completion = chat.reply.tokens * chat.choices
    return {
        "prompt_tokens": chat.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": chat.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _request_id(name: str) -> dict[str, str]:
    return {"x-request-id": f"req-{name}"}


async def _embeddings(request: web.Request) -> web.Response:
    ask = await request[WATCH].body.json_object()
    control = controls.parse(str(ask.get("model", "")))
    await control.obey()
    inputs = _embedding_inputs(ask.get("input"))
    size = _bounded(ask.get("dimensions"), DIMENSIONS, MOST_DIMENSIONS)
    tokens = sum(words.count(i) if isinstance(i, str) else len(i) for i in inputs)
    answer = {
        "object": "list",
        "model": ask.get("model"),
        "data": [
            {"object": "embedding", "index": i, "embedding": _vector(given, size, ask)}
            for i, given in enumerate(inputs)
        ],
    }
    usage = {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return web.json_response(answer if control.no_usage else answer | usage)


def _embedding_inputs(given: object) -> list[Any]:
    """A text, a list of texts, a list of token numbers, or a list of such lists."""
    if isinstance(given, list) and given and isinstance(given[0], (str, list)):
        return given
    if isinstance(given, (str, list)) and given:
        return [given]
    raise Fault(400, "input: expected a text, or a list that is not empty")


def _vector(given: object, size: int, ask: dict[str, Any]) -> list[float] | str:
    """A vector made of the input's digest."""
    digest = hashlib.shake_256(stream.compact(given).encode()).digest(size)
    vector = [byte / 255 for byte in digest]
    if ask.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector


def _error(fault: Fault) -> dict[str, Any]:
    kind = _TYPES.get(fault.status, "invalid_request_error")
    code = "invalid_api_key" if fault.code in (MISSING_KEY, WRONG_KEY) else fault.code
    return {"error": {"message": fault.message, "type": kind, "param": None, "code": code}}
