"""A snapshot made ready to decide with: everything that can be worked out at load is."""

from __future__ import annotations

from gateway.core.headers import request_kinds
from gateway.core.model import Snapshot, Token
from gateway.core.places import Header
from gateway.core.routing import Router
from gateway.core.subject import SubjectFinder
from gateway.stores import Claim


class Policy:
    """One snapshot's tables. Swapped whole; an exchange keeps the one it began with."""

    __slots__ = ("claims", "kinds", "pinned", "router", "snapshot", "subjects")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.router = Router(snapshot.routes.values())
        places = (
            place for route in snapshot.routes.values() for place in route.tokens + route.inject
        )
        self.kinds = request_kinds(p.name.encode() for p in places if isinstance(p, Header))
        self.pinned: dict[bytes, Token] = {token.digest: token for token in snapshot.tokens}
        ceiling = snapshot.connections.per_bot
        self.claims: dict[str, tuple[Claim, ...]] = {
            bot: (Claim(f"bot:{bot}", "exchanges", 1, ceiling),) for bot in snapshot.bots
        }
        self.subjects = {
            route.name: SubjectFinder(route.provider.subjects)
            for route in snapshot.routes.values()
            if route.provider.subjects
        }
