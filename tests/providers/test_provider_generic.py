"""Any other API: the usual places, our own error shape; and how providers are loaded."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from gateway.core.errors import Deny
from gateway.core.model import Provider
from gateway.core.places import Outgoing
from gateway.providers import known, load
from gateway.providers.generic import PLUGIN


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        pytest.param(b"authorization", b"Bearer T", b"Authorization: Bearer S", id="bearer"),
        pytest.param(b"x-api-key", b"T", b"X-Api-Key: S", id="x-api-key"),
        pytest.param(
            b"authorization",
            b"Basic " + b64encode(b"me:T"),
            b"Authorization: Basic " + b64encode(b"me:S"),
            id="basic",
        ),
    ],
)
def test_the_key_goes_where_the_token_was(name: bytes, value: bytes, line: bytes) -> None:
    request = Outgoing(b"/", None, [(name, value)], [])
    (place,) = [place for place in PLUGIN.tokens if place.find(request)]
    assert place.find(request) == (b"T",)
    place.put(request, b"S")
    assert request.lines == [line]


def test_the_route_must_say_the_upstream() -> None:
    assert PLUGIN.upstream is None


def test_a_refusal_has_our_own_shape() -> None:
    body = json.loads(PLUGIN.refuse(Deny(403, "a_code", "A reason"), "X1").body)
    assert body["error"]["code"] == "a_code"
    assert body["error"]["exchange"] == "X1"


@pytest.mark.parametrize("name", known())
def test_every_provider_is_named_as_its_file(name: str) -> None:
    plugin = load(name)
    assert isinstance(plugin, Provider)
    assert plugin.name == name
    assert plugin.tokens


@pytest.mark.parametrize("name", ["opnai", "", "__init__", "os", "openai.x", "../core"])
def test_an_unknown_provider_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(LookupError, match=r"anthropic, .*generic, .*openai, .*telegram"):
        load(name)
