"""Routes: each with its provider, its upstream, and a place that no other route has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gateway import providers
from gateway.config import messages
from gateway.config.errors import Trail
from gateway.config.limits import limits
from gateway.config.reading import Reading, sound_entries
from gateway.config.schema import FileKeys, RouteKeys
from gateway.config.values import Upstream, upstream
from gateway.core.model import Provider, Route
from gateway.core.secret import SecretRef


def providers_of(reading: Reading, keys: FileKeys) -> Mapping[str, Provider]:
    """Return each route's provider, by the route's name."""
    entries = sound_entries(keys.routes)
    found = {name: _provider(reading, name, entry) for name, entry in entries.items()}
    return {name: provider for name, provider in found.items() if provider is not None}


def routes(reading: Reading, keys: FileKeys, known: Mapping[str, Provider]) -> Mapping[str, Route]:
    """Return the routes by name. `known` are their providers."""
    built: dict[str, Route] = {}
    whole: dict[str, Route] = {}
    for name, entry in sound_entries(keys.routes).items():
        route = _route(reading, name, entry, known.get(name))
        if route is not None:
            built[name] = route
            if reading.is_whole(("routes", name), entry):
                whole[name] = route
    _check_prefixes(reading, whole)
    return MappingProxyType(built)


def _provider(reading: Reading, name: str, keys: RouteKeys) -> Provider | None:
    known = providers.known()
    wanted = keys.provider or name
    if wanted in known:
        return providers.load(wanted)
    trail: Trail = ("routes", name)
    if keys.provider is not None:
        message = messages.unknown("provider", wanted, known)
        reading.problem((*trail, "provider"), message)
    elif reading.is_whole(trail, keys):
        listed = ", ".join(sorted(known))
        message = f"`provider` is required, as this is not the name of one; they are: {listed}"
        reading.problem(trail, message)
    return None


def _route(reading: Reading, name: str, keys: RouteKeys, provider: Provider | None) -> Route | None:
    trail: Trail = ("routes", name)
    _check_secret(reading, keys, trail)
    ca = reading.file(keys.ca, (*trail, "ca"))
    ceilings = limits(reading, (*trail, "limits"), keys.limits)
    target = _upstream(reading, keys, provider, trail) if provider else None
    if provider is None or target is None:
        return None
    return Route(
        name=name,
        prefix=_prefix(name, keys),
        provider=provider,
        origin=target.origin,
        base=target.base,
        secret=keys.secret,
        tokens=tuple(keys.token) if keys.token else provider.tokens,
        inject=tuple(keys.inject) if keys.inject else provider.inject,
        private=keys.private,
        ca=ca,
        compression=keys.compression,
        host=keys.host,
        listener=name if keys.listen is not None else "",
        opaque=provider.opaque + tuple(keys.opaque),
        limits=ceilings,
        observe=keys.mode == "observe",
        place=reading.place(trail, at_key=True),
    )


def _prefix(name: str, keys: RouteKeys) -> bytes:
    if keys.prefix is not None:
        return keys.prefix
    return b"" if keys.host or keys.listen is not None else f"/{name}".encode()


def _check_secret(reading: Reading, keys: RouteKeys, trail: Trail) -> None:
    if (*trail, "secret") in reading.document.blanks:
        reading.problem((*trail, "secret"), f"this is empty: write {messages.REFERENCE}")
    elif keys.secret is None and keys.inject:
        reading.problem((*trail, "inject"), "this route has no secret to put anywhere")
    if keys.secret and keys.secret.source == "file":
        _check_secret_file(reading, keys.secret, (*trail, "secret"))


def _check_secret_file(reading: Reading, ref: SecretRef, trail: Trail) -> None:
    value = reading.document.value
    has_directory = isinstance(value, dict) and value.get("secrets_dir")
    if not Path(ref.name).is_absolute() and not has_directory:
        message = "a relative `file:` secret needs `secrets_dir`; or write an absolute path"
        reading.problem(trail, message)


def _upstream(
    reading: Reading, keys: RouteKeys, provider: Provider, trail: Trail
) -> Upstream | None:
    target = keys.upstream
    if target is None and provider.upstream is not None:
        target = upstream(provider.upstream)
    if target is None:
        if reading.is_whole(trail, keys):
            message = f"`upstream` is required: {provider.name} has none of its own"
            reading.problem(trail, message)
        return None
    inside = (*trail, "upstream")
    if target.origin.scheme == "http" and not target.is_loopback and not keys.insecure:
        message = "plain http:// would show the secret to the network; use https://"
        reading.problem(inside, f"{message}, or allow it with `insecure: true`")
    if target.is_private and not keys.private:
        message = "this is a private or loopback address; allow it with `private: true`"
        reading.problem(inside, message)
    return target


def _check_prefixes(reading: Reading, found: Mapping[str, Route]) -> None:
    """Refuse a second route in the same place. A route with its own listener has no rival."""
    first: dict[tuple[bytes, bytes], str] = {}
    for name, route in found.items():
        if route.listener:
            continue
        other = first.setdefault((route.host, route.prefix), name)
        if other != name:
            shown = route.prefix.decode("ascii") or "/"
            where = f" at {route.host.decode('ascii')}" if route.host else ""
            message = f"route {other} has the prefix {shown}{where} too"
            reading.problem(("routes", name, "prefix"), message)
