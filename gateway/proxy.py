"""THE JOURNEY: one request from arrival to record. Read `Proxy.travel`, then the four callbacks.

Up to `send` the journey is one coroutine, stepped by hand, which suspends only where it must
(a key to fetch, a connection to open). From there the provider's connection calls back:
`answer`, then `relay` until the end, or `fail`; and `gone` if the bot leaves first.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import AbstractEventLoop, Future
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import cast

from gateway.audit import Audit
from gateway.core.answer import AnswerHead, Body
from gateway.core.errors import Deny, Refused
from gateway.core.framing import LAST_CHUNK, chunk
from gateway.core.inject import inject
from gateway.core.model import Route
from gateway.core.outgoing import answer_head, refusal, request_head, unencoded
from gateway.core.places import Outgoing, Place
from gateway.core.request import IDEMPOTENT, RequestHead
from gateway.core.secret import Secret
from gateway.core.tokens import digest
from gateway.exchange import Exchange
from gateway.keyring import Keyring
from gateway.metrics import Metrics
from gateway.policy import Policy
from gateway.record import record_of
from gateway.stepping import step
from gateway.stores import Hold, Store
from gateway.upstream import Failure, Pool, PoolKey, ProviderConnection, Upstream

_LOG = logging.getLogger("gateway.proxy")
_REPLAY = 65_536
_POOLS = 1024
_GONE = 499


class Proxy:
    """Carries exchanges. Holds no state of any one of them: that is the `Exchange`'s."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        store: Store,
        keyring: Keyring,
        upstream: Upstream,
        metrics: Metrics,
        audit: Audit,
    ) -> None:
        self._loop = loop
        self._store = store
        self._keyring = keyring
        self._upstream = upstream
        self._metrics = metrics
        self._audit = audit
        self._pools: dict[tuple[Route, Secret | None], Pool] = {}
        self._peeked = 0
        self.live: set[Exchange] = set()

    # Until `send`.

    def arrive(self, x: Exchange) -> None:
        """1 arrive: a head was read, with as much of its body as came along."""
        self.live.add(x)
        x.journey = self.travel(x)
        step(x.journey)

    async def travel(self, x: Exchange) -> None:
        """Take one request to its provider. The order of the steps is law."""
        try:
            outgoing = self._route(x)  # 2
            if self._needs_body(x):
                outgoing.body = await self._body(x)
            self._identify(x, outgoing)  # 3
            self._admit(x)  # 4
            hold = self._reserve(x)  # 5
            if not isinstance(hold, Hold):
                hold = await hold
            secret = self._unlock(x)  # 6
            if isinstance(secret, Future):
                secret = await secret
            head = self._prepare(x, outgoing, secret)  # 7
            connection = self._connect(x)
            if isinstance(connection, Future):
                connection = await connection
            self._send(x, connection, head, outgoing.body)  # 8
        except Refused as refused:
            self.refuse(x, refused.deny)

    def _route(self, x: Exchange) -> Outgoing:
        """2 route: where the target goes, or nowhere."""
        head = x.head
        assert head is not None
        learnt = head.learnt
        if learnt.policy is not x.policy:
            learnt.policy, learnt.token = x.policy, b""
            learnt.found = x.policy.router.find(head.target)
        if isinstance(learnt.found, Deny):
            raise Refused(learnt.found)
        x.route, x.path, x.query = learnt.found
        if head.upgrade:
            raise Refused(_UPGRADE)
        return self._outgoing(x, head)

    def _outgoing(self, x: Exchange, head: RequestHead) -> Outgoing:
        lines = head.lines.copy()
        if x.route is not None and not x.route.compression:
            lines = unencoded(head, lines)
        return Outgoing(x.path, x.query, head.credentials, lines, head.content_type)

    def _needs_body(self, x: Exchange) -> bool:
        return x.route is not None and x.route.reads_body

    async def _body(self, x: Exchange) -> bytes:
        """Wait for the whole body, under a bound of its own and one for all together."""
        assert x.head is not None
        most = x.policy.snapshot.sizes.peek
        if x.head.length > most or x.received > most:
            raise Refused(Deny(413, "body_too_large", _peek_reason(most), repeatable=False))
        if self._peeked + max(x.head.length, x.received) > x.policy.snapshot.sizes.peeks:
            raise Refused(_NO_MEMORY)
        self._peeked += x.received
        x.peeked = x.received
        if not x.complete:
            if x.head.expect and not x.received:
                x.bot_side.invite_body()
            x.peeking = self._loop.create_future()
            await x.peeking
            x.peeking = None
        body = b"".join(x.parts)
        x.parts = [body]
        return body

    def _identify(self, x: Exchange, outgoing: Outgoing) -> None:
        """3 identify: exactly one token, wherever this route's SDKs put it."""
        assert x.route is not None and x.head is not None
        learnt = x.head.learnt
        if not learnt.token or x.route.reads_body:
            learnt.token, learnt.inject = self._shown(x.route, outgoing)
        x.inject = learnt.inject
        token = self._store.tokens.get(learnt.token) or x.policy.pinned.get(learnt.token)
        if token is None:
            raise Refused(_UNKNOWN_TOKEN)
        x.token, x.bot = token, token.bot
        if token.expires is not None and x.wall >= token.expires:
            raise Refused(_EXPIRED_TOKEN)

    def _shown(self, route: Route, outgoing: Outgoing) -> tuple[bytes, tuple[Place, ...]]:
        """Return the digest of the one token that is shown, and where the secret goes."""
        shown = b""
        inject = route.inject
        for place in route.tokens:
            for candidate in place.find(outgoing):
                if shown and candidate != shown:
                    raise Refused(_TWO_TOKENS)
                if not shown:
                    shown = candidate
                    inject = inject or (place,)
        if not shown:
            raise Refused(_NO_TOKEN)
        return digest(shown), inject

    def _admit(self, x: Exchange) -> None:
        """4 admit: what this bot may do; what no rule allows is refused."""
        assert x.route is not None and x.token is not None
        bot = x.policy.snapshot.bots.get(x.bot)
        if bot is None:
            raise Refused(Deny(403, "bot_unknown", f"There is no bot {x.bot} any more"))
        rule = bot.allow.get(x.route.name)
        if rule is None:
            reason = f"Bot {x.bot} has no rule that allows route {x.route.name}"
            raise Refused(Deny(403, "route_not_allowed", reason))
        x.rule = rule.place
        x.subject = self._subject(x)
        self._store.used(x.token.id, x.address, x.wall)

    def _subject(self, x: Exchange) -> str:
        finder = x.policy.subjects.get(x.route.name) if x.route is not None else None
        if finder is None or x.head is None:
            return ""
        body = b"".join(x.parts) if x.complete and x.received <= _REPLAY else b""
        return finder.find(x.path, x.query, x.head.content_type, body)

    def _reserve(self, x: Exchange) -> Hold | Awaitable[Hold]:
        """5 reserve: all limits in one step, before a key is touched or a byte is sent."""
        if self._audit.full:
            raise Refused(_NO_RECORD)
        hold = self._store.reserve(x.id, x.policy.claims[x.bot], x.started)
        if type(hold) is Hold:
            x.hold = hold
            return hold
        if isinstance(hold, Deny):
            raise Refused(hold)
        return self._reserved(x, cast("Awaitable[Hold | Deny]", hold))

    async def _reserved(self, x: Exchange, promise: Awaitable[Hold | Deny]) -> Hold:
        future = asyncio.ensure_future(promise)
        # The bot may leave meanwhile: what was reserved for nobody is given back at once.
        future.add_done_callback(lambda done: self._late(x, done))
        hold = await future
        if isinstance(hold, Deny):
            raise Refused(hold)
        return hold

    def _late(self, x: Exchange, done: Future[Hold | Deny]) -> None:
        hold = None if done.cancelled() or done.exception() else done.result()
        if isinstance(hold, Hold):
            x.hold = hold
            if x.over:
                self._store.settle(hold)

    def _unlock(self, x: Exchange) -> Secret | Future[Secret] | None:
        """6 unlock: the real key; one that is at hand does not suspend the journey."""
        assert x.route is not None
        return self._keyring.get(x.route.secret, x.bot) if x.route.secret is not None else None

    def _prepare(self, x: Exchange, outgoing: Outgoing, secret: Secret | None) -> bytes:
        """7 prepare: the token out of every place, the secret into its own, the head built."""
        assert x.route is not None and x.head is not None
        x.secret = secret
        for place in x.route.tokens:
            if place not in x.inject or secret is None:
                place.remove(outgoing)
        if secret is not None:
            inject(outgoing, x.inject, secret)
        return request_head(x.head, x.route, outgoing)

    def _connect(self, x: Exchange, *, fresh: bool = False) -> (
        ProviderConnection | Future[ProviderConnection]
    ):
        pool = self._pool(x)
        return self._upstream.dial(pool) if fresh else self._upstream.take(pool)

    def _pool(self, x: Exchange) -> Pool:
        route, secret = x.route, x.secret
        assert route is not None
        pool = self._pools.get((route, secret))
        if pool is None:
            if len(self._pools) >= _POOLS:
                self._pools.clear()
            named = secret.label if secret is not None else ""
            key = PoolKey(route.origin, named, route.private, route.ca)
            pool = self._pools[route, secret] = self._upstream.pool(key)
        return pool

    def _send(
        self, x: Exchange, connection: ProviderConnection, head: bytes, body: bytes | None
    ) -> None:
        """8 send: the head and all of the body that is at hand, in one write."""
        assert x.head is not None
        x.provider_side = connection
        x.attempts += 1
        x.reused = connection.reused
        if x.head.expect and not x.received:
            x.bot_side.invite_body()
        if body is None:
            body = self._framed(x, b"".join(x.parts), x.complete)
        connection.begin(x, head + body)
        if not x.complete or len(body) > _REPLAY:
            x.replayable = False
            x.parts = []
            x.bot_side.resume_reading()

    def _framed(self, x: Exchange, data: bytes, ended: bool) -> bytes:
        assert x.head is not None
        if not x.head.chunked:
            return data
        return (chunk(data) if data else b"") + (LAST_CHUNK if ended else b"")

    # From the bot.

    def body(self, x: Exchange, data: bytes, *, ended: bool) -> None:
        """Pass on more of the request's body, or keep it until there is somewhere to pass it."""
        x.received += len(data)
        x.complete = ended
        if x.provider_side is not None:
            x.provider_side.send(self._framed(x, data, ended))
            return
        x.parts.append(data)
        if x.peeking is not None:
            self._peek(x, len(data), ended)
        elif x.received > x.policy.snapshot.sizes.held:
            x.bot_side.pause_reading()

    def _peek(self, x: Exchange, size: int, ended: bool) -> None:
        assert x.peeking is not None
        sizes = x.policy.snapshot.sizes
        x.peeked += size
        self._peeked += size
        if x.received > sizes.peek:
            deny = Deny(413, "body_too_large", _peek_reason(sizes.peek), repeatable=False)
            x.peeking.set_exception(Refused(deny))
        elif self._peeked > sizes.peeks:
            x.peeking.set_exception(Refused(_NO_MEMORY))
        elif ended:
            x.peeking.set_result(None)

    def broken(self, x: Exchange, deny: Deny) -> None:
        """The request's body went wrong: refuse, or cut what has begun."""
        if x.answer is None:
            self.refuse(x, deny)
        else:
            x.code = deny.code
            self._cut(x)

    def gone(self, x: Exchange) -> None:
        """The bot left first: its request is taken back from the provider at once."""
        x.status, x.code = _GONE, "client_gone"
        self._let_go(x)
        self._conclude(x)

    def cut(self, chosen: Callable[[Exchange], bool], code: str) -> int:
        """Break every live exchange that is `chosen`; return how many."""
        doomed = [x for x in self.live if chosen(x)]
        for x in doomed:
            x.code = code
            self._cut(x)
        return len(doomed)

    # From the provider.

    def answer(self, x: Exchange, answer: AnswerHead) -> bool:
        """9 answer: the point of no return. False where the request goes out once more instead.

        Nothing was passed on yet, so this is where an answer can still be disbelieved.
        """
        assert x.head is not None
        if answer.status == 408 and answer.close and self._may_repeat(x):
            # What servers say to a connection that was idle for too long (RFC 9110 15.5.9).
            self._repeat(x)
            return False
        x.answer = answer
        x.parts = []
        x.status = answer.status
        x.first_byte = perf_counter()
        x.request_id = answer.request_id.decode("latin-1")
        close = x.head.close or x.bot_side.will_close
        x.head_out, x.chunked_out = answer_head(
            answer, x.id, x.head.http10, close, reframed=bool(x.taps)
        )
        return True

    def relay(self, x: Exchange, data: bytes, ended: bool) -> None:
        """10 relay: pass on what came of the answer's body, the head with the first of it."""
        for tap in x.taps:
            data = tap.feed(data) + tap.end() if ended else tap.feed(data)
        out, x.head_out = x.head_out, b""
        if x.chunked_out:
            if data:
                out = b"%b%x\r\n%b\r\n" % (out, len(data), data)
            if ended:
                out += LAST_CHUNK
        elif data:
            out = out + data if out else data
        x.sent += len(data)
        if out:
            x.bot_side.write(out)
        if ended:
            self._conclude(x)
            assert x.head is not None
            x.bot_side.done(x.head.close)

    def fail(self, x: Exchange, failure: Failure) -> None:
        """The provider's side failed: once more if that is safe, else 502 or 504, else cut."""
        assert x.route is not None
        x.provider_side = None
        self._metrics.failure(x.route.name, failure.kind)
        _LOG.info("exchange %s: %s", x.id, failure.detail)
        if x.answer is not None and not x.head_out:
            x.code = "upstream_incomplete"
            self._cut(x)
        elif not failure.answered and self._may_repeat(x):
            self._repeat(x)
        else:
            x.answer = None
            self.refuse(x, _FAILURES[failure.kind])

    def _may_repeat(self, x: Exchange) -> bool:
        """Whether the same request may be sent once more: safe, whole, and the first repeat.

        RFC 9110 9.2.2: a proxy repeats only what is idempotent, or what says that it is.
        """
        assert x.head is not None
        if not x.replayable or not x.complete or x.attempts != 1 or not x.reused:
            return False
        return x.head.method in IDEMPOTENT or any(
            line[:16].lower() == b"idempotency-key:" for line in x.head.lines
        )

    def _repeat(self, x: Exchange) -> None:
        assert x.route is not None
        self._metrics.retry(x.route.name)
        x.provider_side = None
        x.journey = self._again(x)
        step(x.journey)

    async def _again(self, x: Exchange) -> None:
        """Steps 7 and 8 once more, on a connection that nobody has used."""
        try:
            assert x.head is not None
            outgoing = self._outgoing(x, x.head)
            if self._needs_body(x):
                outgoing.body = b"".join(x.parts)
            head = self._prepare(x, outgoing, x.secret)
            connection = self._connect(x, fresh=True)
            if isinstance(connection, Future):
                connection = await connection
            self._send(x, connection, head, outgoing.body)
        except Refused as refused:
            self.refuse(x, refused.deny)

    # The end.

    def refuse(self, x: Exchange, deny: Deny) -> None:
        """Answer with a refusal, in the shape of the provider's own errors."""
        if x.over:
            return
        x.status, x.code = deny.status, deny.code
        self._metrics.refusal(x.route.name if x.route else "", deny.code)
        self._let_go(x)
        close = x.head is None or x.head.close or not x.complete or x.bot_side.will_close
        method = x.head.method if x.head is not None else b""
        x.bot_side.write(refusal(x.provider, deny, x.id, method, close))
        self._conclude(x)
        x.bot_side.done(close)

    def refusal_without_exchange(self, deny: Deny) -> bytes:
        """Return the refusal of a connection, on which no request was read."""
        self._metrics.refusal("", deny.code)
        return refusal(None, deny, "", b"", close=True)

    def _cut(self, x: Exchange) -> None:
        self._let_go(x)
        framed = x.answer is None or x.chunked_out or x.answer.body is Body.LENGTH
        self._conclude(x)
        x.bot_side.cut(framed)

    def _let_go(self, x: Exchange) -> None:
        """Leave the provider's side, and end a journey that still waits for something."""
        connection, x.provider_side = x.provider_side, None
        if connection is not None:
            connection.abandon()
        journey, x.journey = x.journey, None
        if journey is not None and not journey.cr_running:
            journey.close()

    def _conclude(self, x: Exchange) -> None:
        """11 settle and 12 record: on every path, exactly once."""
        if x.over:
            return
        x.over = True
        self.live.discard(x)
        x.parts = []
        self._peeked -= x.peeked
        if x.hold is not None:
            self._store.settle(x.hold)
        now = perf_counter()
        first = x.first_byte - x.started if x.first_byte else 0.0
        self._metrics.exchange(
            x.route.name if x.route else "",
            x.bot,
            x.status,
            now - x.started,
            first,
            x.received,
            x.sent,
        )
        self._audit.write(record_of(x, now))


