"""What of an upstream's path belongs to the API that rules speak of."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from gateway.core.operations import api_part
from gateway.providers import load


@pytest.mark.parametrize(
    ("base", "part"),
    [
        (b"", b""),
        (b"/v1", b"/v1"),
        (b"/openai/v1", b"/v1"),
        (b"/openai", b""),
        (b"/v1/chat", b"/v1/chat"),
        (b"/v1/elsewhere", b""),
        (b"/v1/chat/completions", b""),
    ],
)
def test_the_longest_end_that_an_operation_begins_with(base: bytes, part: bytes) -> None:
    presets = MappingProxyType({"inference": ("POST /v1/chat/completions",)})
    assert api_part(replace(load("generic"), presets=presets), base) == part


@pytest.mark.parametrize(
    ("provider", "base", "part"),
    [
        ("discord", b"/api/v10", b"/api/v10"),
        ("discord", b"/somewhere/api", b"/api"),
        ("gemini", b"/v1beta", b"/v1beta"),
        ("openai", b"/api/v1", b"/v1"),
        ("telegram", b"/local", b""),
        ("generic", b"/v2", b""),
    ],
)
def test_of_the_providers_there_are(provider: str, base: bytes, part: bytes) -> None:
    assert api_part(load(provider), base) == part
