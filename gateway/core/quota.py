"""What a bot is told of its limits: the sentence of a refusal, and the RateLimit header fields.

Fields by draft-ietf-httpapi-ratelimit-headers-11. They speak of the bot's own limits alone; what
is left of a limit that it shares would tell how busy others are.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from gateway.core.limits import SECOND
from gateway.core.model import Limit

_PERIODS = MappingProxyType({1: "second", 60: "minute", 3_600: "hour", 86_400: "day"})


def sentence(scope: str, limit: Limit) -> str:
    """Say whom a limit allows what: `Bot support may make 60 requests per minute`."""
    kind, _, name = scope.partition(":")
    subject = {
        "bot": f"Bot {name} may make",
        "label": f"All bots of label {name} together may make",
        "route": f"Route {name} takes",
        "all": "All bots together may make",
    }[kind]
    requests = f"{subject} {limit.ceiling} request{'s' if limit.ceiling > 1 else ''}"
    if limit.unit == "concurrency":
        return f"{requests} at once"
    burst = "" if limit.burst is None else f", up to {limit.burst} at once"
    return f"{requests} per {period(limit)}{burst}"


def period(limit: Limit) -> str:
    """Return `minute`, or `90 seconds`: what a limit counts over, and its name in the fields."""
    return _PERIODS.get(limit.seconds, f"{limit.seconds} seconds")


def policy(limits: Iterable[Limit]) -> str:
    """Return the value of RateLimit-Policy: `"minute";q=60;w=60, "day";q=1000;w=86400`."""
    return ", ".join(f'"{period(one)}";q={one.ceiling};w={one.seconds}' for one in limits)


def quota(name: str, left: int, reset: int) -> str:
    """Return the value of RateLimit: `"minute";r=12;t=34`.

    `reset` is how long until more than `left` are, in nanoseconds.
    """
    return f'"{name}";r={left};t={-(-reset // SECOND)}'
