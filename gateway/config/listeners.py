"""Listeners: the gateway's, those of single routes, and the admin's, each at its own address."""

from __future__ import annotations

from gateway.config.errors import Trail
from gateway.config.reading import Reading, sound, sound_entries
from gateway.config.schema import FileKeys, ListenerKeys
from gateway.core.model import Listener

_Keys = tuple[str, int] | ListenerKeys


def admin_listener(reading: Reading, keys: FileKeys) -> Listener:
    """Return where metrics are served."""
    if isinstance(keys.admin, ListenerKeys):
        message = "only an address is allowed, such as 127.0.0.1:9091; it speaks plain HTTP"
        reading.problem(("admin",), message)
        return Listener(*keys.admin.address)
    return Listener(*keys.admin)


def listeners(reading: Reading, keys: FileKeys, admin: Listener) -> tuple[Listener, ...]:
    """Return where bots connect: first the listeners of all routes, then those of single ones."""
    found = {trail: _listener(reading, one, trail) for trail, one in _shared(keys)}
    for name, route in sound_entries(keys.routes).items():
        if route.listen is not None:
            trail: Trail = ("routes", name, "listen")
            found[trail] = _listener(reading, route.listen, trail, name)
    _check_addresses(reading, found, admin)
    return tuple(found.values())


def _shared(keys: FileKeys) -> list[tuple[Trail, _Keys]]:
    if isinstance(keys.listen, list):
        return list(sound(("listen",), keys.listen))
    return [(("listen",), keys.listen)]


def _listener(reading: Reading, keys: _Keys, trail: Trail, route: str = "") -> Listener:
    if isinstance(keys, tuple):
        return Listener(*keys, name=route)
    if (keys.certificate is None) != (keys.key is None) and reading.is_whole(trail, keys):
        reading.problem(trail, "`certificate` and `key` go together")
    certificate = reading.file(keys.certificate, (*trail, "certificate"))
    key = reading.file(keys.key, (*trail, "key"))
    return Listener(*keys.address, certificate, key, keys.reuse_port, route)


def _check_addresses(reading: Reading, found: dict[Trail, Listener], admin: Listener) -> None:
    """Refuse one address for two; port 0 is another one each time."""
    seen = {(admin.host, admin.port)}
    for trail, listener in found.items():
        at = (listener.host, listener.port)
        if listener.port and at in seen:
            reading.problem(trail, "another listener, or `admin`, has this address")
        seen.add(at)
