"""Reservations of the embedded store: exact, all or none, and remembered over a reload."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Deny
from gateway.core.model import Limit
from gateway.stores import Claim, Hold, Plan
from gateway.stores.embedded import Embedded
from gateway.stores.embedded.counters import Counters

MILLISECOND = 1_000_000


def requests(ceiling: int, scope: str = "bot:support", seconds: int = 60) -> Claim:
    return Claim(scope, Limit("requests", ceiling, "limits[0]", seconds))


def evenly(ceiling: int, burst: int, scope: str = "bot:support") -> Claim:
    return Claim(scope, Limit("requests", ceiling, "limits[1]", 60, burst))


def at_once(ceiling: int, scope: str = "bot:support") -> Claim:
    return Claim(scope, Limit("concurrency", ceiling, "limits[2]"))


class Clock:
    """Stands still until a test moves it. Seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counters(clock: Clock) -> Counters:
    return Counters(clock)


def taken(counters: Counters, plan: Plan, now: float = 0.0) -> Hold:
    answer = counters.reserve(plan, now)
    assert not isinstance(answer, Deny), answer
    return answer


def refused(counters: Counters, plan: Plan, now: float = 0.0) -> Deny:
    answer = counters.reserve(plan, now)
    assert isinstance(answer, Deny)
    return answer


# What a refusal says


def test_a_bot_over_its_own_limit_is_told_when_to_come_back(counters: Counters) -> None:
    plan = counters.plan((requests(2), at_once(9)))
    taken(counters, plan, 10.0)
    taken(counters, plan, 20.0)
    assert refused(counters, plan, 36.0) == Deny(
        429,
        "rate_limit",
        "Bot support may make 2 requests per minute; repeat this one in 34.000 seconds",
        34.0,
        repeatable=True,
        headers=(("ratelimit", '"minute";r=0;t=34'), ("ratelimit-policy", '"minute";q=2;w=60')),
    )
    taken(counters, plan, 70.0)


def test_the_wait_is_rounded_up_to_a_millisecond(counters: Counters) -> None:
    plan = counters.plan((requests(1, seconds=1),))
    taken(counters, plan, 0.0001)
    assert refused(counters, plan, 0.5).retry_after == 0.501


@pytest.mark.parametrize("scope", ["label:team-a", "route:openai", "all"])
def test_of_a_limit_that_others_share_only_the_wait_is_told(counters: Counters, scope: str) -> None:
    plan = counters.plan((requests(9), requests(1, scope)))
    taken(counters, counters.plan((requests(1, scope),)))
    denied = refused(counters, plan, 1.0)
    assert denied.retry_after == 59.0
    assert denied.headers == ()


def test_who_has_too_many_at_once_is_not_told_how_long(counters: Counters) -> None:
    plan = counters.plan((at_once(1, "route:openai"), requests(2)))
    hold = taken(counters, plan)
    assert refused(counters, plan) == Deny(
        429,
        "concurrency_limit",
        "Route openai takes 1 request at once; repeat this one when another has ended",
        repeatable=True,
    )
    counters.settle(hold)
    taken(counters, plan)


def test_of_several_limits_the_longest_wait_is_told(counters: Counters) -> None:
    plan = counters.plan(
        (at_once(1), requests(1), requests(1, seconds=3600), requests(1, "all", seconds=600))
    )
    taken(counters, plan)
    denied = refused(counters, plan)
    assert denied.retry_after == 3600.0
    assert denied.headers[0] == ("ratelimit", '"hour";r=0;t=3600')
    assert "per hour" in denied.reason


# What an answer says


def test_an_answer_tells_of_the_bots_tightest_limit_as_it_is_then(counters: Counters) -> None:
    plan = counters.plan((requests(9, seconds=3600), evenly(6, 5), at_once(1), requests(1, "all")))
    assert plan.policy == '"hour";q=9;w=3600, "minute";q=6;w=60'
    hold = taken(counters, plan)
    assert hold.quota(3.5) == '"minute";r=4;t=7'
    assert hold.quota(30.0) == '"minute";r=5;t=0'


def test_a_bot_without_limits_is_told_nothing(counters: Counters) -> None:
    plan = counters.plan((at_once(1), requests(1, "all"), requests(5, "label:team-a")))
    assert plan.policy == ""
    assert taken(counters, plan).quota(1.0) == ""


# What is counted


def test_a_hold_is_settled_once(counters: Counters) -> None:
    plan = counters.plan((at_once(2),))
    hold = taken(counters, plan)
    taken(counters, plan)
    counters.settle(hold)
    counters.settle(hold)
    assert counters.in_use("bot:support") == 1
    taken(counters, plan)
    refused(counters, plan)


def test_a_refused_request_counts_nowhere(counters: Counters) -> None:
    busy = counters.plan((at_once(1, "all"), requests(1, "route:openai"), at_once(1)))
    free = counters.plan((at_once(1), requests(1, "route:openai")))
    hold = taken(counters, counters.plan((at_once(1, "all"),)))
    refused(counters, busy)
    counters.settle(hold)
    taken(counters, free)


def test_two_limits_of_one_kind_count_each_for_itself(counters: Counters) -> None:
    plan = counters.plan((at_once(3), at_once(2), requests(3), requests(2)))
    holds = [taken(counters, plan) for _ in range(2)]
    for hold in holds:
        counters.settle(hold)
    assert refused(counters, plan).code == "rate_limit"
    assert counters.in_use("bot:support") == 0


