"""A plain HTTP service: it mirrors what it received, and serves bytes, statuses, delays, events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.demo import forms, stream
from gateway.demo.body import Body
from gateway.demo.faults import MISSING_KEY, WRONG_KEY, Cut, Fault, guarded
from gateway.demo.keys import Credential
from gateway.demo.seen import WATCH

SLOTS = (
    "bearer",
    "x-api-key",
    "query:key",
    "basic",
    "path",
    "json:clientKey",
    "form:token",
    "form:client_secret",
)
MOST_BYTES = 10 * 1024**3
MOST_SECONDS = 600.0
MOST_EVENTS = 1_000_000
BLOCK = bytes(range(256)) * 256
_NO_BODY = (204, 205, 304)
_IN_BODY: Mapping[str, tuple[str, ...]] = {
    "application/json": ("clientKey",),
    "application/x-www-form-urlencoded": ("token", "client_secret"),
}


class Echo:
    """Everything under ``/echo/``, or under ``/echo/key/<key>/`` with the key in the path."""

    def __init__(self, key: str) -> None:
        self._key = key

    def routes(self) -> list[web.RouteDef]:
        answer = guarded(_answer, self._check, refuse)
        return [
            web.route("*", "/echo/key/{key}/{rest:.*}", answer),
            web.route("*", "/echo/{rest:.*}", answer),
            web.route("*", "/echo", answer),
        ]

    async def _check(self, request: web.Request) -> None:
        watch = request[WATCH]
        if "key" in request.match_info:
            watch.credentials.append(Credential("path", request.match_info["key"]))
        if request.content_type in _IN_BODY:
            await watch.body.drain()
            watch.credentials += _in_body(request.content_type, watch.body)
        watch.admit(self._key, SLOTS)


def refuse(fault: Fault) -> web.Response:
    """An error in the echo service's shape."""
    is_key = fault.code in (MISSING_KEY, WRONG_KEY)
    headers = fault.headers() | ({"WWW-Authenticate": "Bearer"} if is_key else {})
    body = {"error": fault.code, "message": fault.message}
    return web.json_response(body, status=fault.status, headers=headers)


async def _answer(request: web.Request) -> web.StreamResponse:
    what, _, argument = request.match_info.get("rest", "").partition("/")
    if what == "bytes" and argument:
        return await _bytes(request, _whole(argument, MOST_BYTES))
    if what == "status" and argument:
        return _status(request, _whole(argument, 599))
    if what == "sse":
        return await _events(request)
    if what == "cut":
        raise Cut
    if what == "slow":
        await asyncio.sleep(_seconds(request, "seconds", 1.0))
    return await _mirror(request)


async def _mirror(request: web.Request) -> web.Response:
    body = request[WATCH].body
    async for _ in body.chunks():
        pass
    path, _, query = request.raw_path.partition("?")
    return web.json_response(
        {
            "method": request.method,
            "path": path,
            "query": query,
            "headers": [
                [name.decode("latin-1"), value.decode("latin-1")]
                for name, value in request.raw_headers
            ],
            "body_bytes": body.size,
            "body_sha256": body.sha256,
            "body": _small_text(body),
        }
    )


async def _bytes(request: web.Request, size: int) -> web.StreamResponse:
    """A body of this size: the bytes 0 to 255 over and over."""
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = size
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    for start in range(0, size, len(BLOCK)):
        await response.write(BLOCK[: size - start])
    await response.write_eof()
    return response


def _status(request: web.Request, status: int) -> web.Response:
    """This status, with ``?location=`` as the Location header."""
    if status < 200:
        raise Fault(400, "the demo answers statuses from 200 to 599")
    location = request.query.get("location")
    headers = {"Location": location} if location else {}
    if status in _NO_BODY:
        return web.Response(status=status, headers=headers)
    return web.json_response({"status": status}, status=status, headers=headers)


async def _events(request: web.Request) -> web.StreamResponse:
    """``?events=N&interval=S``: numbered events, one each interval."""
    total = _whole(request.query.get("events", "10"), MOST_EVENTS)
    interval = _seconds(request, "interval", 0.0)
    out = await stream.start(request)
    for number in range(total):
        if number and interval:
            await asyncio.sleep(interval)
        await out.event({"number": number, "of": total})
    return await out.end()


def _in_body(content_type: str, body: Body) -> list[Credential]:
    if not body.is_kept_whole():
        return []
    given: dict[str, Any] = {}
    with contextlib.suppress(Fault):
        given = forms.encoded(content_type, bytes(body.kept))
    prefix = "json" if content_type == "application/json" else "form"
    names = _IN_BODY[content_type]
    return [Credential(f"{prefix}:{name}", given[name]) for name in names if name in given]


def _small_text(body: Body) -> str | None:
    if not body.is_kept_whole():
        return None
    try:
        return body.kept.decode()
    except UnicodeDecodeError:
        return None


def _whole(text: str, most: int) -> int:
    if not text.isdecimal():
        raise Fault(400, "expected a whole number")
    return min(int(text), most)


def _seconds(request: web.Request, name: str, default: float) -> float:
    try:
        return min(max(float(request.query.get(name, default)), 0.0), MOST_SECONDS)
    except ValueError as exc:
        raise Fault(400, f"{name}: expected a number of seconds") from exc
