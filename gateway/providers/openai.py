"""OpenAI: one Bearer key, SDKs that want the route to end in /v1."""

from __future__ import annotations

from gateway.core.model import Provider, Subject
from gateway.core.places import Header
from gateway.core.shapes import openai_refusal

PLUGIN = Provider(
    name="openai",
    upstream="https://api.openai.com",
    tokens=(Header("Authorization", "Bearer"),),
    refuse=openai_refusal,
    subjects=(Subject("model", json="model", form="model", query="model"),),
)
