"""Where live state is kept: one file per store, all behind the one protocol below."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.errors import Deny
from gateway.core.model import Token


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request asks of one limit: `amount` of `unit` within `scope`, under `ceiling`.

    Integers only. A bot's claims are made once, when the configuration is loaded.
    """

    scope: str
    unit: str
    amount: int
    ceiling: int
    counter: tuple[str, str] = field(init=False)
    """What is counted: one number per scope and unit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "counter", (self.scope, self.unit))


class Hold:
    """What was reserved for one exchange. Settled once; settling again does nothing."""

    __slots__ = ("claims", "exchange", "open")

    def __init__(self, exchange: str, claims: tuple[Claim, ...]) -> None:
        self.exchange = exchange
        self.claims = claims
        self.open = True


class Store(Protocol):
    """Tokens and reservations. The token map is local: a look-up never leaves the process."""

    tokens: Mapping[bytes, Token]
    """By digest, whole and current as of the last change seen. Replaced, never mutated."""

    async def start(self, on_change: Callable[[], None]) -> None:
        """Load the tokens and begin to watch for changes made by other processes.

        `on_change` is called on the loop after `tokens` was replaced. Raises GatewayError
        where the state cannot be read.
        """
        ...

    async def stop(self) -> None:
        """Stop watching and close."""
        ...

    def healthy(self) -> str | None:
        """Return None, or in one sentence what is wrong; for readiness."""
        ...

    def reserve(
        self, exchange: str, claims: tuple[Claim, ...], now: float
    ) -> Hold | Deny | Awaitable[Hold | Deny]:
        """Reserve all of `claims` or none, in one atomic step, before anything is sent."""
        ...

    def settle(self, hold: Hold) -> None:
        """Give back what the exchange no longer uses. Synchronous, idempotent, never raises."""
        ...

    def used(self, token_id: str, address: str, now: float) -> None:
        """Note that a token was used, and from where. Kept in memory, written lazily."""
        ...
