"""The demo's memory of the requests it received, so that a test can look at the wire."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.demo import keys
from gateway.demo.body import Body
from gateway.demo.faults import Check
from gateway.demo.sighting import Sighting, to_json

MOST_SIGHTINGS = 1000
DRAIN_SECONDS = 2.0
LOOPBACK = frozenset(("127.0.0.1", "::1"))
CONTROL_PREFIX = "/_"


class Watch:
    """One request while it is being answered."""

    def __init__(self, number: int, request: web.Request) -> None:
        self.number = number
        self.at = time.time()
        self.request = request
        self.body = Body(request.content)
        self.credentials = list(keys.carried(request))
        self.key_where: str | None = None
        self.status: int | None = None
        self.ended = "open"

    def admit(self, key: str, slots: Collection[str]) -> None:
        """Raise a Fault unless the right key is in one of the slots."""
        self.key_where = keys.choose(self.credentials, key, slots).where

    def sighting(self) -> Sighting:
        return Sighting(
            number=self.number,
            at=self.at,
            method=self.request.method,
            raw_path=self.request.raw_path,
            headers=tuple(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in self.request.raw_headers
            ),
            body=bytes(self.body.kept),
            body_bytes=self.body.size,
            body_sha256=self.body.sha256,
            key_ok=self.key_where is not None,
            key_where=self.key_where,
            credentials=tuple(credential.where for credential in self.credentials),
            status=self.status,
            ended=self.ended,
        )


WATCH = web.RequestKey("watch", Watch)


class Log:
    """The last requests, oldest first, including those still being answered."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._watches: deque[Watch] = deque(maxlen=MOST_SIGHTINGS)

    def open(self, request: web.Request) -> Watch:
        watch = Watch(next(self._numbers), request)
        self._watches.append(watch)
        return watch

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/_seen", self._list), web.delete("/_seen", self._clear)]

    async def _list(self, request: web.Request) -> web.Response:
        local_only(request)
        return web.json_response([to_json(watch.sighting()) for watch in self._watches])

    async def _clear(self, request: web.Request) -> web.Response:
        local_only(request)
        self._watches.clear()
        return web.Response(status=204)


def recorder(log: Log) -> Middleware:
    """The middleware that records every request except those to the control paths."""

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        watch = request[WATCH] = log.open(request)
        try:
            answer = await handler(request)
            await watch.body.drain(DRAIN_SECONDS)
            watch.status, watch.ended = answer.status, "answered"
        except web.HTTPException as exc:
            watch.status, watch.ended = exc.status, "answered"
            raise
        finally:
            if watch.ended == "open":
                watch.ended = "cut"
        return answer

    return record


def key_check(key: str, slots: Collection[str]) -> Check:
    """The check of a provider whose key is in a header or in the query."""

    async def check(request: web.Request) -> None:
        request[WATCH].admit(key, slots)

    return check


def local_only(request: web.Request) -> None:
    """The control paths need no key, so they answer this machine alone."""
    if request.remote not in LOOPBACK:
        raise web.HTTPForbidden(text="control paths answer the loopback interface only")
