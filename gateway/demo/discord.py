"""Discord's REST API as the demo speaks it: who am I, a message, and where the gateway is."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.demo import controls, forms
from gateway.demo.faults import MISSING_KEY, WRONG_KEY, Fault, Handler, guarded
from gateway.demo.seen import key_check
from gateway.demo.shelf import Shelf

SLOTS = ("bot",)
GATEWAY_URL = "wss://gateway.discord.gg"
_ME = {"id": "1000000001", "username": "gateway-demo", "discriminator": "0000", "bot": True}
_LIMIT = {
    "X-RateLimit-Limit": "5",
    "X-RateLimit-Remaining": "4",
    "X-RateLimit-Reset-After": "1.000",
    "X-RateLimit-Bucket": "demo",
}


class Discord:
    """The REST API under ``/api/v10`` (any version number)."""

    def __init__(self, key: str, shelf: Shelf) -> None:
        self._check = key_check(key, SLOTS)
        self._shelf = shelf
        self._numbers = itertools.count(2_000_000_001)

    def routes(self) -> list[web.RouteDef]:
        root = r"/api/v{version:\d+}"
        behind = self._behind
        return [
            web.get(root + "/users/@me", behind(_who)),
            web.post(root + r"/channels/{channel:\d+}/messages", behind(self._post)),
            web.get(root + "/gateway", behind(_gateway)),
            web.get(root + "/gateway/bot", behind(_gateway_bot)),
        ]

    def _behind(self, handler: Handler) -> Handler:
        return guarded(handler, self._check, refuse)

    async def _post(self, request: web.Request) -> web.Response:
        form = await forms.read(request, self._shelf)
        await controls.parse(form.get("content")).obey()
        message: dict[str, Any] = {
            "id": str(next(self._numbers)),
            "type": 0,
            "channel_id": request.match_info["channel"],
            "content": form.get("content"),
            "author": _ME,
            "timestamp": datetime.now(UTC).isoformat(),
            "attachments": [
                {"id": str(i), "filename": file.filename, "size": file.size}
                for i, file in enumerate(form.files)
            ],
        }
        return web.json_response(message, headers=_LIMIT)


def refuse(fault: Fault) -> web.Response:
    """An error in Discord's shape; a real 429 has come through its edge, hence ``Via``."""
    if fault.code in (MISSING_KEY, WRONG_KEY):
        return web.json_response({"message": "401: Unauthorized", "code": 0}, status=401)
    if fault.status != 429:
        return web.json_response({"message": fault.message, "code": 0}, status=fault.status)
    body = {
        "message": "You are being rate limited.",
        "retry_after": fault.retry_after,
        "global": False,
    }
    headers = fault.headers() | _LIMIT | {"X-RateLimit-Remaining": "0", "Via": "1.1 demo"}
    return web.json_response(body, status=429, headers=headers)


async def _who(_: web.Request) -> web.Response:
    return web.json_response(_ME, headers=_LIMIT)


async def _gateway(_: web.Request) -> web.Response:
    return web.json_response({"url": GATEWAY_URL})


async def _gateway_bot(_: web.Request) -> web.Response:
    limit = {"total": 1000, "remaining": 999, "reset_after": 14_400_000, "max_concurrency": 1}
    return web.json_response({"url": GATEWAY_URL, "shards": 1, "session_start_limit": limit})
