"""Which exchanges under way must end at once, because what let them in no longer holds."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.errors import Deny
from gateway.exchange import Exchange
from gateway.stores import Store

Chosen = Callable[[Exchange], bool]

REVOKED = Deny(401, "token_revoked", "The token was revoked meanwhile")
EXPIRED = Deny(401, "expired_token", "The token has expired")
FROZEN = Deny(403, "frozen", "The operator has frozen this bot or route for now", repeatable=False)


def revoked(store: Store) -> Chosen:
    """Choose those whose token is no longer in the store."""
    tokens = store.tokens

    def chosen(x: Exchange) -> bool:
        token = x.token
        return token.origin == "store" and bool(token.id) and token.digest not in tokens

    return chosen


def frozen(store: Store) -> Chosen:
    """Choose those whose bot or route is frozen."""
    freezes = store.freezes

    def chosen(x: Exchange) -> bool:
        return x.standing is not None and not x.standing.freezes.isdisjoint(freezes)

    return chosen


def expired(store: Store, now: float) -> Chosen:
    """Choose those whose token has ended by `now`, by what the store says of it today."""
    tokens = store.tokens

    def chosen(x: Exchange) -> bool:
        ends = tokens.get(x.token.digest, x.token).expires
        return ends is not None and ends <= now

    return chosen
