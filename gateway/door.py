"""The door that bots come through: who is in, how many at most, and what they share."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from asyncio import AbstractEventLoop

from gateway.core.errors import Deny
from gateway.core.request import RequestHead
from gateway.deadlines import Deadlines
from gateway.downstream import BotConnection
from gateway.exchange import Exchange
from gateway.policy import Policy
from gateway.proxy import Proxy

_RESERVED = 32
"""Files that are no bot's and no provider's connection; a bot's may need one to a provider."""
_LINGERING = 8


class Door:
    """All connections from bots, counted in total and by address."""

    def __init__(
        self, loop: AbstractEventLoop, proxy: Proxy, policy: Policy, deadlines: Deadlines
    ) -> None:
        self.proxy = proxy
        self.now = loop.time
        self.draining = False
        self.inside: set[BotConnection] = set()
        self.emptied = asyncio.Event()
        self.emptied.set()
        self._deadlines = deadlines
        self._addresses: dict[str, int] = {}
        self._bits = random.SystemRandom().getrandbits(64)
        self._random = random.Random(self._bits).getrandbits  # noqa: S311 an id, not a secret
        self.use(policy)

    def use(self, policy: Policy) -> None:
        """Judge by `policy` from the next request on."""
        self.policy = policy
        self.seconds = policy.snapshot.deadlines
        self.sizes = policy.snapshot.sizes
        files = _files()
        self._most = min(policy.snapshot.connections.total, max(4, (files - _RESERVED) // 2))
        # Whoever is turned away lingers, but never on the files that those inside may need.
        spare = files - _RESERVED - 2 * self._most
        self._most_in_all = self._most + max(_LINGERING, min(spare, 1024))
        self._most_per_address = policy.snapshot.connections.per_address

    @property
    def is_full(self) -> bool:
        """Whether the next connection is turned away."""
        return len(self.inside) >= self._most

    @property
    def is_crowded(self) -> bool:
        """Whether whoever is turned away cannot be given the time to read why."""
        return len(self.inside) > self._most_in_all

    def enter(self, connection: BotConnection) -> Deny | None:
        """Note a new connection; a `Deny` where there are too many."""
        full = self.is_full
        self.inside.add(connection)
        self.emptied.clear()
        self._deadlines.watch(connection)
        count = self._addresses.get(connection.address, 0) + 1
        self._addresses[connection.address] = count
        if full:
            return Deny(503, "too_many_connections", "The gateway has no room for more connections")
        trusted = self.policy.trusted  # a load balancer brings everybody's connections
        if count > self._most_per_address and not (trusted and connection.address in trusted):
            return Deny(429, "too_many_connections", "This address has too many connections open")
        return None

    def leave(self, connection: BotConnection) -> None:
        """Note that a connection is gone."""
        self.inside.discard(connection)
        if not self.inside:
            self.emptied.set()
        self._deadlines.forget(connection)
        count = self._addresses.get(connection.address, 0) - 1
        if count > 0:
            self._addresses[connection.address] = count
        else:
            self._addresses.pop(connection.address, None)

    def exchange(self, connection: BotConnection, head: RequestHead) -> Exchange:
        """Begin an exchange; the policy of this moment is its policy to the end."""
        return Exchange(
            f"{self._random(80):020x}",
            self.policy,
            head,
            connection,
            time.perf_counter(),
            time.time(),
        )


def _files() -> int:
    """Return how many files and sockets this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2_000_000 if soft == resource.RLIM_INFINITY else soft
