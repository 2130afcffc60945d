"""OpenAI: its key's place and its refusals."""

from __future__ import annotations

import json

import pytest

from gateway.core.errors import Deny
from gateway.core.places import Outgoing
from gateway.providers import load
from gateway.providers.openai import PLUGIN


def test_the_key_takes_the_tokens_place() -> None:
    request = Outgoing(b"/v1/models", None, [(b"authorization", b"Bearer T")], [])
    (place,) = PLUGIN.tokens
    assert place.find(request) == (b"T",)
    place.put(request, b"sk-real")
    assert request.lines == [b"Authorization: Bearer sk-real"]


def test_the_sdk_appends_the_version_itself() -> None:
    assert load("openai") is PLUGIN
    assert PLUGIN.upstream == "https://api.openai.com"


def test_a_refusal_is_openai_shaped() -> None:
    refusal = PLUGIN.refuse(Deny(401, "token_unknown", "This token is not known"), "X1")
    assert json.loads(refusal.body)["error"]["code"] == "token_unknown"
    assert ("x-request-id", "X1") in refusal.headers


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (402, "APIStatusError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (502, "InternalServerError"),
        (503, "InternalServerError"),
    ],
)
def test_the_sdk_raises_its_typed_error_with_our_sentence(status: int, name: str) -> None:
    openai = pytest.importorskip("openai")
    refusal = PLUGIN.refuse(Deny(status, "a_code", "A reason"), "X1")
    client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="T")
    http = pytest.importorskip("httpx2")
    answer = http.Response(
        refusal.status,
        headers=dict(refusal.headers),
        content=refusal.body,
        request=http.Request("POST", "http://127.0.0.1:9/v1/chat/completions"),
    )
    error = client._make_status_error_from_response(answer)
    assert type(error).__name__ == name
    assert "The gateway refused this: A reason (code a_code, exchange X1)" in str(error)
    assert (error.code, error.request_id) == ("a_code", "X1")
    client.close()
