"""Anthropic: the key in a Bearer line or in X-Api-Key, depending on the SDK's age."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.core.errors import Deny
from gateway.core.model import Provider, Refusal, Subject
from gateway.core.places import Header
from gateway.core.shapes import json_refusal, sentence

_TYPES: Mapping[int, str] = MappingProxyType(
    {
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        413: "request_too_large",
        429: "rate_limit_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)

_INFERENCE = ("POST /v1/messages", "POST /v1/messages/count_tokens", "POST /v1/complete")
_READ = ("GET /v1/models", "GET /v1/models/*")
_OF_BATCHES = (
    "GET /v1/messages/batches",
    "GET /v1/messages/batches/*",
    "GET /v1/messages/batches/*/results",
    "POST /v1/messages/batches/*/cancel",
    "DELETE /v1/messages/batches/*",
)

_MODEL = Subject(
    "model",
    # An advisor and a fallback answer, and are billed, like the model that was asked.
    fields=(
        "model",
        "tools[].model",
        "fallbacks[].model",
        "requests[].params.model",
        "requests[].params.tools[].model",
        "requests[].params.fallbacks[].model",
        "agent.model",
        "agents[].model",
        "advisor.model",
        "multiagent.advisor.model",
        "multiagent.agents[].model",
    ),
    path=r"^/v1/models/([^/]+)",
    free=("GET /v1/models", *_OF_BATCHES),
)


def _refuse(deny: Deny, exchange: str) -> Refusal:
    fallback = "api_error" if deny.status >= 500 else "invalid_request_error"
    error = {
        "type": _TYPES.get(deny.status, fallback),
        "message": sentence(deny, exchange),
        "details": {"error_code": deny.code},
    }
    body = {"type": "error", "error": error, "request_id": exchange}
    return json_refusal(deny, body, ("request-id", exchange))


# No `inject`: the key goes out in the line the token came in, which is what the SDKs rely on.
PLUGIN = Provider(
    name="anthropic",
    upstream="https://api.anthropic.com",
    tokens=(Header("Authorization", "Bearer"), Header("X-Api-Key")),
    refuse=_refuse,
    subjects=(_MODEL,),
    presets=MappingProxyType(
        {
            "inference": _INFERENCE,
            "read": _READ,
            "batch": ("POST /v1/messages/batches", *_OF_BATCHES),
        }
    ),
)
