"""What is sound in a configuration and still may not be meant: the warnings of `gateway check`."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from gateway import providers
from gateway.config import environment
from gateway.core.errors import SecretUnavailable
from gateway.core.model import Bot, Network, Route, Rule, Snapshot, Token
from gateway.core.operations import presets_of
from gateway.core.rules import covers, unreachable
from gateway.core.secret import SecretRef
from gateway.sources import Source
from gateway.sources.env import Env
from gateway.sources.file import File

_WIDE = 8
"""Length of the shortest prefix that is not called wide."""


def warnings(snapshot: Snapshot, tokens: Iterable[Token]) -> list[str]:
    """Return a sentence for each thing that an operator should look at, none of them twice.

    `tokens` are the valid ones.
    """
    found = chain(
        _of_files(snapshot),
        _of_routes(snapshot),
        _of_rules(snapshot),
        _of_bots(snapshot, tokens),
        _of_addresses(snapshot),
        snapshot.notes,
    )
    return list(dict.fromkeys(found))


# Secrets


def _of_files(snapshot: Snapshot) -> Iterator[str]:
    env_file = snapshot.settings.env_file
    if env_file and _is_open_to_all(Path(env_file)):
        yield f"{env_file} can be read by every user of this machine; run: chmod 600 {env_file}"
    for route in snapshot.routes.values():
        if route.secret is not None:
            yield from _of_secret(snapshot, route, route.secret)


def _of_secret(snapshot: Snapshot, route: Route, ref: SecretRef) -> Iterator[str]:
    directory = snapshot.settings.secrets_dir
    if ref.source == "file" and _is_open_to_all(Path(directory or "/") / ref.name):
        yield f"route {route.name}: every user of this machine can read {ref}"
    if why := asyncio.run(_missing(snapshot, ref)):
        yield f"route {route.name}: {why}"


async def _missing(snapshot: Snapshot, ref: SecretRef) -> str | None:
    settings = snapshot.settings
    env_file = Path(settings.env_file) if settings.env_file else None
    directory = Path(settings.secrets_dir) if settings.secrets_dir else None
    sources: dict[str, Source] = {"env": Env(environment(), env_file), "file": File(directory)}
    try:
        await sources[ref.source].fetch(ref.name)
    except SecretUnavailable as exc:
        return exc.deny.reason
    return None


def _is_open_to_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


# Routes and rules


def _of_routes(snapshot: Snapshot) -> Iterator[str]:
    owners = {
        provider.upstream: name
        for name in providers.known()
        if (provider := providers.load(name)).upstream
    }
    for route in snapshot.routes.values():
        if route.observe:
            yield f"{route.place} is only observed: what would be refused on it is let pass"
        owner = owners.get(str(route.origin), route.provider.name)
        if owner != route.provider.name:
            yield (
                f"{route.place} leads to {route.origin}, but rules for {route.provider.name} do "
                f"not understand what is asked there; write `provider: {owner}`"
            )


def _of_rules(snapshot: Snapshot) -> Iterator[str]:
    # Bots of a group share its rules: each such tuple is looked at once.
    every = {rules: None for bot in snapshot.bots.values() for rules in bot.allow.values()}
    for rules in every:
        route = snapshot.routes[rules[0].route]
        for number, rule in enumerate(rules):
            yield from _of_rule(route, rule, rules[:number])


def _of_rule(route: Route, rule: Rule, earlier: tuple[Rule, ...]) -> Iterator[str]:
    provider = route.provider
    if why := unreachable(provider, rule):
        yield f"{rule.place} does not do all that it says: {why}"
    wider = next((one for one in earlier if covers(provider, one, rule)), None)
    if wider is not None:
        yield f"{rule.place} adds nothing: {wider.place} allows all of it already"
    if route.secret and not (presets_of(provider, rule) or rule.methods or rule.paths):
        remedy = "presets" if provider.presets else "methods or paths"
        yield (
            f"{rule.place} lets a bot do all that the key of {route.name} can, such as "
            f"administration and billing; narrow it by {remedy}"
        )


# Bots


def _of_bots(snapshot: Snapshot, tokens: Iterable[Token]) -> Iterator[str]:
    for bot in snapshot.bots.values():
        if not bot.allow:
            yield f"{bot.place} may use nothing: it has no `allow`"
        for label in bot.labels if snapshot.labels else ():
            if label not in snapshot.labels:
                yield f"{bot.place} has the label {label}, of which `labels` says nothing"
        if bot.observe:
            yield f"{bot.place} is only observed: what would be refused to it is let pass"
    for token in tokens:
        if token.bot not in snapshot.bots:
            yield f"token {token.id} is valid, but there is no bot {token.bot} that it is for"


# Addresses


def _of_addresses(snapshot: Snapshot) -> Iterator[str]:
    yield from (f"addresses: {_wide(one)}" for one in snapshot.addresses if _is_wide(one))
    if not snapshot.addresses:
        yield from _of_bots_addresses(snapshot.bots.values())
    ruled = snapshot.addresses or any(bot.addresses for bot in snapshot.bots.values())
    if snapshot.proxies.trusted and not ruled:
        yield "proxies: no `addresses` stand anywhere, so nothing is decided by what proxies say"


def _of_bots_addresses(bots: Iterable[Bot]) -> Iterator[str]:
    first: dict[Network, Bot] = {}
    for bot in bots:
        for network in bot.addresses:
            if _is_wide(network):
                first.setdefault(network, bot)
    yield from (f"{bot.place}: {_wide(network)}" for network, bot in first.items())


def _is_wide(network: Network) -> bool:
    return network.prefixlen < _WIDE


def _wide(network: Network) -> str:
    return f"{network} is wider than /{_WIDE}, and keeps few out"
