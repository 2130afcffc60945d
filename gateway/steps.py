"""The steps of the journey, 2 to 8 but for 4: admission.py. Each goes one step, or refuses."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable
from time import perf_counter, time

from gateway.admission import object_to
from gateway.audit import Audit
from gateway.bodies import Bodies
from gateway.core.clients import Client, client
from gateway.core.errors import Deny, Refused
from gateway.core.framing import LAST_CHUNK, chunk
from gateway.core.inject import inject
from gateway.core.model import Route
from gateway.core.outgoing import request_head, unencoded
from gateway.core.places import Outgoing, Place
from gateway.core.request import Learnt
from gateway.core.routing import ambiguity
from gateway.core.secret import Secret
from gateway.core.tokens import digest
from gateway.cuts import EXPIRED
from gateway.exchange import NOWHERE, Exchange
from gateway.keyring import Keyring
from gateway.pool import Lane, LaneKey, Pool
from gateway.stores import Hold, Store
from gateway.upstream import ProviderConnection

_REPLAY = 65_536
_LANES = 1024


class Steps:
    """What the steps need, and what is cached between exchanges (bounded)."""

    def __init__(
        self, store: Store, keyring: Keyring, pool: Pool, audit: Audit, bodies: Bodies
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._pool = pool
        self._audit = audit
        self._bodies = bodies
        self._lanes: dict[tuple[Route, Secret | None], Lane] = {}

    def route(self, x: Exchange) -> Outgoing:
        """2 route: where the target goes, or nowhere."""
        learnt = x.head.learnt
        if learnt.policy is not x.policy:
            learnt = x.head.learnt = _learn(x)
        x.address, x.found, x.route = learnt.address, learnt.by_way_of, learnt.route
        if learnt.astray is not None:  # its path is not recorded: a token may stand anywhere
            raise Refused(learnt.astray)
        x.path, x.query = learnt.path, learnt.query
        if x.head.upgrade:
            raise Refused(_UPGRADE)
        return self.outgoing(x)

    def outgoing(self, x: Exchange) -> Outgoing:
        """Return the request as it will go out, but for its token and secret."""
        head = x.head
        lines = head.lines.copy()
        if not x.route.compression:
            lines = unencoded(lines)
        return Outgoing(x.path, x.query, head.credentials, lines, head.content_type)

    def identify(self, x: Exchange, outgoing: Outgoing) -> None:
        """3 identify: exactly one token, wherever this route's SDKs put it."""
        learnt = x.head.learnt
        if not learnt.token or x.route.reads_body:
            learnt.token, learnt.inject = _shown(x.route, outgoing)
            learnt.noted = 0.0
        x.inject = learnt.inject
        token = self._store.tokens.get(learnt.token) or x.policy.pinned.get(learnt.token)
        if token is None:
            raise Refused(_UNKNOWN_TOKEN)
        x.token, x.bot = token, token.bot
        if token.expires is not None and time() >= token.expires:  # now: a body was read
            raise Refused(EXPIRED)

    def reserve(self, x: Exchange) -> Awaitable[None] | None:
        """5 reserve: all limits in one step, before a key is touched or a byte is sent."""
        if self._audit.full:
            raise Refused(_NO_RECORD)
        standing = x.standing
        assert standing is not None
        plan = standing.plan
        if plan is None:
            plan = standing.plan = self._store.plan(standing.claims)
        found = self._store.reserve(plan, perf_counter())  # later than `started`: a body was read
        if isinstance(found, Future):
            return self._reserved(x, found)
        if isinstance(found, Deny):
            object_to(x, found)
        else:
            x.hold = found
        return None

    async def _reserved(self, x: Exchange, promise: Future[Hold | Deny]) -> None:
        # The bot may leave meanwhile: what was reserved for nobody is given back at once.
        promise.add_done_callback(lambda done: self._late(x, done))
        found = await promise
        if isinstance(found, Deny):
            object_to(x, found)

    def _late(self, x: Exchange, done: Future[Hold | Deny]) -> None:
        found = None if done.cancelled() or done.exception() else done.result()
        if found is not None and not isinstance(found, Deny):
            x.hold = found
            if x.over:
                self._store.settle(found)

    def unlock(self, x: Exchange) -> Secret | Future[Secret] | None:
        """6 unlock: the real key; one that is at hand does not suspend the journey."""
        ref = x.route.secret
        return self._keyring.get(ref, x.bot) if ref is not None else None

    def prepare(self, x: Exchange, outgoing: Outgoing, secret: Secret | None) -> bytes:
        """7 prepare: the token out of every place, the secret into its own, the head built."""
        x.secret = secret
        for place in x.route.tokens:
            if place not in x.inject or secret is None:
                place.remove(outgoing)
        if secret is not None:
            inject(outgoing, x.inject, secret)
        return request_head(x.head, x.route, outgoing)

    def connect(
        self, x: Exchange, *, fresh: bool = False
    ) -> ProviderConnection | Future[ProviderConnection]:
        """Return a connection to the provider that no other secret has used, or its promise."""
        lane = self._lanes.get((x.route, x.secret)) or self._lane(x)
        return self._pool.dial(lane) if fresh else self._pool.take(lane)

    def _lane(self, x: Exchange) -> Lane:
        if len(self._lanes) >= _LANES:
            self._lanes.clear()
        label = x.secret.label if x.secret is not None else ""
        key = LaneKey(x.route.origin, label, x.route.private, x.route.ca)
        lane = self._lanes[x.route, x.secret] = self._pool.lane(key)
        return lane

    def send(
        self, x: Exchange, connection: ProviderConnection, head: bytes, body: bytes | None
    ) -> None:
        """8 send: the head and all of the body that is at hand, in one write."""
        if connection.is_closed():  # since it was dialled
            raise Refused(_CLOSED)
        x.provider_side = connection
        x.reused = connection.reused
        x.attempts += 1
        if x.head.expect and not x.received:
            x.bot_side.invite_body()
        if body is None:
            body = framed(x, b"".join(x.parts), x.complete)
        connection.begin(x, head + body)
        if max(x.received, x.head.length) > _REPLAY or (x.head.chunked and not x.complete):
            x.replayable = False
            x.parts = []
        if not x.complete:
            x.bot_side.resume_reading()

    def settle(self, x: Exchange) -> None:
        """11 settle: give back what the exchange held, here and in the store."""
        if x.read:
            self._bodies.forget(x)
        if x.hold is not None:
            self._store.settle(x.hold)


