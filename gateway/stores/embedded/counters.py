"""Reservations in memory: the counters of every limit, shared by all who come under it."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.errors import Deny
from gateway.core.limits import SECOND, Concurrency, Counter, Gcra, Window, counter
from gateway.core.model import Limit
from gateway.core.quota import period, policy, quota, sentence
from gateway.stores import Claim, Hold, Plan

FEW = 10_000
_MILLISECOND = SECOND // 1000
Key = tuple[str, str, int, bool, int]


class Ready:
    """Implements `Plan`. Its counters are current as long as `epoch` is that of `Counters`."""

    __slots__ = ("claims", "counters", "epoch", "policy", "quotas", "rates", "slots")

    def __init__(
        self, claims: tuple[Claim, ...], counters: tuple[Counter, ...], epoch: int
    ) -> None:
        self.claims = claims
        self.use(counters, epoch)
        self.policy = policy(one.limit for _, one in self.quotas)

    def use(self, counters: tuple[Counter, ...], epoch: int) -> None:
        """Count with `counters`, one for each claim."""
        self.counters = counters
        self.epoch = epoch
        self.slots = tuple(one for one in counters if isinstance(one, Concurrency))
        """Those among them that want back what was taken."""
        self.rates = tuple(one for one in counters if not isinstance(one, Concurrency))
        self.quotas = tuple(
            (period(one.limit), one)
            for claim, one in zip(self.claims, counters, strict=True)
            if claim.scope.startswith("bot:") and not isinstance(one, Concurrency)
        )
        """Those among them that the bot is told of, and their names."""


class Taken:
    """Implements `Hold`."""

    __slots__ = ("_quotas", "slots")

    def __init__(self, plan: Ready) -> None:
        self._quotas = plan.quotas
        self.slots = plan.slots

    def quota(self, now: float) -> str:
        """See `Hold.quota`: what is left by the limit with the least left."""
        quotas = self._quotas
        if not quotas:
            return ""
        at = round(now * SECOND)
        if len(quotas) == 1:
            ((name, one),) = quotas
            return quota(name, *one.left(at))
        (left, reset), name = min([(one.left(at), name) for name, one in quotas])
        return quota(name, left, reset)


class Counters:
    """Reserves and gives back. `clock` gives seconds, as the `now` of `reserve` does.

    `few` counters are kept without a look at whether they are still needed.
    """

    def __init__(self, clock: Callable[[], float], few: int = FEW) -> None:
        self._clock = clock
        self._few = few
        self._latest = 0
        self._counters: dict[Key, Counter] = {}
        self._enough = few
        self._epoch = 0

    def plan(self, claims: tuple[Claim, ...]) -> Plan:
        """See `Store.plan`."""
        return Ready(claims, self._shared(claims), self._epoch)

    def reserve(self, plan: Plan, now: float) -> Hold | Deny:
        """See `Store.reserve`. A `now` before the latest one seen counts as that."""
        assert type(plan) is Ready
        at = round(now * SECOND)
        if at < self._latest:
            at = self._latest
        else:
            self._latest = at
        if plan.epoch != self._epoch:
            plan.use(self._shared(plan.claims), self._epoch)
        for slot in plan.slots:
            if slot.cell.value >= slot.ceiling:
                return _refusal(plan, at)
        for rate in plan.rates:
            if not rate.take(at):
                _give_back(plan, rate)
                return _refusal(plan, at)
        for slot in plan.slots:
            slot.cell.value += 1
        return Taken(plan)

    def settle(self, hold: Hold) -> None:
        """See `Store.settle`."""
        assert type(hold) is Taken
        slots, hold.slots = hold.slots, ()
        for slot in slots:
            slot.cell.value -= 1

    def in_use(self, scope: str) -> int:
        """Return how many requests are under way that a concurrency limit of `scope` counts."""
        one = self._counters.get((scope, "concurrency", 0, True, 0))
        return one.used if isinstance(one, Concurrency) else 0

    def _now(self) -> int:
        return max(self._latest, round(self._clock() * SECOND))

    def _shared(self, claims: tuple[Claim, ...]) -> tuple[Counter, ...]:
        """Return a counter for each claim: the one that others use already, or a new one."""
        if len(self._counters) >= self._enough:
            self._sweep()
        found: dict[Key, Counter] = {}
        for claim in claims:
            key = _key(claim, found)
            found[key] = self._counter(key, claim.limit)
        return tuple(found.values())

    def _counter(self, key: Key, limit: Limit) -> Counter:
        found = self._counters.get(key)
        if found is not None and found.limit == limit:
            return found
        made = counter(limit) if found is None else found.under(limit, self._now())
        self._counters[key] = made
        return made

    def _sweep(self) -> None:
        """Forget the counters that new ones can replace; every plan looks for its own again."""
        now = self._now()
        self._counters = {key: one for key, one in self._counters.items() if not one.spent(now)}
        self._enough = max(self._few, 4 * len(self._counters))
        self._epoch += 1


def _key(claim: Claim, others: dict[Key, Counter]) -> Key:
    """Name the counter of a claim. Several limits of one kind on one scope have one each."""
    limit, number = claim.limit, 0
    while (key := (claim.scope, limit.unit, limit.seconds, limit.burst is None, number)) in others:
        number += 1
    return key


def _give_back(plan: Ready, refusing: Window | Gcra) -> None:
    """Undo what was taken before `refusing` refused."""
    for rate in plan.rates:
        if rate is refusing:
            return
        rate.untake()


def _refusal(plan: Ready, now: int) -> Deny:
    """Refuse for the limit that has to be waited for longest, or else for concurrency."""
    refusing = [
        (claim, one) for claim, one in zip(plan.claims, plan.counters, strict=True) if one.wait(now)
    ]
    timed = [(claim, one) for claim, one in refusing if not isinstance(one, Concurrency)]
    if timed:
        claim, one = max(timed, key=lambda pair: pair[1].wait(now))
        return _too_many(plan, claim, one, now)
    said = sentence(refusing[0][0].scope, refusing[0][0].limit)
    reason = f"{said}; repeat this one when another has ended"
    return Deny(429, "concurrency_limit", reason, repeatable=True)


def _too_many(plan: Ready, claim: Claim, refusing: Window | Gcra, now: int) -> Deny:
    seconds = -(-refusing.wait(now) // _MILLISECOND) / 1000
    reason = f"{sentence(claim.scope, claim.limit)}; repeat this one in {seconds:.3f} seconds"
    headers: tuple[tuple[str, str], ...] = ()
    for name, one in plan.quotas:
        if one is refusing:
            left = quota(name, *one.left(now))
            headers = (("ratelimit", left), ("ratelimit-policy", plan.policy))
    return Deny(429, "rate_limit", reason, seconds, repeatable=True, headers=headers)
