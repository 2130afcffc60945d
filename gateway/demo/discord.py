"""Discord's REST API as the demo speaks it: channels, their messages, and where the gateway is."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.demo import controls, forms
from gateway.demo.faults import MISSING_KEY, WRONG_KEY, Fault, Handler, guarded
from gateway.demo.forms import Form
from gateway.demo.seen import key_check
from gateway.demo.shelf import Shelf

SLOTS = ("bot",)
GATEWAY_URL = "wss://gateway.discord.gg"
_ME = {
    "id": "1000000001",
    "username": "gateway-demo",
    "discriminator": "0000",
    "global_name": None,
    "avatar": None,
    "bot": True,
}
_LINKS = {
    "url": "https://cdn.discordapp.com/demo",
    "proxy_url": "https://media.discordapp.net/demo",
}
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
        channel = root + r"/channels/{channel:\d+}"
        message = channel + r"/messages/{message:\d+}"
        behind = self._behind
        return [
            web.get(root + "/users/@me", behind(_who)),
            web.get(root + "/oauth2/applications/@me", behind(_application)),
            web.get(channel, behind(_channel)),
            web.post(channel + "/typing", behind(_done)),
            web.get(channel + "/messages", behind(_history)),
            web.post(channel + "/messages", behind(self._post)),
            web.get(message, behind(_said)),
            web.patch(message, behind(self._edit)),
            web.delete(message, behind(_done)),
            web.put(message + "/reactions/{emoji}/@me", behind(_done)),
            web.get(root + "/gateway", behind(_gateway)),
            web.get(root + "/gateway/bot", behind(_gateway_bot)),
        ]

    def _behind(self, handler: Handler) -> Handler:
        return guarded(handler, self._check, refuse)

    async def _post(self, request: web.Request) -> web.Response:
        return await self._write(request, str(next(self._numbers)))

    async def _edit(self, request: web.Request) -> web.Response:
        return await self._write(request, request.match_info["message"])

    async def _write(self, request: web.Request, number: str) -> web.Response:
        form = await forms.read(request, self._shelf)
        text = _text(form)
        await controls.parse(text).obey()
        attachments = [
            {"id": str(i), "filename": file.filename, "size": file.size, **_LINKS}
            for i, file in enumerate(form.files)
        ]
        return _answer(_message(request, number, text) | {"attachments": attachments})


def refuse(fault: Fault) -> web.Response:
    """An error in Discord's shape; a real 429 has come through its edge, hence ``Via``."""
    if fault.code in (MISSING_KEY, WRONG_KEY):
        return _answer({"message": "401: Unauthorized", "code": 0}, 401)
    if fault.status != 429:
        return _answer({"message": fault.message, "code": 0}, fault.status)
    body = {
        "message": "You are being rate limited.",
        "retry_after": fault.retry_after,
        "global": False,
    }
    answer = _answer(body, 429)
    answer.headers.update(fault.headers() | {"X-RateLimit-Remaining": "0", "Via": "1.1 demo"})
    return answer


def _answer(body: object, status: int = 200) -> web.Response:
    """JSON as Discord says it: discord.py takes no other Content-Type, not even with a charset."""
    headers = {**_LIMIT, "Content-Type": "application/json"}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=headers)


def _text(form: Form) -> str:
    """What the message says; beside files, all that is no file stands in one field."""
    said = json.loads(form.get("payload_json", "{}"))
    return str(said.get("content") or form.get("content"))


def _message(request: web.Request, number: str, text: str) -> dict[str, Any]:
    return {
        "id": number,
        "type": 0,
        "flags": 0,
        "channel_id": request.match_info["channel"],
        "content": text,
        "author": _ME,
        "timestamp": datetime.now(UTC).isoformat(),
        "edited_timestamp": None,
        "tts": False,
        "pinned": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "components": [],
    }


async def _who(_: web.Request) -> web.Response:
    own = {"mfa_enabled": True, "verified": True, "locale": "en-US", "flags": 0, "premium_type": 0}
    return _answer(_ME | own)


async def _application(_: web.Request) -> web.Response:
    application = {
        "id": _ME["id"],
        "name": "gateway-demo",
        "icon": None,
        "description": "",
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "",
        "flags": 0,
        "owner": _ME,
        "team": None,
    }
    return _answer(application)


async def _channel(request: web.Request) -> web.Response:
    channel = {
        "id": request.match_info["channel"],
        "type": 0,
        "guild_id": "1",
        "name": "general",
        "position": 0,
        "permission_overwrites": [],
        "nsfw": False,
        "topic": None,
        "parent_id": None,
        "last_message_id": None,
        "rate_limit_per_user": 0,
    }
    return _answer(channel)


async def _history(request: web.Request) -> web.Response:
    """One message, and none before it: iterators go on until there are no more."""
    is_first = "before" not in request.query
    return _answer([_message(request, "2000000000", "an older message")] if is_first else [])


async def _said(request: web.Request) -> web.Response:
    return _answer(_message(request, request.match_info["message"], "an older message"))


async def _done(_: web.Request) -> web.Response:
    return web.Response(status=204, headers=_LIMIT)


async def _gateway(_: web.Request) -> web.Response:
    return _answer({"url": GATEWAY_URL})


async def _gateway_bot(_: web.Request) -> web.Response:
    limit = {"total": 1000, "remaining": 999, "reset_after": 14_400_000, "max_concurrency": 1}
    return _answer({"url": GATEWAY_URL, "shards": 1, "session_start_limit": limit})
