"""Slack's Web API as the demo speaks it: messages, channels, and the three steps of an upload."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import web

from gateway.demo import controls, forms
from gateway.demo.faults import MISSING_KEY, ON_DEMAND, WRONG_KEY, Fault, guarded
from gateway.demo.forms import Form
from gateway.demo.keys import Credential
from gateway.demo.seen import WATCH
from gateway.demo.shelf import Shelf

SLOTS = ("bearer", "form:token")

Answer = dict[str, Any]

_FILE = "F0DEMO"


class Slack:
    """The Web API under ``/api/``, where every failure is HTTP 200 with ``ok: false``."""

    def __init__(self, key: str, shelf: Shelf) -> None:
        self._key = key
        self._shelf = shelf

    def routes(self) -> list[web.RouteDef]:
        answer = guarded(self._call, _no_check, refuse)
        return [
            web.route("*", r"/api/{method:[a-zA-Z]+(\.[a-zA-Z]+)+}", answer),
            web.post(f"/upload/v1/{_FILE}", _upload),
        ]

    async def _call(self, request: web.Request) -> web.StreamResponse:
        form = await forms.read(request, self._shelf)
        watch = request[WATCH]
        if "token" in form.fields and "token" not in request.query:
            watch.credentials.append(Credential("form:token", form.get("token")))
        watch.admit(self._key, SLOTS)
        name = request.match_info["method"]
        if name == "files.getUploadURLExternal":
            return web.json_response({"ok": True, **_upload_url(request)})
        if name not in _METHODS:
            raise Fault(200, "unknown_method")
        return web.json_response({"ok": True, **await _METHODS[name](form)})


def _upload_url(request: web.Request) -> Answer:
    return {
        "upload_url": f"{request.scheme}://{request.host}/upload/v1/F0DEMO",
        "file_id": "F0DEMO",
    }


async def _upload(request: web.Request) -> web.Response:
    """The second step, which Slack serves on a host of its own and without a key."""
    await request[WATCH].body.drain()
    return web.Response(text=f"OK - {request[WATCH].body.size}")


async def _no_check(_: web.Request) -> None:
    """The key may be in the body, so it is checked after that was read."""


async def _post(form: Form) -> Answer:
    """A message, also one that is changed: both need a text."""
    await controls.parse(form.get("text")).obey()
    channel = _channel(form)
    if not form.get("text"):
        raise Fault(200, "no_text")
    stamp = form.get("ts") or f"{time.time():.6f}"
    message = {"type": "message", "text": form.get("text"), "bot_id": "B0DEMO", "ts": stamp}
    return {"channel": channel, "ts": stamp, "message": message}


async def _delete(form: Form) -> Answer:
    return {"channel": _channel(form), "ts": form.get("ts")}


async def _history(form: Form) -> Answer:
    message = {
        "type": "message",
        "user": "U0DEMO",
        "text": f"said in {_channel(form)}",
        "ts": "1.1",
    }
    return {"messages": [message], "has_more": False}


async def _info(form: Form) -> Answer:
    return {"channel": {"id": _channel(form), "name": "general", "is_channel": True}}


async def _list(_: Form) -> Answer:
    return {"channels": [{"id": "C0DEMO", "name": "general", "is_channel": True}]}


async def _user(form: Form) -> Answer:
    return {"user": {"id": form.get("user"), "name": "someone", "is_bot": False}}


async def _react(form: Form) -> Answer:
    _channel(form)
    return {}


async def _complete(form: Form) -> Answer:
    return {"files": json.loads(form.get("files", "[]"))}


async def _connect(_: Form) -> Answer:
    return {"url": "wss://wss-primary.slack.com/link/?ticket=demo"}


async def _nothing(_: Form) -> Answer:
    return {}


async def _who(_: Form) -> Answer:
    return {
        "url": "https://demo.slack.com/",
        "team": "Demo",
        "user": "gateway-demo",
        "team_id": "T0DEMO",
        "user_id": "U0DEMO",
        "bot_id": "B0DEMO",
    }


def _channel(form: Form) -> str:
    if not form.get("channel"):
        raise Fault(200, "channel_not_found")
    return form.get("channel")


_METHODS: Mapping[str, Callable[[Form], Awaitable[Answer]]] = MappingProxyType(
    {
        "api.test": _nothing,
        "apps.connections.open": _connect,
        "auth.test": _who,
        "chat.delete": _delete,
        "chat.postEphemeral": _post,
        "chat.postMessage": _post,
        "chat.update": _post,
        "conversations.history": _history,
        "conversations.info": _info,
        "conversations.list": _list,
        "conversations.replies": _history,
        "files.completeUploadExternal": _complete,
        "reactions.add": _react,
        "users.info": _user,
        "views.open": _nothing,
    }
)


def refuse(fault: Fault) -> web.Response:
    """An error in Slack's shape; only a fault on demand has a status of its own."""
    status = fault.status if fault.code == ON_DEMAND or fault.status == 413 else 200
    body = {"ok": False, "error": _name(fault)}
    return web.json_response(body, status=status, headers=fault.headers())


def _name(fault: Fault) -> str:
    if fault.code == MISSING_KEY:
        return "not_authed"
    if fault.code == WRONG_KEY:
        return "invalid_auth"
    if fault.status == 429:
        return "ratelimited"
    return fault.message.replace(" ", "_")
