"""The admin listener: metrics, liveness and readiness, on an address of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from gateway.core.model import Listener
from gateway.metrics import Metrics

Check = Callable[[], str | None]


class Admin:
    """Serves `/metrics`, `/healthz` and `/readyz`.

    A check returns None, or in one sentence why the gateway is not ready. A note returns what
    an operator should mend though the gateway serves: it does not make it unready, so that no
    load balancer takes it out of service. Nothing here needs
    or shows a secret; the listener is loopback's unless the configuration says otherwise.
    """

    def __init__(
        self, metrics: Metrics, checks: Mapping[str, Check], notes: Mapping[str, Check]
    ) -> None:
        self._metrics = metrics
        self._checks = checks
        self._notes = notes
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, listener: Listener) -> None:
        """Begin to serve. Raises OSError where the address cannot be bound."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=75.0, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, listener.host, listener.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _show_metrics(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._metrics.text(), headers=headers)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, request: web.Request) -> web.Response:
        wrong = _found(self._checks)
        answer = {"ready": not wrong, "not_ready": wrong, "notes": _found(self._notes)}
        return web.json_response(answer, status=503 if wrong else 200)


def _found(checks: Mapping[str, Check]) -> dict[str, str]:
    answers = {name: check() for name, check in checks.items()}
    return {name: why for name, why in answers.items() if why is not None}
