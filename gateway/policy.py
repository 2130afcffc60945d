"""A snapshot made ready to decide with: everything that can be worked out at load is."""

from __future__ import annotations

from gateway.core.clients import Allowlist
from gateway.core.headers import request_kinds
from gateway.core.model import Route, Rule, Snapshot, Token
from gateway.core.places import Header
from gateway.core.routing import Router
from gateway.core.scope import Scope
from gateway.core.subject import SubjectFinder
from gateway.standing import Standing

_AT_HAND = 65_536


class Policy:
    """One snapshot's tables. Swapped whole; an exchange keeps the one it began with.

    What is worked out for a bot on a route is kept, so it is bounded by the configuration.
    """

    __slots__ = (
        "_scopes",
        "_standings",
        "addresses",
        "at_hand",
        "kinds",
        "pinned",
        "proxies",
        "router",
        "snapshot",
        "subjects",
        "trusted",
    )

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.at_hand = min(_AT_HAND, snapshot.sizes.peek)
        """Bytes of a body that came with its head and is read where it lies."""
        self.router = Router(snapshot.routes.values())
        places = (
            place for route in snapshot.routes.values() for place in route.tokens + route.inject
        )
        credentials = (place.name.encode() for place in places if isinstance(place, Header))
        self.proxies = snapshot.proxies
        forwarded = self.proxies.header if self.proxies.trusted else b""
        self.kinds = request_kinds(credentials, forwarded)
        self.pinned: dict[bytes, Token] = {token.digest: token for token in snapshot.tokens}
        self.addresses = Allowlist(snapshot.addresses)
        self.trusted = Allowlist(snapshot.proxies.trusted)
        self.subjects = {
            route.name: SubjectFinder(route.provider.subjects)
            for route in snapshot.routes.values()
            if route.provider.subjects
        }
        self._standings: dict[tuple[str, str], Standing] = {}
        self._scopes: dict[tuple[Rule, ...], Scope] = {}

    def standing(self, bot: str, route: Route) -> Standing | None:
        """Return what `bot` may do on `route`; None where there is no such bot."""
        standing = self._standings.get((bot, route.name))
        if standing is None:
            known = self.snapshot.bots.get(bot)
            if known is None:
                return None
            rules = known.allow.get(route.name)
            scope = self._scope(route, rules) if rules else None
            standing = Standing(self.snapshot, known, route, scope)
            self._standings[bot, route.name] = standing
        return standing

    def _scope(self, route: Route, rules: tuple[Rule, ...]) -> Scope:
        """Bots of one group share their rules, and so what is made of them."""
        scope = self._scopes.get(rules)
        if scope is None:
            scope = self._scopes[rules] = Scope(
                route.provider, rules, base=route.base, hides_path=bool(route.in_path)
            )
        return scope
