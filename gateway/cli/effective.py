"""What a configuration comes to for one bot: from where, how much, and what on which route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.output import ruled
from gateway.cli.place import base_url
from gateway.core.model import Bot, Limit, Provider, Route, Rule, Snapshot

_PERIODS = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}


def policy(snapshot: Snapshot, bot: Bot, tokens: int) -> dict[str, Any]:
    """Return all that decides about `bot`, as JSON holds it. `tokens` counts its valid ones."""
    return {
        "bot": bot.name,
        "place": bot.place,
        "tokens": tokens,
        "labels": list(bot.labels),
        "mode": _mode(bot),
        "addresses": {
            "bot": [str(network) for network in bot.addresses],
            "all": [str(network) for network in snapshot.addresses],
        },
        "limits": [_limit(scope, limit) for scope, limit in _limits(snapshot, bot)],
        "routes": [
            _route(snapshot, snapshot.routes[name], rules) for name, rules in bot.allow.items()
        ],
    }


def _limits(snapshot: Snapshot, bot: Bot) -> Iterator[tuple[str, Limit]]:
    """Yield the limits that hold on every route, with what they count, as the store names it."""
    for limit in bot.limits:
        yield f"bot:{bot.name}", limit
    for label in bot.labels:
        for limit in snapshot.labels.get(label, ()):
            yield f"label:{label}", limit
    for limit in snapshot.limits:
        yield "all", limit


def _limit(scope: str, limit: Limit) -> dict[str, Any]:
    return {"scope": scope, "limit": worded(limit), "place": limit.place}


def worded(limit: Limit) -> str:
    """Return what a limit means: `60 requests per minute, exact`."""
    if limit.unit == "concurrency":
        return f"{limit.ceiling} at once"
    how = "exact" if limit.burst is None else f"evenly, up to {limit.burst} at once"
    return f"{limit.ceiling} {limit.unit} per {_PERIODS[limit.seconds]}, {how}"


def _route(snapshot: Snapshot, route: Route, rules: tuple[Rule, ...]) -> dict[str, Any]:
    return {
        "route": route.name,
        "base_url": base_url(snapshot, route),
        "upstream": f"{route.origin}{route.base.decode('ascii')}",
        "secret": str(route.secret) if route.secret else None,
        "mode": _mode(route),
        "limits": [_limit(f"route:{route.name}", limit) for limit in route.limits],
        "rules": [_rule(route.provider, rule) for rule in rules],
    }


def _rule(provider: Provider, rule: Rule) -> dict[str, Any]:
    return {
        "place": rule.place,
        "allows": ruled(rule),
        "presets": {name: list(provider.presets[name]) for name in rule.presets},
        "methods": list(rule.methods),
        "paths": list(rule.paths),
        **{f"{name}s": list(patterns) for name, patterns in rule.subjects.items()},
    }


def _mode(thing: Bot | Route) -> str:
    return "observe" if thing.observe else "enforce"


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what `policy` found as text for people."""
    count = found["tokens"]
    yield f"{found['bot']}: {count} valid token{'' if count == 1 else 's'}"
    if found["labels"]:
        yield f"  labels: {', '.join(found['labels'])}"
    if found["mode"] == "observe":
        yield "  observed only: what is refused below is noted, and let pass"
    own, every = (", ".join(found["addresses"][whose]) for whose in ("bot", "all"))
    yield f"  from: {own or every or 'anywhere'}{f', within {every}' if own and every else ''}"
    for limit in found["limits"]:
        yield f"  limit: {_limit_line(limit)}"
    for route in found["routes"]:
        yield from _route_lines(route)
    if not found["routes"]:
        yield "  may use nothing"


def _route_lines(route: Mapping[str, Any]) -> Iterator[str]:
    secret = route["secret"] or "no secret"
    yield f"  {route['route']}: {route['base_url']} to {route['upstream']}, with {secret}"
    if route["mode"] == "observe":
        yield "    observed only: what is refused below is noted, and let pass"
    for limit in route["limits"]:
        yield f"    limit: {_limit_line(limit)}"
    for rule in route["rules"]:
        counts = [f"{name} is {len(done)} operations" for name, done in rule["presets"].items()]
        expanded = f" ({', '.join(counts)})" if counts else ""
        yield f"    allows {rule['allows']}{expanded}, by {rule['place']}"


def _limit_line(limit: Mapping[str, str]) -> str:
    kind, _, name = limit["scope"].partition(":")
    whose = {
        "bot": "",
        "label": f", for all bots of label {name} together",
        "route": ", for all bots together",
        "all": ", for all bots on all routes together",
    }[kind]
    return f"{limit['limit']}{whose}"
