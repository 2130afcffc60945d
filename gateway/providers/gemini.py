"""Gemini: the key in `x-goog-api-key` or in the query, the model in the path."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.core.errors import Deny
from gateway.core.model import Provider, Refusal, Subject
from gateway.core.places import Header, Query
from gateway.core.shapes import json_refusal, sentence

# google.rpc.Code by HTTP status, as google/rpc/code.proto pairs them.
_STATUSES: Mapping[int, str] = MappingProxyType(
    {
        401: "UNAUTHENTICATED",
        402: "FAILED_PRECONDITION",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        408: "DEADLINE_EXCEEDED",
        409: "ABORTED",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        501: "UNIMPLEMENTED",
        504: "DEADLINE_EXCEEDED",
    }
)

# `v1*` is v1, v1beta or v1alpha.
_INFERENCE = (
    "POST /v1*/models/*:generateContent",
    "POST /v1*/models/*:streamGenerateContent",
    "POST /v1*/models/*:countTokens",
    "POST /v1*/models/*:embedContent",
    "POST /v1*/models/*:batchEmbedContents",
    "POST /v1*/models/*:predict",
    "POST /v1*/models/*:predictLongRunning",
    "GET /v1*/models/*/operations/*",
    "POST /v1*/interactions",
    "GET /v1*/interactions/*",
    "POST /v1*/interactions/*/cancel",
)
_READ = (
    "GET /v1*/models",
    "GET /v1*/models/*",
    "GET /v1*/files",
    "GET /v1*/files/*",
    "GET /v1*/cachedContents",
    "GET /v1*/cachedContents/*",
)
_BATCH = (
    "POST /v1*/models/*:batchGenerateContent",
    "POST /v1*/models/*:asyncBatchEmbedContent",
    "GET /v1*/batches",
    "GET /v1*/batches/*",
    "POST /v1*/batches/*:cancel",
    "DELETE /v1*/batches/*",
)

_MODEL = Subject(
    "model",
    # For what has no model in its path: interactions, cached contents. An agent is billed as one.
    fields=("model", "agent", "agent_config.model", "base_agent", "requests[].model"),
    # The path's model is the one that answers; a body that names another is Gemini's to refuse.
    path=r"^/[^/]+/(?:models/|(?=tunedModels/))((?:tunedModels/)?[^/:]+)",
    decisive=True,
    strip="models/",
    free=(
        "GET /v1*/models",
        "GET /v1*/interactions/*",
        "POST /v1*/interactions/*/cancel",
        "GET /v1*/files",
        "GET /v1*/files/*",
        "GET /v1*/cachedContents",
        "GET /v1*/cachedContents/*",
        "GET /v1*/batches",
        "GET /v1*/batches/*",
        "POST /v1*/batches/*:cancel",
        "DELETE /v1*/batches/*",
    ),
)


def _refuse(deny: Deny, exchange: str) -> Refusal:
    fallback = "UNAVAILABLE" if deny.status >= 500 else "INVALID_ARGUMENT"
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": deny.code.upper(),
        "domain": "gateway",
    }
    error = {
        "code": deny.status,
        "message": sentence(deny, exchange),
        "status": _STATUSES.get(deny.status, fallback),
        "details": [info],
    }
    return json_refusal(deny, {"error": error})


PLUGIN = Provider(
    name="gemini",
    upstream="https://generativelanguage.googleapis.com",
    tokens=(Header("x-goog-api-key"), Query("key")),
    refuse=_refuse,
    subjects=(_MODEL,),
    presets=MappingProxyType({"inference": _INFERENCE, "read": _READ, "batch": _BATCH}),
    uncarried=("POST /v1*/auth_tokens",),  # it answers with a real key
)
