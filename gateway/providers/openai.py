"""OpenAI: one Bearer key, SDKs that want the route to end in /v1."""

from __future__ import annotations

from types import MappingProxyType

from gateway.core.model import Provider, Subject
from gateway.core.places import Header
from gateway.core.shapes import openai_refusal

# Each asks a model and names it; what is left out administers, trains or hands out keys.
_INFERENCE = (
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "POST /v1/responses",
    "POST /v1/responses/compact",
    "POST /v1/responses/input_tokens",
    "GET /v1/responses/*",
    "GET /v1/responses/*/input_items",
    "POST /v1/responses/*/cancel",
    "POST /v1/embeddings",
    "POST /v1/moderations",
    "POST /v1/images/generations",
    "POST /v1/images/edits",
    "POST /v1/images/variations",
    "POST /v1/audio/speech",
    "POST /v1/audio/transcriptions",
    "POST /v1/audio/translations",
)
_READ = ("GET /v1/models", "GET /v1/models/*")
# Apart from inference: the models of a batch stand in a file, where no rule can see them.
_BATCH = (
    "GET /v1/files",
    "POST /v1/files",
    "GET /v1/files/*",
    "GET /v1/files/*/content",
    "DELETE /v1/files/*",
    "GET /v1/batches",
    "POST /v1/batches",
    "GET /v1/batches/*",
    "POST /v1/batches/*/cancel",
)

_MODEL = Subject(
    "model",
    # Those that the tools of a request bill, and its judges, too; moderation costs nothing.
    fields=(
        "model",
        "svg.model",
        "tools[].model",
        "tools[].svg.model",
        "audio.input.transcription.model",
        "input_audio_transcription.model",
        "session.model",
        "session.audio.input.transcription.model",
        "session.input_audio_transcription.model",
        "session.delegation.decisions.model",
        "session.delegation.responses.model",
        "agent.model",
        "target.agent.model",
        "data_source.model",
        "data_source.source.model",
        "data_source.sampling_params.tools[].model",
        "data_source.sampling_params.tools[].svg.model",
        "testing_criteria[].model",
        "grader.model",
    ),
    query=("model",),
    path=r"^(?:/v1)?/(?:models|engines)/([^/]+)",
    free=(
        "GET /v1/models",
        "GET /v1/responses/*",
        "GET /v1/responses/*/input_items",
        "POST /v1/responses/*/cancel",
        "GET /v1/files",
        "POST /v1/files",
        "GET /v1/files/*",
        "GET /v1/files/*/content",
        "DELETE /v1/files/*",
        "GET /v1/batches",
        "GET /v1/batches/*",
        "POST /v1/batches/*/cancel",
    ),
)

PLUGIN = Provider(
    name="openai",
    upstream="https://api.openai.com",
    tokens=(Header("Authorization", "Bearer"),),
    refuse=openai_refusal,
    subjects=(_MODEL,),
    presets=MappingProxyType({"inference": _INFERENCE, "read": _READ, "batch": _BATCH}),
    # They answer with a real key, or with a call that goes past the gateway.
    uncarried=(
        "POST /v1/realtime/client_secrets",
        "POST /v1/realtime/translations/client_secrets",
        "POST /v1/realtime/sessions",
        "POST /v1/realtime/transcription_sessions",
        "POST /v1/realtime/calls",
        "POST /v1/chatkit/sessions",
        "POST /v1/organization/admin_api_keys",
        "POST /v1/organization/projects/*/service_accounts",
    ),
)
