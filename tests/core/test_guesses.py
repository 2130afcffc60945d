"""Wrong tokens by address: who is slowed, from when, and how much is remembered."""

from __future__ import annotations

from gateway.core.guesses import FREE, SECONDS, Guesses


def excesses(guesses: Guesses, address: str, count: int, now: float = 0.0) -> list[int]:
    return [guesses.wrong(address, now) for _ in range(count)]


def test_the_first_twenty_in_a_minute_cost_nothing() -> None:
    guesses = Guesses()
    assert excesses(guesses, "10.0.0.1", FREE) == [0] * FREE
    assert excesses(guesses, "10.0.0.1", 3) == [1, 2, 3]


def test_each_address_is_counted_by_itself() -> None:
    guesses = Guesses()
    excesses(guesses, "10.0.0.1", FREE + 5)
    assert guesses.wrong("10.0.0.2", 0.0) == 0


def test_a_minute_later_the_count_begins_anew() -> None:
    guesses = Guesses()
    excesses(guesses, "10.0.0.1", FREE + 5)
    assert guesses.wrong("10.0.0.1", SECONDS - 0.001) > 0
    assert guesses.wrong("10.0.0.1", SECONDS) == 0


def test_a_network_of_ipv6_is_one_guesser() -> None:
    guesses = Guesses()
    for host in range(FREE):
        assert guesses.wrong(f"2001:4860:1:2::{host:x}", 0.0) == 0
    assert guesses.wrong("2001:4860:1:2:ffff::1", 0.0) == 1
    assert guesses.wrong("2001:4860:1:3::1", 0.0) == 0


def test_what_is_no_address_is_counted_too() -> None:
    guesses = Guesses()
    assert excesses(guesses, "", FREE + 1)[-1] == 1


def test_no_more_than_ten_thousand_addresses_are_remembered() -> None:
    guesses = Guesses()
    for number in range(10_050):
        guesses.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(guesses) == 10_000
