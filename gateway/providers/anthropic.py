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
    subjects=(Subject("model", json="model"),),
)
