"""Counters of limits, against plain models that remember everything and count it anew."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.limits import SECOND, Concurrency, Gcra, Window, counter
from gateway.core.model import Limit

# When the next request comes: so much `later`, or so much beside the time when it is `due`.
LATER = st.one_of(
    st.sampled_from([0, 1, SECOND // 2, SECOND - 1, SECOND, SECOND + 1]),
    st.integers(0, 2 * SECOND),
)
GAPS = st.lists(
    st.one_of(
        st.tuples(st.just("later"), LATER),
        st.tuples(st.just("due"), st.integers(-1, 1)),
    ),
    max_size=60,
)
Gap = tuple[str, int]


def window(ceiling: int, seconds: int = 1) -> Limit:
    return Limit("requests", ceiling, "limits[0]", seconds)


def gcra(ceiling: int, burst: int, seconds: int = 1) -> Limit:
    return Limit("requests", ceiling, "limits[0]", seconds, burst)


def concurrency(ceiling: int) -> Limit:
    return Limit("concurrency", ceiling, "limits[0]")


def arrival(now: int, gap: Gap, one: Window | Gcra) -> int:
    """Return when the next request comes."""
    how, by = gap
    return max(now, now + by + (one.wait(now) if how == "due" else 0))


def check_wait(one: Window | Gcra, now: int) -> None:
    """The wait is exact: not a nanosecond less would do."""
    wait = one.wait(now)
    assert one.wait(now + wait) == 0
    assert not wait or one.wait(now + wait - 1) == 1


def check_left(one: Window | Gcra, now: int) -> None:
    """So many are left until the time that is told, and then more."""
    left, reset = one.left(now)
    assert (left > 0) == (one.wait(now) == 0)
    if reset:
        assert one.left(now + reset - 1)[0] == left
        assert one.left(now + reset)[0] > left
    else:
        assert one.left(now + 1000 * SECOND) == (left, 0)


def check_spans(admitted: list[int], most: int) -> None:
    """No half-open span of a second holds more than `most`."""
    for first, beyond in zip(admitted, admitted[most:], strict=False):
        assert beyond - first >= SECOND


# Window


@given(st.integers(1, 6), GAPS)
def test_a_window_admits_what_fits_and_nothing_else(ceiling: int, gaps: list[Gap]) -> None:
    one = Window(window(ceiling))
    admitted: list[int] = []
    now = 0
    for gap in gaps:
        now = arrival(now, gap, one)
        recent = sum(time > now - SECOND for time in admitted)
        assert (one.wait(now) == 0) == (recent < ceiling)
        assert one.left(now)[0] == ceiling - recent
        check_wait(one, now)
        check_left(one, now)
        if not one.wait(now):
            one.take(now)
            admitted.append(now)
        assert len(one._times) <= 2 * ceiling
    check_spans(admitted, ceiling)


@given(st.lists(st.tuples(st.integers(1, 6), GAPS), max_size=4))
def test_a_window_whose_ceiling_changes_remembers(parts: list[tuple[int, list[Gap]]]) -> None:
    one = Window(window(3))
    admitted: list[int] = []
    now = 0
    for ceiling, gaps in parts:
        one = one.under(window(ceiling), now)
        for gap in gaps:
            now = arrival(now, gap, one)
            recent = sum(time > now - SECOND for time in admitted)
            assert (one.wait(now) == 0) == (recent < ceiling)
            assert one.left(now)[0] == max(0, ceiling - recent)
            check_left(one, now)
            if not one.wait(now):
                one.take(now)
                admitted.append(now)


def test_all_of_a_window_may_come_at_once_and_then_a_window_later() -> None:
    one = Window(window(3, seconds=60))
    for _ in range(3):
        one.take(0)
    assert one.wait(0) == 60 * SECOND
    assert one.wait(60 * SECOND - 1) == 1
    assert one.left(60 * SECOND) == (3, 0)


# GCRA


class Bucket:
    """A bucket of `burst` permits, one of which comes back every `pace`."""

    def __init__(self, burst: int, pace: int) -> None:
        self.burst = burst
        self.pace = pace
        self.permits = Fraction(burst)
        self.at = 0

    def admits(self, now: int) -> bool:
        self.permits = min(Fraction(self.burst), self.permits + Fraction(now - self.at, self.pace))
        self.at = now
        return self.permits >= 1


@given(st.integers(1, 6), st.integers(1, 6), GAPS)
def test_gcra_admits_what_a_bucket_of_permits_does(
    ceiling: int, burst: int, gaps: list[Gap]
) -> None:
    one = Gcra(gcra(ceiling, burst))
    bucket = Bucket(burst, -(-SECOND // ceiling))
    admitted: list[int] = []
    now = 0
    for gap in gaps:
        now = arrival(now, gap, one)
        assert (one.wait(now) == 0) == bucket.admits(now)
        assert one.left(now)[0] == int(bucket.permits)
        check_wait(one, now)
        check_left(one, now)
        if not one.wait(now):
            one.take(now)
            bucket.permits -= 1
            admitted.append(now)
    check_spans(admitted, ceiling + burst - 1)


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), GAPS),
    st.tuples(st.integers(1, 6), st.integers(1, 6), GAPS),
)
def test_gcra_that_changes_holds_to_its_new_ceiling_at_once(
    before: tuple[int, int, list[Gap]], after: tuple[int, int, list[Gap]]
) -> None:
    one = Gcra(gcra(*before[:2]))
    now = 0
    for ceiling, burst, gaps in (before, after):
        one = one.under(gcra(ceiling, burst), now)
        assert one.wait(now) <= one.pace
        admitted: list[int] = []
        for gap in gaps:
            now = arrival(now, gap, one)
            check_wait(one, now)
            if not one.wait(now):
                one.take(now)
                admitted.append(now)
        check_spans(admitted, ceiling + burst - 1)


@pytest.mark.parametrize(
    ("changed", "left", "wait"),
    [
        pytest.param(gcra(60, 10, 60), 4, 0, id="nothing"),
        pytest.param(gcra(120, 10, 60), 4, 0, id="ceiling raised"),
        pytest.param(gcra(6, 10, 60), 4, 0, id="ceiling lowered"),
        pytest.param(gcra(60, 20, 60), 14, 0, id="burst raised"),
        pytest.param(gcra(60, 6, 60), 0, SECOND, id="burst lowered"),
        pytest.param(gcra(60, 2, 60), 0, SECOND, id="burst lowered below what was taken"),
    ],
)
def test_what_gcra_counted_still_counts_under_another_limit(
    changed: Limit, left: int, wait: int
) -> None:
    before = Gcra(gcra(60, 10, 60))
    for _ in range(6):
        before.take(0)
    after = before.under(changed, 0)
    assert after.left(0)[0] == left
    assert after.wait(0) == wait


# Concurrency


@given(st.integers(1, 4), st.lists(st.booleans(), max_size=40))
def test_concurrency_counts_who_took_and_did_not_give(ceiling: int, takes: list[bool]) -> None:
    one = Concurrency(concurrency(ceiling))
    out = 0
    for takes_one in takes:
        assert (one.wait(0) == 0) == (out < ceiling)
        assert one.used == out
        assert one.spent(0) == (out == 0)
        if takes_one and out < ceiling:
            one.take(0)
            out += 1
        elif not takes_one and out:
            one.give()
            out -= 1


# All of them


LIMITS = [window(2), gcra(2, 2), concurrency(2)]


@pytest.mark.parametrize("limit", LIMITS, ids=["window", "gcra", "concurrency"])
def test_a_counter_and_the_one_after_it_count_together(limit: Limit) -> None:
    before = counter(limit)
    after = before.under(limit, 0)
    before.take(0)
    after.take(0)
    assert before.wait(0)
    assert after.wait(0)


@given(st.sampled_from(LIMITS[:2]), GAPS)
def test_a_spent_counter_is_like_a_new_one(limit: Limit, gaps: list[Gap]) -> None:
    one, now = counter(limit), 0
    assert isinstance(one, Window | Gcra)
    for gap in gaps:
        now = arrival(now, gap, one)
        assert one.spent(now) == (one.left(now) == (2, 0))
        if not one.wait(now):
            one.take(now)
