"""The composition root: builds everything, opens the listeners, reloads nothing it cannot parse."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import aiohttp.http_parser

from gateway import cuts
from gateway.admin import Admin
from gateway.admission import Admission
from gateway.audit import Audit
from gateway.bodies import Bodies
from gateway.config import ConfigError, load, read
from gateway.core.errors import Deny, GatewayError, Refused
from gateway.core.model import Snapshot
from gateway.core.secret import Secret, SecretRef
from gateway.deadlines import Deadlines, tick_for
from gateway.defects import handle
from gateway.dial import Dialler
from gateway.door import Door
from gateway.downstream import BotConnection
from gateway.keyring import Keyring
from gateway.listen import Listeners
from gateway.memory import tune
from gateway.metrics import Metrics
from gateway.policy import Policy
from gateway.pool import Pool
from gateway.proxy import Proxy
from gateway.reload import Reload
from gateway.slowing import Slowing
from gateway.sources import Source
from gateway.sources.env import Env
from gateway.sources.file import File
from gateway.steps import Steps
from gateway.stores.embedded import Embedded

_LOG = logging.getLogger("gateway")
_BACKLOG = 0.05  # seconds in which what the kernel queued before the signal is still accepted
_EXPIRY = 0.25  # seconds between looks for tokens that have expired
_STOPPING = Deny(503, "stopping", "The gateway is stopping", repeatable=False)


class Gateway:
    """One running gateway. `start` and `stop` are all a test or a supervisor needs."""

    def __init__(self, snapshot: Snapshot, environ: Mapping[str, str]) -> None:
        loop = self._loop = asyncio.get_running_loop()
        settings, seconds = snapshot.settings, snapshot.deadlines
        self._environ = environ
        self.policy = Policy(snapshot)
        self.metrics = Metrics()
        self.audit = Audit(loop, settings.audit)
        self.store = Embedded(Path(settings.state))
        deadlines = Deadlines(loop, tick_for(_shortest(snapshot)))
        self.pool = Pool(loop, Dialler(loop), deadlines, seconds, snapshot.connections.pooled)
        self.keyring = Keyring(loop, _sources(snapshot, environ), seconds.secret, self._rotated)
        bodies = Bodies(loop)
        steps = Steps(self.store, self.keyring, self.pool, self.audit, bodies)
        admission = Admission(self.store, bodies)
        slowing = Slowing(loop)
        self.proxy = Proxy(steps, admission, bodies, slowing, self.metrics, self.audit)
        self.pool.carrier = self.proxy
        self.door = Door(loop, self.proxy, self.policy, deadlines)
        self.listeners = Listeners(loop)
        self.reload: Reload | None = None
        self.admin = Admin(self.metrics, self._checks(), self._notes())
        self._expiry = loop.call_later(_EXPIRY, self._expire)
        self._measure()

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in use."""
        return self.policy.snapshot

    async def start(self) -> None:
        """Open everything. Raises Refused or OSError where something cannot be opened."""
        self._loop.set_exception_handler(handle)
        await self.store.start(self._store_changed)
        for problem in await _missing(self.keyring, _secrets(self.snapshot)):
            _LOG.warning("%s", problem)
        await self._listen(self.snapshot)
        await self.admin.start(self.snapshot.settings.admin)  # last: it says that all is ready

    async def use(self, snapshot: Snapshot) -> None:
        """Judge by `snapshot` from the next request on; exchanges under way finish on theirs.

        Raises Refused, and changes nothing, where a secret or a listener is not to be had.
        """
        before = self.snapshot
        sources = _sources(snapshot, self._environ)
        trial = Keyring(self._loop, sources, snapshot.deadlines.secret, _unused)
        if problems := await _missing(trial, _untried(before, snapshot)):
            raise GatewayError(500, "configuration", "\n".join(problems))
        await self._listen(snapshot)
        self.keyring.use(sources, _secrets(snapshot), snapshot.deadlines.secret)
        self.policy = Policy(snapshot)
        self.pool.use(snapshot.deadlines, snapshot.connections.pooled)
        self.door.use(self.policy)
        for name in _at_start_only(before, snapshot):
            _LOG.warning("`%s` was changed, which takes effect at the next start", name)

    async def _listen(self, snapshot: Snapshot) -> None:
        await self.listeners.use(
            snapshot.settings.listeners,
            lambda listener: BotConnection(self.door, listener.name),
            snapshot.deadlines.head,
        )

    async def stop(self) -> None:
        """Drain: accept no more, let what is under way end within the deadline, then cut it."""
        self.door.draining = True
        self._expiry.cancel()
        await asyncio.sleep(_BACKLOG)
        self.listeners.close()
        for connection in list(self.door.inside):
            connection.drain()
        await self._emptied(self.snapshot.deadlines.drain)
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

    def _store_changed(self) -> None:
        """Cut what a revoked token or a frozen bot or route still carries."""
        self.proxy.end(cuts.revoked(self.store), cuts.REVOKED)
        if self.store.freezes:
            self.proxy.end(cuts.frozen(self.store), cuts.FROZEN)

    def _expire(self) -> None:
        """Cut what an expired token still carries."""
        self._expiry = self._loop.call_later(_EXPIRY, self._expire)
        self.proxy.end(cuts.expired(self.store, time.time()), cuts.EXPIRED)

    def _checks(self) -> dict[str, Callable[[], str | None]]:
        return {
            "listener": lambda: "draining" if self.door.draining else None,
            "connections": lambda: "no room for more" if self.door.is_full else None,
            "store": lambda: self.store.healthy(),
            "record": lambda: (
                "cannot be written" if self.audit.failing or self.audit.full else None
            ),
        }

    def _notes(self) -> dict[str, Callable[[], str | None]]:
        """What an operator should know and a load balancer should not act on."""
        return {"configuration": lambda: self.reload.problem if self.reload else None}

    def _measure(self) -> None:
        self.metrics.gauges.update(
            upstream_idle=lambda: self.pool.idle,
            upstream_busy=lambda: self.pool.busy,
            bot_connections=lambda: len(self.door.inside),
            open_exchanges=lambda: len(self.proxy.live),
            audit_backlog=lambda: self.audit.backlog,
            unsolicited=lambda: self.pool.unsolicited_total,
            freezes=lambda: len(self.store.freezes),
        )

    def watch(self, reload: Reload) -> None:
        """Let metrics and readiness tell of `reload`."""
        self.reload = reload
        self.metrics.gauges.update(
            reload_ok=lambda: reload.problem is None,
            reloads_good=lambda: reload.good,
            reloads_bad=lambda: reload.bad,
            config_loaded=lambda: reload.loaded,
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


def _secrets(snapshot: Snapshot) -> frozenset[SecretRef]:
    return frozenset(route.secret for route in snapshot.routes.values() if route.secret)


def _untried(before: Snapshot, snapshot: Snapshot) -> frozenset[SecretRef]:
    """Return the secrets of `snapshot` that were not had from the same places before."""
    old, new = before.settings, snapshot.settings
    is_moved = (old.env_file, old.secrets_dir) != (new.env_file, new.secrets_dir)
    return _secrets(snapshot) if is_moved else _secrets(snapshot) - _secrets(before)


async def _missing(keyring: Keyring, refs: Collection[SecretRef]) -> list[str]:
    """Fetch secrets that routes name; say which cannot be had."""
    promises = {ref: keyring.get(ref, "") for ref in sorted(refs, key=str)}  # all at the same time
    problems = []
    for ref, secret in promises.items():
        try:
            if isinstance(secret, asyncio.Future):
                await secret
        except Refused as refused:
            problems.append(f"routes with {ref} will refuse: {refused.deny.reason}")
    return problems


def _unused(old: Secret) -> None:
    """No connection was made yet with what was only tried."""


def _at_start_only(old: Snapshot, new: Snapshot) -> list[str]:
    """Return the keys that a reload cannot follow."""
    names = ("admin", "state", "audit", "log", "reload")
    return [name for name in names if getattr(old.settings, name) != getattr(new.settings, name)]


def run(config: Path, environ: Mapping[str, str], ready: Callable[[Gateway], None]) -> int:
    """Serve `config` until SIGTERM or SIGINT; return the exit code (0 stopped, 2 not started).

    SIGHUP loads it again and reopens the record. `ready` is called once it serves. Raises
    nothing: what is wrong is printed to stderr.
    """
    try:
        raw = read(config)
        snapshot = load(config, environ, raw)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    _log(snapshot.settings.log)
    if "_http_parser" not in aiohttp.http_parser.HttpRequestParser.__module__:
        sys.stderr.write("aiohttp was installed without its C extension; reinstall it\n")
        return 2

    def again(raw: bytes) -> Snapshot:
        try:
            return load(config, environ, raw or None)  # where there is nothing, it says why
        except ConfigError as error:
            raise GatewayError(500, "configuration", str(error)) from None

    async def serve() -> int:
        gateway = Gateway(snapshot, environ)
        reload = Reload(config, raw, again, gateway.use, snapshot.settings.reload)
        return await _serve(gateway, reload, ready)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serve())


async def _serve(gateway: Gateway, reload: Reload, ready: Callable[[Gateway], None]) -> int:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    def hang_up() -> None:
        gateway.audit.reopen()
        reload.ask()

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    gateway.watch(reload)
    try:
        await gateway.start()
    except (Refused, OSError) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
    tune()
    watching = loop.create_task(reload.watch(), name="reload")
    ready(gateway)
    await stopped.wait()
    watching.cancel()
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
