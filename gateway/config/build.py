"""Builds a Snapshot from a parsed file, and finds what only shows across several keys."""

from __future__ import annotations

from gateway.config.bots import Bots, labels
from gateway.config.limits import limits
from gateway.config.listeners import admin_listener, listeners
from gateway.config.reading import Reading
from gateway.config.routes import providers_of, routes
from gateway.config.schema import FileKeys
from gateway.core.model import Connections, Deadlines, Proxies, Settings, Sizes, Snapshot


def build(reading: Reading) -> Snapshot | None:
    """Return the snapshot, which is of use only where `reading` has no problems then.

    None where not even the keys can be read.
    """
    keys = reading.keys()
    if keys is None:
        return None
    providers = providers_of(reading, keys)
    bots = Bots(reading, keys, providers)
    return Snapshot(
        routes=routes(reading, keys, providers),
        bots=bots.bots(),
        tokens=bots.tokens(),
        addresses=tuple(keys.addresses),
        proxies=_proxies(keys),
        limits=limits(reading, ("limits",), keys.limits),
        labels=labels(reading, keys),
        deadlines=Deadlines(**keys.deadlines.model_dump()),
        sizes=_sizes(reading, keys),
        connections=Connections(**keys.connections.model_dump()),
        settings=_settings(reading, keys),
        notes=bots.notes(),
    )


def _proxies(keys: FileKeys) -> Proxies:
    if keys.proxies is None:
        return Proxies()
    return Proxies(tuple(keys.proxies.trusted), keys.proxies.header.lower().encode("ascii"))


def _sizes(reading: Reading, keys: FileKeys) -> Sizes:
    if keys.sizes.peeks < keys.sizes.peek:
        reading.problem(("sizes", "peeks"), "this is less than `peek`, so no body could be read")
    return Sizes(**keys.sizes.model_dump())


def _settings(reading: Reading, keys: FileKeys) -> Settings:
    admin = admin_listener(reading, keys)
    return Settings(
        listeners=listeners(reading, keys, admin),
        admin=admin,
        state=reading.absolute(keys.state),
        audit=keys.audit if keys.audit == "-" else reading.absolute(keys.audit),
        log=keys.log,
        reload=keys.reload,
        env_file=_env_file(reading, keys),
        secrets_dir=keys.secrets_dir and reading.absolute(keys.secrets_dir),
    )


def _env_file(reading: Reading, keys: FileKeys) -> str | None:
    if keys.env_file is not None:
        return reading.file(keys.env_file, ("env_file",))
    beside = reading.directory / ".env"
    return str(beside) if beside.is_file() else None
