"""Where live state is kept: one file per store, all behind the one protocol below."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.core.errors import Deny
from gateway.core.model import Freeze, Limit, Token


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request asks of one limit: one of `limit.unit` within `scope`.

    `scope` is `bot:NAME`, `label:NAME`, `route:NAME` or `all`.
    """

    scope: str
    limit: Limit


class Plan(Protocol):
    """The claims of one bot on one route, made ready by the store that reserves them.

    Made when first needed, and kept as long as its configuration is.
    """

    claims: tuple[Claim, ...]
    policy: str
    """Value of the `RateLimit-Policy` header; "" where the bot has no such limit."""


class Hold(Protocol):
    """What was reserved for one exchange. Settled once; settling again does nothing."""

    def quota(self, now: float) -> str:
        """Return the value of the `RateLimit` header; "" where the bot has no such limit.

        `now` is as for `Store.reserve`.
        """
        ...


class Store(Protocol):
    """Tokens, freezes and reservations. The maps are local: a look-up never leaves the process."""

    tokens: Mapping[bytes, Token]
    """By digest, whole and current as of the last change seen. Replaced, never mutated."""
    freezes: frozenset[Freeze]
    """What is frozen at this moment. Replaced, never mutated."""

    async def start(self, on_change: Callable[[], None]) -> None:
        """Load tokens and freezes, and begin to watch for changes made by other processes.

        `on_change` is called on the loop after `tokens` or `freezes` was replaced. Raises
        GatewayError where the state cannot be read.
        """
        ...

    async def stop(self) -> None:
        """Stop watching and close."""
        ...

    def healthy(self) -> str | None:
        """Return None, or in one sentence what is wrong; for readiness."""
        ...

    def plan(self, claims: tuple[Claim, ...]) -> Plan:
        """Make `claims` ready to be reserved. Counters of equal scope and limit are shared.

        What was counted under a limit goes on counting when its ceiling changes at a reload.
        """
        ...

    def reserve(self, plan: Plan, now: float) -> Hold | Deny | Future[Hold | Deny]:
        """Reserve all of the plan's claims or none, in one atomic step. `now` is monotonic."""
        ...

    def settle(self, hold: Hold) -> None:
        """Give back what the exchange no longer uses. Synchronous, idempotent, never raises."""
        ...

    def used(self, token_id: str, address: str, now: float) -> None:
        """Note that a token was used, and from where. Kept in memory, written lazily."""
        ...
