"""Slack's Web API as the demo speaks it: auth.test and chat.postMessage."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from gateway.demo import controls, forms
from gateway.demo.faults import MISSING_KEY, ON_DEMAND, WRONG_KEY, Fault, guarded
from gateway.demo.forms import Form
from gateway.demo.keys import Credential
from gateway.demo.seen import WATCH
from gateway.demo.shelf import Shelf

SLOTS = ("bearer", "form:token")


class Slack:
    """The Web API under ``/api/``, where every failure is HTTP 200 with ``ok: false``."""

    def __init__(self, key: str, shelf: Shelf) -> None:
        self._key = key
        self._shelf = shelf

    def routes(self) -> list[web.RouteDef]:
        answer = guarded(self._call, _no_check, refuse)
        return [web.route("*", r"/api/{method:[a-zA-Z]+(\.[a-zA-Z]+)+}", answer)]

    async def _call(self, request: web.Request) -> web.StreamResponse:
        form = await forms.read(request, self._shelf)
        watch = request[WATCH]
        if "token" in form.fields and "token" not in request.query:
            watch.credentials.append(Credential("form:token", form.get("token")))
        watch.admit(self._key, SLOTS)
        return web.json_response({"ok": True, **await _result(request.match_info["method"], form)})


async def _no_check(_: web.Request) -> None:
    """The key may be in the body, so it is checked after that was read."""


async def _result(method: str, form: Form) -> dict[str, Any]:
    if method == "auth.test":
        return {
            "url": "https://demo.slack.com/",
            "team": "Demo",
            "user": "gateway-demo",
            "team_id": "T0DEMO",
            "user_id": "U0DEMO",
            "bot_id": "B0DEMO",
        }
    if method == "chat.postMessage":
        return await _post(form)
    raise Fault(200, "unknown_method")


async def _post(form: Form) -> dict[str, Any]:
    await controls.parse(form.get("text")).obey()
    if not form.get("channel"):
        raise Fault(200, "channel_not_found")
    if not form.get("text"):
        raise Fault(200, "no_text")
    stamp = f"{time.time():.6f}"
    message = {"type": "message", "text": form.get("text"), "bot_id": "B0DEMO", "ts": stamp}
    return {"channel": form.get("channel"), "ts": stamp, "message": message}


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
