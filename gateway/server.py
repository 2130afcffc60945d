"""The composition root: builds everything, opens the listeners, reloads nothing it cannot parse."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp.http_parser

from gateway.admin import Admin
from gateway.audit import Audit
from gateway.config import ConfigError, load
from gateway.core.errors import Deny, Refused
from gateway.core.model import Snapshot
from gateway.core.secret import Secret
from gateway.deadlines import Deadlines, tick_for
from gateway.defects import handle
from gateway.dial import Dialler
from gateway.door import Door
from gateway.downstream import BotConnection
from gateway.exchange import Exchange
from gateway.keyring import Keyring
from gateway.listen import Listeners
from gateway.memory import tune
from gateway.metrics import Metrics
from gateway.policy import Policy
from gateway.pool import Pool
from gateway.proxy import Proxy
from gateway.sources import Source
from gateway.sources.env import Env
from gateway.sources.file import File
from gateway.steps import Steps
from gateway.stores.embedded import Embedded

_LOG = logging.getLogger("gateway")
_BACKLOG = 0.05  # seconds in which what the kernel queued before the signal is still accepted
_STOPPING = Deny(503, "stopping", "The gateway is stopping", repeatable=False)


class Gateway:
    """One running gateway. `start` and `stop` are all a test or a supervisor needs."""

    def __init__(self, snapshot: Snapshot, environ: Mapping[str, str]) -> None:
        loop = asyncio.get_running_loop()
        settings, seconds = snapshot.settings, snapshot.deadlines
        self._snapshot = snapshot
        self.policy = Policy(snapshot)
        self.metrics = Metrics()
        self.audit = Audit(loop, settings.audit)
        self.store = Embedded(Path(settings.state))
        deadlines = Deadlines(loop, tick_for(_shortest(snapshot)))
        self.pool = Pool(loop, Dialler(loop), deadlines, seconds, snapshot.connections.pooled)
        self.keyring = Keyring(loop, _sources(snapshot, environ), seconds.secret, self._rotated)
        steps = Steps(loop, self.store, self.keyring, self.pool, self.audit)
        self.proxy = Proxy(steps, self.metrics, self.audit)
        self.pool.carrier = self.proxy
        self.door = Door(loop, self.proxy, self.policy, deadlines)
        self.listeners = Listeners(loop)
        self.admin = Admin(self.metrics, self._checks())
        self._measure()

    async def start(self) -> None:
        """Open everything. Raises Refused or OSError where something cannot be opened."""
        asyncio.get_running_loop().set_exception_handler(handle)
        await self.store.start(self._tokens_changed)
        await self._look_for_secrets()
        await self.admin.start(self._snapshot.settings.admin)
        handshake = self._snapshot.deadlines.head
        for listener in self._snapshot.settings.listeners:
            await self.listeners.open(listener, lambda: BotConnection(self.door), handshake)

    async def _look_for_secrets(self) -> None:
        """Fetch every secret that a route names, and say which are missing."""
        refs = {route.secret for route in self._snapshot.routes.values() if route.secret}
        for ref in sorted(refs, key=str):
            try:
                secret = self.keyring.get(ref, "")
                if isinstance(secret, asyncio.Future):
                    await secret
            except Refused as refused:
                _LOG.warning("routes with %s will refuse: %s", ref, refused.deny.reason)

    async def stop(self) -> None:
        """Drain: accept no more, let what is under way end within the deadline, then cut it."""
        self.door.draining = True
        await asyncio.sleep(_BACKLOG)
        self.listeners.close()
        for connection in list(self.door.inside):
            connection.drain()
        await self._emptied(self._snapshot.deadlines.drain)
        for x in list(self.proxy.live):
            self.proxy.broken(x, _STOPPING)
        await self._emptied(1.0)
        for connection in list(self.door.inside):
            connection.abort()
        await self.pool.stop()
        await self.keyring.stop()
        await self.store.stop()
        await self.admin.stop()
        self.audit.stop()

    async def _emptied(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.door.emptied.wait()
        except TimeoutError:
            _LOG.warning("%d connections did not end in time", len(self.door.inside))

    def _rotated(self, old: Secret) -> None:
        self.pool.close_secret(old.label)

    def _tokens_changed(self) -> None:
        """Cut what a revoked token still carries."""
        tokens = self.store.tokens

        def revoked(x: Exchange) -> bool:
            token = x.token
            return token.origin == "store" and bool(token.id) and token.digest not in tokens

        self.proxy.cut(revoked, "token_revoked")

    def _checks(self) -> dict[str, Callable[[], str | None]]:
        return {
            "listener": lambda: "draining" if self.door.draining else None,
            "connections": lambda: "no room for more" if self.door.is_full else None,
            "store": lambda: self.store.healthy(),
            "record": lambda: (
                "cannot be written" if self.audit.failing or self.audit.full else None
            ),
        }

    def _measure(self) -> None:
        self.metrics.gauges.update(
            upstream_idle=lambda: self.pool.idle,
            upstream_busy=lambda: self.pool.busy,
            bot_connections=lambda: len(self.door.inside),
            open_exchanges=lambda: len(self.proxy.live),
            audit_backlog=lambda: self.audit.backlog,
            unsolicited=lambda: self.pool.unsolicited_total,
        )


def _sources(snapshot: Snapshot, environ: Mapping[str, str]) -> dict[str, Source]:
    settings = snapshot.settings
    return {
        "env": Env(environ, Path(settings.env_file) if settings.env_file else None),
        "file": File(Path(settings.secrets_dir) if settings.secrets_dir else None),
    }


def _shortest(snapshot: Snapshot) -> float:
    seconds = snapshot.deadlines
    return min(
        seconds.head,
        seconds.idle,
        seconds.body,
        seconds.write,
        seconds.linger,
        seconds.first_byte,
        seconds.stream,
        seconds.pool,
    )


def run(config: Path, environ: Mapping[str, str], ready: Callable[[Gateway], None]) -> int:
    """Serve `config` until SIGTERM or SIGINT; return the exit code (0 stopped, 2 not started).

    `ready` is called once it serves. Raises nothing: what is wrong is printed to stderr.
    """
    try:
        snapshot = load(config, environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    _log(snapshot.settings.log)
    if "_http_parser" not in aiohttp.http_parser.HttpRequestParser.__module__:
        sys.stderr.write("aiohttp was installed without its C extension; reinstall it\n")
        return 2
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(snapshot, environ, ready))


async def _serve(
    snapshot: Snapshot, environ: Mapping[str, str], ready: Callable[[Gateway], None]
) -> int:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    gateway = Gateway(snapshot, environ)
    try:
        await gateway.start()
    except (Refused, OSError) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
    tune()
    ready(gateway)
    await stopped.wait()
    await gateway.stop()
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _log(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
