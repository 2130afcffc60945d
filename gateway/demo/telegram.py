"""Telegram's Bot API as the demo speaks it: one bot, its updates, its messages and its files."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from gateway.demo import controls, forms
from gateway.demo.faults import MISSING_KEY, WRONG_KEY, Fault, guarded
from gateway.demo.forms import Form
from gateway.demo.keys import Credential
from gateway.demo.seen import WATCH, local_only
from gateway.demo.shelf import Shelf, Stored

SLOTS = ("path",)
MOST_UPDATES = 1000
MOST_POLL_SECONDS = 600.0
_PLAINLY_TRUE = frozenset(("deletewebhook", "sendchataction", "setmycommands", "close", "logout"))

Result = dict[str, Any] | list[dict[str, Any]] | bool


class Telegram:
    """``/bot<token>/<method>`` and ``/file/bot<token>/<path>``."""

    def __init__(self, key: str, shelf: Shelf) -> None:
        self._key = key
        self._shelf = shelf
        self._updates = Updates()
        self._numbers = itertools.count(1)
        self._methods: dict[str, Callable[[Form], Awaitable[Result]]] = {
            "getme": self._get_me,
            "sendmessage": self._send_message,
            "senddocument": self._send_document,
            "getupdates": self._get_updates,
            "getfile": self._get_file,
        }

    def routes(self) -> list[web.RouteDef]:
        call = guarded(self._call, self._check, refuse)
        return [
            web.route("*", "/bot{key}/{method}", call),
            web.get("/file/bot{key}/{path:.+}", guarded(self._download, self._check, refuse)),
            web.post("/_updates", self._push),
        ]

    async def _check(self, request: web.Request) -> None:
        watch = request[WATCH]
        watch.credentials.append(Credential("path", request.match_info["key"]))
        watch.admit(self._key, SLOTS)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        form = await forms.read(request, self._shelf)
        name = request.match_info["method"].lower()
        if name in _PLAINLY_TRUE:
            return web.json_response({"ok": True, "result": True})
        method = self._methods.get(name)
        if method is None:
            raise Fault(404, "Not Found")
        return web.json_response({"ok": True, "result": await method(form)})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        stored = self._shelf.find(request.match_info["path"].rpartition("/")[2])
        if stored is None:
            raise Fault(404, "Not Found")
        return web.FileResponse(stored.path, headers={"Content-Type": "application/octet-stream"})

    async def _push(self, request: web.Request) -> web.Response:
        """A person writes to the bot: ``{"text": ..., "chat_id": ...}`` (a control path)."""
        local_only(request)
        said = await request.json()
        chat = _chat(str(said.get("chat_id", "1")))
        sender = {"id": 1, "is_bot": False, "first_name": "Demo"}
        message = self._message(chat, sender) | {"text": str(said.get("text", ""))}
        return web.json_response({"update_id": self._updates.put({"message": message})})

    async def _get_me(self, _: Form) -> Result:
        return self._me() | {
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }

    async def _send_message(self, form: Form) -> Result:
        text = _needed(form, "text")
        await controls.parse(text).obey()
        return self._message(_chat(_needed(form, "chat_id")), self._me()) | {"text": text}

    async def _send_document(self, form: Form) -> Result:
        stored = form.files[0] if form.files else self._shelf.find(form.get("document"))
        if stored is None:
            raise Fault(400, "Bad Request: there is no document in the request")
        await controls.parse(form.get("caption")).obey()
        message = self._message(_chat(_needed(form, "chat_id")), self._me())
        document = _file(stored) | {"file_name": stored.filename, "mime_type": stored.content_type}
        caption = {"caption": form.get("caption")} if form.get("caption") else {}
        return message | {"document": document} | caption

    async def _get_updates(self, form: Form) -> Result:
        self._updates.confirm(_whole(form, "offset", 0))
        await self._updates.wait(min(_whole(form, "timeout", 0), MOST_POLL_SECONDS))
        return self._updates.first(_whole(form, "limit", 100))

    async def _get_file(self, form: Form) -> Result:
        stored = self._shelf.find(_needed(form, "file_id"))
        if stored is None:
            raise Fault(400, "Bad Request: invalid file_id")
        return _file(stored) | {"file_path": f"documents/{stored.name}"}

    def _me(self) -> dict[str, Any]:
        number = self._key.partition(":")[0]
        bot = {"is_bot": True, "first_name": "Demo bot", "username": "gateway_demo_bot"}
        return {"id": int(number) if number.isdigit() else 1, **bot}

    def _message(self, chat: dict[str, Any], sender: dict[str, Any]) -> dict[str, Any]:
        return {
            "message_id": next(self._numbers),
            "date": int(time.time()),
            "chat": chat,
            "from": sender,
        }


class Updates:
    """What waits to be fetched by the bot."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._queue: deque[dict[str, Any]] = deque(maxlen=MOST_UPDATES)
        self._arrived = asyncio.Event()

    def put(self, update: dict[str, Any]) -> int:
        number = next(self._numbers)
        self._queue.append({"update_id": number, **update})
        self._arrived.set()
        return number

    def confirm(self, offset: int) -> None:
        """Forget what the bot has had: everything before the offset."""
        while self._queue and self._queue[0]["update_id"] < offset:
            self._queue.popleft()
        if not self._queue:
            self._arrived.clear()

    async def wait(self, seconds: float) -> None:
        """Return at once if there is something, else when there is or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    def first(self, limit: int) -> list[dict[str, Any]]:
        return list(itertools.islice(self._queue, max(limit, 0)))


def refuse(fault: Fault) -> web.Response:
    """An error in Telegram's shape."""
    is_key = fault.code in (MISSING_KEY, WRONG_KEY)
    message = "Unauthorized" if is_key else fault.message
    body: dict[str, Any] = {"ok": False, "error_code": fault.status, "description": message}
    if fault.retry_after is not None:
        body["parameters"] = {"retry_after": int(fault.retry_after)}
    return web.json_response(body, status=fault.status, headers=fault.headers())


def _chat(given: str) -> dict[str, Any]:
    """A person for a positive number, a group for a negative one, a channel for an @name."""
    if given.startswith("@"):
        name = given.removeprefix("@")
        return {"id": -1001, "type": "channel", "title": name, "username": name}
    try:
        number = int(given)
    except ValueError as exc:
        raise Fault(400, "Bad Request: chat not found") from exc
    if number < 0:
        return {"id": number, "type": "group", "title": "Demo group"}
    return {"id": number, "type": "private", "first_name": "Demo"}


def _file(stored: Stored) -> dict[str, Any]:
    unique = stored.sha256[:16]
    return {"file_id": stored.name, "file_unique_id": unique, "file_size": stored.size}


def _needed(form: Form, name: str) -> str:
    if not form.get(name):
        raise Fault(400, f"Bad Request: {name} is empty")
    return form.get(name)


def _whole(form: Form, name: str, default: int) -> int:
    try:
        return int(form.get(name) or default)
    except ValueError as exc:
        raise Fault(400, f"Bad Request: {name} must be a number") from exc
