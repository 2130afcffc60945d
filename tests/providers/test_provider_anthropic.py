"""Anthropic: both of its key's places, and its refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.errors import Deny
from gateway.core.places import Outgoing
from gateway.core.shapes import sentence
from gateway.providers import load
from gateway.providers.anthropic import PLUGIN
from tests.providers.reading import said
from tests.providers.sdkfields import model_fields


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        pytest.param((b"authorization", b"Bearer T"), b"Authorization: Bearer S", id="2.x"),
        pytest.param((b"x-api-key", b"T"), b"X-Api-Key: S", id="0.79"),
    ],
)
def test_the_key_goes_where_the_token_was(sent: tuple[bytes, bytes], line: bytes) -> None:
    request = Outgoing(b"/v1/messages", None, [sent], [])
    assert PLUGIN.inject == ()
    (place,) = [place for place in PLUGIN.tokens if place.find(request)]
    assert place.find(request) == (b"T",)
    place.put(request, b"S")
    assert request.lines == [line]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, "invalid_request_error", id="400"),
        pytest.param(401, "authentication_error", id="401"),
        pytest.param(402, "billing_error", id="402"),
        pytest.param(403, "permission_error", id="403"),
        pytest.param(404, "not_found_error", id="404"),
        pytest.param(413, "request_too_large", id="413"),
        pytest.param(429, "rate_limit_error", id="429"),
        pytest.param(500, "api_error", id="500"),
        pytest.param(502, "api_error", id="502"),
        pytest.param(503, "api_error", id="503"),
        pytest.param(504, "timeout_error", id="504"),
    ],
)
def test_a_refusal_is_anthropic_shaped(status: int, kind: str) -> None:
    deny = Deny(status, "a_code", "A reason")
    refusal = PLUGIN.refuse(deny, "X1")
    assert refusal.status == status
    assert json.loads(refusal.body) == {
        "type": "error",
        "error": {
            "type": kind,
            "message": sentence(deny, "X1"),
            "details": {"error_code": "a_code"},
        },
        "request_id": "X1",
    }
    assert refusal.headers[:2] == (("content-type", "application/json"), ("request-id", "X1"))


def test_a_limit_without_an_exact_wait_is_not_retried() -> None:
    assert ("x-should-retry", "false") in PLUGIN.refuse(Deny(429, "c", "r"), "X1").headers


def test_it_is_known_by_name() -> None:
    assert load("anthropic") is PLUGIN


# What its types call a model without a rule's having to know it: who gave an earlier answer, and
# what stands in `content`, which may be a plain text, in which no field can be.
UNREAD = {
    f"{where}messages[].content[].{field}.model"
    for where in ("", "requests[].params.")
    for field in ("from", "to", "tool.definition", "tool_changes[].tool.definition")
}


@pytest.mark.parametrize(
    "module",
    [
        "beta.agent_create",
        "beta.message_count_tokens",
        "beta.message_create",
        "beta.messages.batch_create",
        "beta.session_create",
        "beta.thread_create",
        "message_count_tokens",
        "message_create",
        "messages.batch_create",
    ],
)
def test_every_field_in_which_the_sdk_names_a_model_is_read(module: str) -> None:
    found = model_fields(f"anthropic.types.{module}_params")
    assert found
    assert found - UNREAD <= set(PLUGIN.subjects[0].fields)


@pytest.mark.parametrize(
    ("path", "ask", "models"),
    [
        ("/v1/messages", {"model": "claude-x", "messages": [{"content": "hi"}]}, ("claude-x",)),
        ("/v1/messages", {"model": "a", "tools": [{"name": "f"}, {"model": "b"}]}, ("a", "b")),
        ("/v1/messages", {"model": "a", "fallbacks": [{"model": "b"}]}, ("a", "b")),
        (
            "/v1/messages/batches",
            {"requests": [{"params": {"model": "a"}}, {"params": {"model": "b"}}]},
            ("a", "b"),
        ),
        ("/v1/models/claude-x", {}, ("claude-x",)),
        ("/v1/models", {}, ()),
    ],
)
def test_where_the_model_is_named(path: str, ask: dict[str, Any], models: tuple[str, ...]) -> None:
    assert said(PLUGIN, path, json.dumps(ask).encode()).get("model", ()) == models