def test_who_comes_late_counts_as_coming_now(counters: Counters) -> None:
    plan = counters.plan((requests(1),))
    other = counters.plan((requests(1, "bot:other"),))
    taken(counters, other, 50.0)
    taken(counters, plan, 10.0)
    assert refused(counters, plan, 75.0).retry_after == 35.0


# Reloads


def test_what_was_counted_holds_under_the_next_configuration(counters: Counters) -> None:
    before = counters.plan((requests(2), evenly(60, 4, "all"), at_once(2)))
    holds = [taken(counters, before) for _ in range(2)]
    after = counters.plan((requests(3), evenly(60, 3, "all"), at_once(3)))
    holds.append(taken(counters, after))
    assert counters.in_use("bot:support") == 3
    assert refused(counters, after).retry_after == 60.0
    for hold in holds:
        counters.settle(hold)
    assert counters.in_use("bot:support") == 0


def test_an_older_plan_made_late_does_not_bring_back_its_ceiling(counters: Counters) -> None:
    after = counters.plan((requests(1, "all"),))
    taken(counters, after)
    before = counters.plan((requests(5, "all"), at_once(9)))
    taken(counters, before)
    refused(counters, after)


def test_counters_that_nobody_needs_are_forgotten(clock: Clock) -> None:
    counters = Counters(clock, few=8)
    busy = counters.plan((requests(1, "all", seconds=86_400), at_once(1, "label:team-a")))
    taken(counters, busy)
    for number in range(1000):
        clock.now = float(number)
        bot = counters.plan((requests(1, f"bot:{number}", seconds=1),))
        taken(counters, bot, clock.now)
        refused(counters, bot, clock.now)
    assert len(counters._counters) <= 16
    assert refused(counters, busy, clock.now).code == "rate_limit"
    assert counters.in_use("label:team-a") == 1


# Everything against a plain model


@dataclass
class Admitted:
    at: int
    claims: tuple[Claim, ...]
    hold: Hold
    open: bool = True


@dataclass
class Plain:
    """Remembers every request that was admitted, and counts anew for each."""

    admitted: list[Admitted]

    def refusing(self, claims: tuple[Claim, ...], now: int) -> list[Claim]:
        return [one for one in claims if self.counted(one, now) >= one.limit.ceiling]

    def counted(self, claim: Claim, now: int) -> int:
        limit = claim.limit
        since = now - limit.seconds * 1000 * MILLISECOND
        return sum(
            one.open if limit.unit == "concurrency" else one.at > since
            for one in self.admitted
            if any(_same(claim, other) for other in one.claims)
        )


def _same(one: Claim, other: Claim) -> bool:
    return (one.scope, one.limit.unit, one.limit.seconds) == (
        other.scope,
        other.limit.unit,
        other.limit.seconds,
    )


CLAIMS = st.lists(
    st.one_of(
        st.builds(
            requests,
            st.integers(1, 4),
            st.sampled_from(["bot:a", "bot:b", "label:x", "all"]),
            st.sampled_from([1, 2]),
        ),
        st.builds(at_once, st.integers(1, 4), st.sampled_from(["bot:a", "bot:b", "all"])),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: (one.scope, one.limit.unit, one.limit.seconds),
).map(tuple)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 4),  # which plan
        st.sampled_from([0, 0, 1, 400, 999, 1000, 1001, 2500]),  # milliseconds later
        st.booleans(),  # whether a hold is settled first
    ),
    max_size=60,
)


@given(st.lists(CLAIMS, min_size=5, max_size=5), STEPS, st.sampled_from([1, 1000]))
def test_reservations_are_as_in_a_plain_model(
    every: list[tuple[Claim, ...]], steps: list[tuple[int, int, bool]], few: int
) -> None:
    """Plans share scopes, with ceilings of their own as before and after a reload."""
    clock = Clock()
    counters = Counters(clock, few)
    plans: dict[int, Plan] = {}  # made when first needed
    plain = Plain([])
    now = 0
    for number, later, settles in steps:
        now += later * MILLISECOND
        clock.now = now / 1e9
        if settles and plain.admitted:
            settled = plain.admitted[number % len(plain.admitted)]
            counters.settle(settled.hold)
            settled.open = False
        claims = every[number]
        plan = plans.setdefault(number, counters.plan(claims))
        refusing = plain.refusing(claims, now)
        answer = counters.reserve(plan, clock.now)
        assert isinstance(answer, Deny) == bool(refusing)
        if isinstance(answer, Deny):
            check_wait(answer, plain, claims, now)
        else:
            plain.admitted.append(Admitted(now, claims, answer))


def check_wait(denied: Deny, plain: Plain, claims: tuple[Claim, ...], now: int) -> None:
    """Whoever sleeps as long as told finds room for requests, and not a nanosecond sooner."""
    timed = tuple(one for one in claims if one.limit.unit == "requests")
    if denied.retry_after is None:
        assert denied.code == "concurrency_limit"
        assert not plain.refusing(timed, now)
    else:
        then = now + round(denied.retry_after * 1000) * MILLISECOND
        assert plain.refusing(timed, then - 1)
        assert not plain.refusing(timed, then)


def test_the_store_reserves_with_its_counters(tmp_path: Path) -> None:
    store = Embedded(tmp_path / "state", clock=Clock())
    plan = store.plan((at_once(1), requests(5)))
    hold = store.reserve(plan, 0.0)
    assert not isinstance(hold, Deny)
    assert hold.quota(0.0) == '"minute";r=4;t=60'
    assert store.in_use("bot:support") == 1
    store.settle(hold)
    assert store.in_use("bot:support") == 0


def test_a_scope_without_limits_keeps_nothing(counters: Counters) -> None:
    taken(counters, counters.plan(()))
    assert counters._counters == {}