def _learn(x: Exchange) -> Learnt:
    """Work out what follows from the head alone, under the exchange's policy."""
    policy, head = x.policy, x.head
    learnt = Learnt(policy)
    learnt.client = found = client(x.bot_side.address, head.forwarded, policy.proxies)
    if isinstance(found, Client):
        learnt.address, learnt.by_way_of = found.address, found.found
    else:
        learnt.address = x.bot_side.address
    place = policy.router.find(head.target, head.host, x.bot_side.listener)
    if isinstance(place, Deny):
        learnt.route, learnt.astray = NOWHERE, ambiguity(head.target) or place
    else:
        learnt.route, learnt.path, learnt.query = place
        learnt.astray = ambiguity(head.target, learnt.route)
    return learnt


def framed(x: Exchange, data: bytes, ended: bool) -> bytes:
    """Return more of the request's body, framed as its head says."""
    if not x.head.chunked:
        return data
    return (chunk(data) if data else b"") + (LAST_CHUNK if ended else b"")


def _shown(route: Route, outgoing: Outgoing) -> tuple[bytes, tuple[Place, ...]]:
    """Return the digest of the one token that is shown, and where the secret goes."""
    names = [name for name, _ in outgoing.credentials]
    if len(set(names)) < len(names):  # whichever a provider would read, the other is unjudged
        raise Refused(_TWO_TOKENS)
    shown = b""
    places = route.inject
    for place in route.tokens:
        for candidate in place.find(outgoing):
            if shown and candidate != shown:
                raise Refused(_TWO_TOKENS)
            if not shown:
                shown = candidate
                places = places or (place,)
    if not shown:
        raise Refused(_NO_TOKEN)
    return digest(shown), places


_UPGRADE = Deny(501, "upgrade", "This gateway does not carry upgraded connections yet")
_NO_TOKEN = Deny(401, "no_token", "The request carries no token where this route looks for it")
_TWO_TOKENS = Deny(
    401, "two_tokens", "The request carries two tokens, or one header for them twice"
)
_UNKNOWN_TOKEN = Deny(401, "unknown_token", "The token is not one of this gateway's")
_CLOSED = Deny(502, "upstream_closed", "The provider closed the connection", repeatable=True)
_NO_MEMORY = Deny(503, "busy", "Too many request bodies are being read", repeatable=True)
_NO_RECORD = Deny(503, "record_full", "The record cannot be written, so nothing is let through")
