"""Gemini: the key in header or query, the model in the path, errors that its SDK raises."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.errors import Deny
from gateway.core.places import Outgoing
from gateway.core.shapes import sentence
from gateway.providers import load
from gateway.providers.gemini import PLUGIN
from tests.providers.reading import said

DENY = Deny(403, "model_not_allowed", "No rule of this bot allows the model gemini-x")


def error_of(deny: Deny) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(PLUGIN.refuse(deny, "X1").body)["error"]
    return error


@pytest.mark.parametrize(
    ("query", "credentials"),
    [(b"alt=sse", [(b"x-goog-api-key", b"T")]), (b"alt=sse&key=T", [])],
    ids=["header", "query"],
)
def test_the_key_goes_where_the_token_was(
    query: bytes, credentials: list[tuple[bytes, bytes]]
) -> None:
    request = Outgoing(b"/v1/models/g:streamGenerateContent", query, credentials, [])
    (place,) = [place for place in PLUGIN.tokens if place.find(request) == (b"T",)]
    for each in PLUGIN.tokens:
        each.remove(request)
    place.put(request, b"KEY")
    sent = b"\n".join([request.query or b"", *request.lines])
    assert b"KEY" in sent
    assert b"key=T" not in sent


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (402, "FAILED_PRECONDITION"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (413, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (501, "UNIMPLEMENTED"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)
def test_each_status_has_its_name(status: int, name: str) -> None:
    deny = Deny(status, "a_code", "A reason")
    assert PLUGIN.refuse(deny, "X1").status == status
    error = error_of(deny)
    assert (error["code"], error["status"]) == (status, name)
    assert error["message"] == sentence(deny, "X1")


def test_the_code_is_where_googles_own_reasons_are() -> None:
    (info,) = error_of(DENY)["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["reason"] == "MODEL_NOT_ALLOWED"


@pytest.mark.parametrize(("status", "name"), [(403, "ClientError"), (503, "ServerError")])
def test_the_sdk_raises_its_typed_error_with_our_sentence(status: int, name: str) -> None:
    errors = pytest.importorskip("google.genai.errors")
    httpx = pytest.importorskip("httpx2")
    refusal = PLUGIN.refuse(Deny(status, "a_code", "A reason"), "X1")
    answer = httpx.Response(refusal.status, headers=dict(refusal.headers), content=refusal.body)
    with pytest.raises(errors.APIError) as caught:
        errors.APIError.raise_error(answer.status_code, answer.json(), answer)
    assert type(caught.value).__name__ == name
    assert "The gateway refused this: A reason (code a_code, exchange X1)" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "body", "models"),
    [
        ("/v1/models/gemini-x:generateContent", b'{"contents": []}', ("gemini-x",)),
        ("/v1beta/models/gemini-x:streamGenerateContent", b"{}", ("gemini-x",)),
        ("/v1alpha/models/gemini-x", b"", ("gemini-x",)),
        ("/v1beta/models/veo-x/operations/abc", b"", ("veo-x",)),
        ("/v1beta/tunedModels/t-x:generateContent", b"{}", ("tunedModels/t-x",)),
        ("/v1beta/interactions", b'{"model": "gemini-x", "input": "hi"}', ("gemini-x",)),
        ("/v1beta/interactions", b'{"agent": "deep-research", "input": "hi"}', ("deep-research",)),
        ("/v1beta/cachedContents", b'{"model": "models/gemini-x"}', ("gemini-x",)),
        ("/v1beta/openai/chat/completions", b'{"model": "gemini-x"}', ("gemini-x",)),
        ("/v1beta/models", b"", ()),
    ],
)
def test_where_the_model_is_named(path: str, body: bytes, models: tuple[str, ...]) -> None:
    assert said(PLUGIN, path, body).get("model", ()) == models


def test_a_large_body_is_not_read_where_the_path_names_the_model() -> None:
    from gateway.core.fields import FieldReader

    reader = FieldReader(PLUGIN.subjects)
    assert not reader.wants_body(b"/v1/models/gemini-x:generateContent")
    assert reader.wants_body(b"/v1/interactions")


def test_it_is_known_by_name() -> None:
    assert load("gemini") is PLUGIN