def _peek_reason(most: int) -> str:
    return f"This route reads the request's body, of which it reads at most {most} bytes"


_UPGRADE = Deny(501, "upgrade", "This gateway does not carry upgraded connections yet")
_NO_TOKEN = Deny(401, "no_token", "The request carries no token where this route looks for it")
_TWO_TOKENS = Deny(401, "two_tokens", "The request carries two different tokens")
_UNKNOWN_TOKEN = Deny(401, "unknown_token", "The token is not one of this gateway's")
_EXPIRED_TOKEN = Deny(401, "expired_token", "The token has expired")
_NO_MEMORY = Deny(503, "busy", "Too many request bodies are being read", repeatable=True)
_NO_RECORD = Deny(503, "record_full", "The record cannot be written, so nothing is let through")
_FAILURES = {
    "closed": Deny(
        502, "upstream_closed", "The provider closed the connection", repeatable=False
    ),
    "malformed": Deny(
        502, "upstream_malformed", "The provider's answer is not valid HTTP", repeatable=False
    ),
    "first_byte_timeout": Deny(
        504, "upstream_timeout", "The provider did not begin to answer in time", repeatable=False
    ),
    "stream_timeout": Deny(
        504, "upstream_timeout", "The provider fell silent", repeatable=False
    ),
}
