"""What a bot may do on a route, made ready to decide with: worked out once, when first needed."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.clients import Allowlist
from gateway.core.model import Bot, Freeze, Limit, Route, Snapshot
from gateway.core.scope import Scope
from gateway.stores import Claim, Plan

ALL = Freeze("all")


class Standing:
    """One bot on one route, under one snapshot. `plan` is the store's, once it made one."""

    __slots__ = ("addresses", "bot", "claims", "freezes", "observe", "plan", "scope")

    def __init__(self, snapshot: Snapshot, bot: Bot, route: Route, scope: Scope | None) -> None:
        self.bot = bot
        self.scope = scope
        """None where the bot is not given this route at all."""
        self.observe = bot.observe or route.observe
        self.addresses = Allowlist(bot.addresses)
        self.freezes = frozenset({ALL, Freeze("bot", bot.name), Freeze("route", route.name)})
        self.claims = tuple(_claims(snapshot, bot, route))
        self.plan: Plan | None = None


def _claims(snapshot: Snapshot, bot: Bot, route: Route) -> Iterator[Claim]:
    """Give what one exchange asks of every limit that it comes under."""
    own = f"bot:{bot.name}"
    most = Limit("concurrency", snapshot.connections.per_bot, "connections.per_bot")
    if not any(one.unit == most.unit and one.ceiling <= most.ceiling for one in bot.limits):
        yield Claim(own, most)
    yield from (Claim(own, limit) for limit in bot.limits)
    for label in bot.labels:
        yield from (Claim(f"label:{label}", limit) for limit in snapshot.labels.get(label, ()))
    yield from (Claim(f"route:{route.name}", limit) for limit in route.limits)
    yield from (Claim("all", limit) for limit in snapshot.limits)
