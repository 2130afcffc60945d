"""Shared error bodies: readable by people, typed for SDKs, never retried in vain."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.errors import Deny
from gateway.core.model import Refusal
from gateway.core.shapes import openai_refusal, plain_refusal, sentence

EXCHANGE = "01JEXCHANGE"


def error_of(refusal: Refusal) -> dict[str, Any]:
    body: dict[str, dict[str, Any]] = json.loads(refusal.body)
    return body["error"]


def test_the_sentence_names_reason_code_and_exchange() -> None:
    assert sentence(Deny(403, "not_allowed", "No rule allows it."), EXCHANGE) == (
        "The gateway refused this: No rule allows it (code not_allowed, exchange 01JEXCHANGE)"
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, "invalid_request_error", id="400"),
        pytest.param(401, "authentication_error", id="401"),
        pytest.param(402, "insufficient_quota", id="402"),
        pytest.param(403, "permission_error", id="403"),
        pytest.param(404, "not_found_error", id="404"),
        pytest.param(429, "rate_limit_error", id="429"),
        pytest.param(502, "server_error", id="502"),
        pytest.param(503, "server_error", id="503"),
    ],
)
def test_openai_shape(status: int, kind: str) -> None:
    deny = Deny(status, "a_code", "A reason")
    refusal = openai_refusal(deny, EXCHANGE)
    assert refusal.status == status
    assert error_of(refusal) == {
        "message": sentence(deny, EXCHANGE),
        "type": kind,
        "param": None,
        "code": "a_code",
    }
    assert refusal.headers[:2] == (
        ("content-type", "application/json"),
        ("x-request-id", EXCHANGE),
    )


def test_plain_shape() -> None:
    deny = Deny(403, "a_code", "A reason")
    assert error_of(plain_refusal(deny, EXCHANGE)) == {
        "code": "a_code",
        "message": sentence(deny, EXCHANGE),
        "exchange": EXCHANGE,
    }


@pytest.mark.parametrize(
    ("deny", "headers"),
    [
        pytest.param(Deny(403, "c", "r"), {}, id="status-says-it"),
        pytest.param(Deny(502, "c", "r"), {}, id="left-to-the-sdk"),
        pytest.param(Deny(503, "c", "r", repeatable=True), {"x-should-retry": "true"}, id="repeat"),
        pytest.param(
            Deny(502, "c", "r", repeatable=False), {"x-should-retry": "false"}, id="never"
        ),
        pytest.param(Deny(429, "c", "r"), {"x-should-retry": "false"}, id="wait-unknown"),
        pytest.param(
            Deny(429, "c", "r", retry_after=0.3),
            {"retry-after": "1", "retry-after-ms": "300"},
            id="short-wait",
        ),
        pytest.param(
            Deny(429, "c", "r", retry_after=60),
            {"retry-after": "60", "retry-after-ms": "60000"},
            id="longest-wait",
        ),
        pytest.param(
            Deny(429, "c", "r", retry_after=36_000, repeatable=True),
            {"retry-after": "36000", "retry-after-ms": "36000000", "x-should-retry": "false"},
            id="too-long-to-sleep-through",
        ),
        pytest.param(
            Deny(429, "c", "r", retry_after=2.0001, repeatable=False),
            {"retry-after": "3", "retry-after-ms": "2001", "x-should-retry": "false"},
            id="exact-but-not-repeatable",
        ),
    ],
)
def test_retry_headers(deny: Deny, headers: dict[str, str]) -> None:
    for refusal in (openai_refusal(deny, EXCHANGE), plain_refusal(deny, EXCHANGE)):
        assert dict(refusal.headers[2:]) == headers


@pytest.mark.parametrize("shape", [openai_refusal, plain_refusal])
def test_what_a_denial_adds_to_the_headers_is_there_in_every_shape(
    shape: Callable[[Deny, str], Refusal],
) -> None:
    left = ("ratelimit", '"minute";r=0;t=34')
    assert left in shape(Deny(429, "rate_limit", "No", 34.0, headers=(left,)), EXCHANGE).headers
