"""Failures as the demo raises them; each provider's module gives them its own shape."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

MISSING_KEY = "missing_key"
WRONG_KEY = "wrong_key"
BAD_REQUEST = "bad_request"
ON_DEMAND = "on_demand"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Check = Callable[[web.Request], Awaitable[None]]
Shape = Callable[["Fault"], web.Response]


class Fault(Exception):
    """The request fails with this status, for this reason."""

    def __init__(
        self, status: int, message: str, code: str = BAD_REQUEST, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        """What every provider sends alike."""
        return {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}


class Cut(Exception):
    """The connection is to be broken here, without an end of the answer."""


def guarded(handler: Handler, check: Check, shape: Shape) -> Handler:
    """The handler, behind its key check, with faults answered in the provider's shape."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            await check(request)
            return await handler(request)
        except Fault as fault:
            return shape(fault)
        except Cut:
            return await break_off(request)

    return answer


async def break_off(request: web.Request) -> web.StreamResponse:
    """Break the connection; the server then cancels this handler, so it never returns."""
    if request.transport is not None:
        request.transport.abort()
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable: the handler of a broken connection is cancelled")
