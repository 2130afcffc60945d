"""Error bodies that several providers share, with what keeps an SDK from retrying in vain."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from types import MappingProxyType

import msgspec

from gateway.core.errors import Deny
from gateway.core.model import Refusal

Headers = tuple[tuple[str, str], ...]

# Seconds. SDKs for Node sleep as long as they are told to; a longer wait is for people to plan.
PATIENCE = 60.0

_OPENAI_TYPES: Mapping[int, str] = MappingProxyType(
    {
        401: "authentication_error",
        402: "insufficient_quota",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        409: "conflict_error",
        429: "rate_limit_error",
    }
)


def sentence(deny: Deny, exchange: str) -> str:
    """Say who refused, why, and what to quote when asking about it.

    There is no exchange where a connection was refused before a request was read.
    """
    reason = deny.reason.rstrip(". ")
    quote = f"code {deny.code}, exchange {exchange}" if exchange else f"code {deny.code}"
    return f"The gateway refused this: {reason} ({quote})"


def is_short_wait(deny: Deny) -> bool:
    """Whether the same may be asked again after a wait that is exact and soon over."""
    return deny.status == 429 and deny.retry_after is not None and deny.retry_after <= PATIENCE


def wait_headers(deny: Deny) -> Headers:
    """Return the exact wait, for SDKs that read it in seconds and those that want milliseconds."""
    if deny.retry_after is None:
        return ()
    # Rounded first: 0.3 s as a float would otherwise become 301 ms.
    milliseconds = ceil(round(deny.retry_after * 1000, 3))
    return (("retry-after", str(ceil(milliseconds / 1000))), ("retry-after-ms", str(milliseconds)))


def retry_headers(deny: Deny) -> Headers:
    """Tell SDKs whether to repeat; without a word they go by the status (429, 5xx: twice more)."""
    is_long = deny.retry_after is not None and deny.retry_after > PATIENCE
    is_unknown = deny.retry_after is None and deny.status == 429 and deny.repeatable is None
    if is_long or is_unknown or deny.repeatable is False:
        return (("x-should-retry", "false"),)
    return (("x-should-retry", "true"),) if deny.repeatable else ()


def json_refusal(deny: Deny, body: object, *headers: tuple[str, str]) -> Refusal:
    """Wrap a provider's error object: its type, what to do next, and `headers`."""
    every = (("content-type", "application/json"), *headers, *deny.headers)
    return Refusal(
        deny.status, every + wait_headers(deny) + retry_headers(deny), msgspec.json.encode(body)
    )


def openai_refusal(deny: Deny, exchange: str) -> Refusal:
    """Return the shape of OpenAI and of all who copied it."""
    fallback = "server_error" if deny.status >= 500 else "invalid_request_error"
    error = {
        "message": sentence(deny, exchange),
        "type": _OPENAI_TYPES.get(deny.status, fallback),
        "param": None,
        "code": deny.code,
    }
    return json_refusal(deny, {"error": error}, ("x-request-id", exchange))


def plain_refusal(deny: Deny, exchange: str) -> Refusal:
    """Return our own shape, for an upstream we know nothing about."""
    error = {"code": deny.code, "message": sentence(deny, exchange), "exchange": exchange}
    return json_refusal(deny, {"error": error}, ("x-request-id", exchange))
