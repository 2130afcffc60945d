"""OpenAI: its key's place and its refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.errors import Deny
from gateway.core.places import Outgoing
from gateway.providers import load
from gateway.providers.openai import PLUGIN
from tests.providers.reading import JSON, said
from tests.providers.sdkfields import model_fields


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


# What its types call a model without a rule's having to know it, and why.
UNREAD = {
    "moderation.model",  # costs nothing
    "input[].svg_usage.model",  # an earlier answer's
    "input[].tools[].model",  # `input` may be a plain text, in which no field can be
    "input[].tools[].svg.model",
}


@pytest.mark.parametrize(
    "module",
    [
        "audio.speech_create",
        "audio.transcription_create",
        "audio.translation_create",
        "beta.agents.automation_create",
        "beta.realtime.session_create",
        "chat.completion_create",
        "completion_create",
        "embedding_create",
        "eval_create",
        "evals.run_create",
        "image_create_variation",
        "image_edit",
        "image_generate",
        "live.live_create",
        "moderation_create",
        "realtime.call_accept",
        "realtime.call_create",
        "responses.input_token_count",
        "responses.response_compact",
        "responses.response_create",
    ],
)
def test_every_field_in_which_the_sdk_names_a_model_is_read(module: str) -> None:
    found = model_fields(f"openai.types.{module}_params")
    assert found
    assert found - UNREAD <= set(PLUGIN.subjects[0].fields)


IMAGE = {"type": "image_generation", "model": "gpt-image-1"}


@pytest.mark.parametrize(
    ("path", "ask", "models"),
    [
        ("/v1/chat/completions", {"model": "gpt-x", "messages": []}, ("gpt-x",)),
        ("/v1/responses", {"model": "gpt-x", "input": "hi"}, ("gpt-x",)),
        ("/v1/responses", {"model": "gpt-x", "tools": [IMAGE]}, ("gpt-x", "gpt-image-1")),
        ("/v1/responses", {"prompt": {"id": "pmpt_1"}}, ()),
        ("/v1/images/generations", {"model": "gpt-image-1", "moderation": "low"}, ("gpt-image-1",)),
        ("/v1/evals", {"testing_criteria": [{"model": "judge"}]}, ("judge",)),
        ("/v1/realtime/calls/x/accept", {"model": "gpt-realtime"}, ("gpt-realtime",)),
        ("/v1/engines/gpt-x/completions", {"model": "gpt-y"}, ("gpt-x", "gpt-y")),
        ("/v1/models/gpt-x", {}, ("gpt-x",)),
        ("/v1/batches", {"input_file_id": "file-1", "endpoint": "/v1/responses"}, ()),
    ],
)
def test_where_the_model_is_named(path: str, ask: dict[str, Any], models: tuple[str, ...]) -> None:
    assert said(PLUGIN, path, json.dumps(ask).encode()).get("model", ()) == models


def test_a_transcription_names_it_in_a_form() -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nx\r\n'
        b"--B--\r\n"
    )
    found = said(PLUGIN, "/v1/audio/transcriptions", body, b"multipart/form-data; boundary=B")
    assert found == {"model": ("whisper-1",)}


def test_a_realtime_session_names_it_in_the_query() -> None:
    assert said(PLUGIN, "/v1/realtime", b"", JSON, b"model=gpt-realtime") == {
        "model": ("gpt-realtime",)
    }
