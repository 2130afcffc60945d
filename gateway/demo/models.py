"""The lists of models, which three of the APIs have at the same path, each in its own shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.demo import anthropic, gemini, openai
from gateway.demo.faults import Handler, Shape, guarded
from gateway.demo.seen import key_check

OPENAI = ("gpt-demo", "gpt-5-mini", "text-embedding-demo", "whisper-demo")
ANTHROPIC = ("claude-demo",)
GEMINI = ("gemini-demo",)


class Models:
    """``/v1/models`` of OpenAI, Anthropic and Gemini, told apart by the headers of their SDKs."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._openai = _api(keys["openai"], openai.SLOTS, openai.refuse, _of_openai)
        self._anthropic = _api(keys["anthropic"], anthropic.SLOTS, anthropic.refuse, _of_anthropic)
        self._gemini = _api(keys["gemini"], gemini.SLOTS, gemini.refuse, _of_gemini)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self._answer),
            web.get("/v1/models/{model}", self._answer),
            web.get("/v1beta/models", self._gemini),
            web.get("/v1beta/models/{model}", self._gemini),
        ]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if "x-goog-api-key" in request.headers or "key" in request.query:
            return await self._gemini(request)
        if "anthropic-version" in request.headers:
            return await self._anthropic(request)
        return await self._openai(request)


def _api(key: str, slots: tuple[str, ...], refuse: Shape, handler: Handler) -> Handler:
    return guarded(handler, key_check(key, slots), refuse)


async def _of_openai(request: web.Request) -> web.Response:
    def described(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "demo"}

    if model := request.match_info.get("model"):
        return web.json_response(described(model))
    return web.json_response({"object": "list", "data": [described(name) for name in OPENAI]})


async def _of_anthropic(request: web.Request) -> web.Response:
    def described(name: str) -> dict[str, Any]:
        made = "2026-01-01T00:00:00Z"
        return {"type": "model", "id": name, "display_name": name, "created_at": made}

    if model := request.match_info.get("model"):
        return web.json_response(described(model))
    every = [described(name) for name in ANTHROPIC]
    ends = {"first_id": ANTHROPIC[0], "last_id": ANTHROPIC[-1], "has_more": False}
    return web.json_response({"data": every, **ends})


async def _of_gemini(request: web.Request) -> web.Response:
    def described(name: str) -> dict[str, Any]:
        methods = ["generateContent", "countTokens"]
        return {"name": f"models/{name}", "version": "1", "supportedGenerationMethods": methods}

    if model := request.match_info.get("model"):
        return web.json_response(described(model))
    return web.json_response({"models": [described(name) for name in GEMINI]})
