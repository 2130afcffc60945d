"""THE JOURNEY: one request from arrival to record. Read `Proxy.travel`, then the callbacks.

Up to `send` the journey is one coroutine, stepped by hand, which suspends only where it must
(a body to read, a key to fetch, a connection to open). From there both sides call back: the
provider's with `answer`, `relay` until the end, or `fail`; the bot's with `body`, or `gone`.
"""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Callable, Coroutine
from time import perf_counter
from types import CoroutineType
from typing import Any, TypeVar, cast

from gateway.admission import Admission
from gateway.audit import Audit
from gateway.bodies import Bodies
from gateway.core.answer import AnswerHead, Body
from gateway.core.errors import Deny, Refused
from gateway.core.framing import LAST_CHUNK
from gateway.core.outgoing import answer_head, refusal
from gateway.core.request import IDEMPOTENT
from gateway.defects import located
from gateway.exchange import NOWHERE, Exchange
from gateway.metrics import Metrics
from gateway.record import record_of
from gateway.slowing import Slowing
from gateway.stepping import step
from gateway.steps import Steps, framed
from gateway.upstream import Failure

_LOG = logging.getLogger("gateway.proxy")
_GONE = 499

T = TypeVar("T")


class Proxy:
    """Carries exchanges. Holds no state of any one of them: that is the `Exchange`'s."""

    def __init__(
        self,
        steps: Steps,
        admission: Admission,
        bodies: Bodies,
        slowing: Slowing,
        metrics: Metrics,
        audit: Audit,
    ) -> None:
        self._steps = steps
        self._admission = admission
        self._bodies = bodies
        self._slowing = slowing
        self._metrics = metrics
        self._audit = audit
        self.live: set[Exchange] = set()

    def arrive(self, x: Exchange) -> None:
        """1 arrive: a head was read, with as much of its body as came along."""
        self.live.add(x)
        self._start(x, self.travel(x))

    def _start(self, x: Exchange, journey: Coroutine[Any, Any, None]) -> None:
        x.journey = cast("CoroutineType[Any, Any, None]", journey)
        step(x.journey)

    async def travel(self, x: Exchange) -> None:
        """Take one request to its provider. The order of the steps is law."""
        steps, admission = self._steps, self._admission
        try:
            outgoing = steps.route(x)  # 2
            if x.route.reads_body:
                outgoing.body = await self._bodies.whole(x)
            steps.identify(x, outgoing)  # 3
            if admission.admit(x):  # 4
                await admission.judge(x, outgoing)
            waiting = steps.reserve(x)  # 5
            if waiting is not None:
                await waiting
            secret = steps.unlock(x)  # 6
            if isinstance(secret, Future):
                secret = await _waited(x, secret)
            head = steps.prepare(x, outgoing, secret)  # 7
            connection = steps.connect(x)
            if isinstance(connection, Future):
                connection = await _waited(x, connection)
            steps.send(x, connection, head, outgoing.body)  # 8
        except Refused as refused:
            deny, pause = self._slowing.judge(x, refused.deny)
            if pause is not None:
                await _waited(x, pause)
            self.refuse(x, deny)
        except Exception as error:
            self.crashed(x, error)

    async def _again(self, x: Exchange) -> None:
        """Steps 7 and 8 once more, on a connection that nobody has used."""
        steps = self._steps
        try:
            outgoing = steps.outgoing(x)
            if x.route.reads_body:
                outgoing.body = b"".join(x.parts)
            head = steps.prepare(x, outgoing, x.secret)
            connection = steps.connect(x, fresh=True)
            if isinstance(connection, Future):
                connection = await _waited(x, connection)
            steps.send(x, connection, head, outgoing.body)
        except Refused as refused:
            self.refuse(x, refused.deny)
        except Exception as error:
            self.crashed(x, error)

    # From the bot.

    def body(self, x: Exchange, data: bytes, *, ended: bool) -> None:
        """Pass on more of the request's body, or keep it until there is somewhere to pass it."""
        x.received += len(data)
        x.complete = ended
        if (x.watch is not None or x.reading is not None) and not self._looked_at(x, data, ended):
            return
        if x.provider_side is not None:
            x.provider_side.send(framed(x, data, ended))
            self._keep(x, data, ended)
            return
        x.parts.append(data)
        if x.reading is None and x.received > x.policy.snapshot.sizes.held:
            x.bot_side.pause_reading()

    def _looked_at(self, x: Exchange, data: bytes, ended: bool) -> bool:
        """Judge more of a body before it is passed on; return whether it may be."""
        try:
            self._bodies.arrived(x, data, ended=ended)
        except Refused as refused:
            x.watch = None
            if x.standing is None or not x.standing.observe:
                self.broken(x, refused.deny)
                return False
            x.observed = x.observed or refused.deny.code
        return True

    def _keep(self, x: Exchange, data: bytes, ended: bool) -> None:
        """Keep a body that is small enough, for a repeat and for the record's subject."""
        if x.replayable and x.answer is None:
            x.parts.append(data)
            if ended and not x.subject:
                self._admission.note_subject(x)

    def broken(self, x: Exchange, deny: Deny) -> None:
        """It must not go on: refuse, or cut what has begun."""
        if x.answer is None:
            self.refuse(x, deny)
        else:
            self._cut(x, deny.code)

    def gone(self, x: Exchange) -> None:
        """The bot left first: its request is taken back from the provider at once."""
        x.status, x.code = _GONE, "client_gone"
        self._let_go(x)
        self._conclude(x)

    def end(self, chosen: Callable[[Exchange], bool], deny: Deny) -> int:
        """End every live exchange that is `chosen`, refused or cut; return how many."""
        doomed = [x for x in self.live if chosen(x)]
        for x in doomed:
            self.broken(x, deny)
        return len(doomed)

    # From the provider.

    def answer(self, x: Exchange, answer: AnswerHead) -> bool:
        """9 answer: the point of no return. False where the request goes out once more instead.

        Nothing was passed on yet, so this is where an answer can still be disbelieved.
        """
        if answer.status == 408 and answer.close and self._may_repeat(x):
            # What servers say to a connection that was idle for too long (RFC 9110 15.5.9).
            self._repeat(x)
            return False
        x.answer = answer
        x.parts = []
        if x.read:  # its provider took it, however long the answer lasts
            self._bodies.forget(x)
        x.status = answer.status
        x.first_byte = now = perf_counter()
        x.request_id = answer.request_id.decode("latin-1")
        close = x.head.close or x.bot_side.will_close
        quota = x.hold.quota(now) if x.hold is not None else ""
        x.head_out, x.chunked_out = answer_head(
            answer, x.id, x.head.http10, close, reframed=bool(x.taps), quota=quota
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
            x.bot_side.done(x.head.close)

    def fail(self, x: Exchange, failure: Failure) -> None:
        """The provider's side failed: once more if that is safe, else 502 or 504, else cut."""
        x.provider_side = None
        self._metrics.failure(x.route.name, failure.kind)
        _LOG.info("exchange %s: %s", x.id, failure.detail)
        if x.answer is not None and not x.head_out:
            self._cut(x, "upstream_incomplete")
        elif not failure.answered and self._may_repeat(x):
            self._repeat(x)
        else:
            x.answer = None
            self.refuse(x, _FAILURES[failure.kind])

    def _may_repeat(self, x: Exchange) -> bool:
        """Whether the same request may be sent once more: safe, whole, and the first repeat.

        RFC 9110 9.2.2: a proxy repeats only what is idempotent, or what says that it is.
        """
        if not x.replayable or not x.complete or x.attempts != 1 or not x.reused:
            return False
        return x.head.method in IDEMPOTENT or any(
            line[:16].lower() == b"idempotency-key:" for line in x.head.lines
        )

    def _repeat(self, x: Exchange) -> None:
        self._metrics.retry(x.route.name)
        x.provider_side = None
        self._start(x, self._again(x))

    # The end.

    def refuse(self, x: Exchange, deny: Deny) -> None:
        """Answer with a refusal, in the shape of the provider's own errors."""
        if x.over:
            return
        shape = x.route.provider.refuse(deny, x.id)
        x.status, x.code = shape.status, deny.code
        self._metrics.refusal(x.route.name, deny.code)
        self._let_go(x)
        close = x.head.close or not x.complete or x.bot_side.will_close
        x.bot_side.write(refusal(shape, x.id, x.head.method, close))
        self._conclude(x)
        x.bot_side.done(close)

    def crashed(self, x: Exchange, error: Exception) -> None:
        """A defect of ours: end the exchange, and say where. Its message might hold anything."""
        _LOG.error("exchange %s: %s", x.id, located(error))
        if x.over:  # it is the bot's next request that failed: its end is the connection's
            x.bot_side.abort()
        elif x.answer is not None and not x.head_out:
            self._cut(x, _DEFECT.code)
        else:
            x.answer = None
            x.head.close = True  # whatever went wrong, the next request is not to meet it
            self.refuse(x, _DEFECT)

    def refusal_without_exchange(self, deny: Deny) -> bytes:
        """Return the refusal of a connection, on which no request was read."""
        self._metrics.refusal("", deny.code)
        return refusal(NOWHERE.provider.refuse(deny, ""), "", b"", close=True)

    def _cut(self, x: Exchange, code: str) -> None:
        x.code = code
        self._let_go(x)
        framed_out = x.answer is None or x.chunked_out or x.answer.body is Body.LENGTH
        self._conclude(x)
        x.bot_side.cut(framed_out)

    def _let_go(self, x: Exchange) -> None:
        """Leave the provider's side, and end a journey that still waits for something."""
        connection, x.provider_side = x.provider_side, None
        if connection is not None:
            connection.abandon()
        journey, x.journey = x.journey, None
        if journey is not None and not journey.cr_running:
            journey.close()
        waiting, x.waiting = x.waiting, None
        if waiting is not None:
            waiting.cancel()

    def _conclude(self, x: Exchange) -> None:
        """11 settle and 12 record: on every path, exactly once."""
        if x.over:
            return
        x.over = True
        self.live.discard(x)
        x.parts = []
        self._steps.settle(x)
        now = perf_counter()
        self._metrics.exchange(x, now - x.started)
        self._audit.write(record_of(x, now))


async def _waited(x: Exchange, promise: Future[T]) -> T:
    """Wait for `promise`, which is cancelled if the exchange ends first."""
    x.waiting = promise
    result = await promise
    x.waiting = None
    return result


_DEFECT = Deny(500, "defect", "The gateway has a defect here; please report it", repeatable=False)
_FAILURES = {
    "closed": Deny(502, "upstream_closed", "The provider closed the connection", repeatable=False),
    "malformed": Deny(
        502, "upstream_malformed", "The provider's answer is not valid HTTP", repeatable=False
    ),
    "first_byte_timeout": Deny(
        504, "upstream_timeout", "The provider did not begin to answer in time", repeatable=False
    ),
    "stream_timeout": Deny(504, "upstream_timeout", "The provider fell silent", repeatable=False),
}
