"""`gateway routes`: where each route is reached, and what to write into a bot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import gateway

PLACES = """\
listen: [{address: "0.0.0.0:8080"}]
routes:
  openai: {secret: null}
  named: {provider: openai, secret: null, host: openai.internal}
  alone: {provider: openai, secret: null, listen: "[::1]:8443"}
bots: {}
"""


def bases(*arguments: str) -> dict[str, str]:
    """Return the base URL of each route."""
    shown = json.loads(gateway("routes", "--json", *arguments).stdout)
    return {one["route"]: one["base_url"] for one in shown}


def test_routes_say_what_to_change_in_each_sdk(here: Path) -> None:
    text = gateway("routes").stdout
    assert 'OpenAI(base_url="http://127.0.0.1:8080/openai/v1", api_key="YOUR_TOKEN")' in text
    assert 'base_url="http://127.0.0.1:8080/telegram/bot"' in text
    only = json.loads(gateway("routes", "openai", "--url", "https://gw.example/", "--json").stdout)
    assert [(one["route"], one["base_url"]) for one in only] == [
        ("openai", "https://gw.example/openai")
    ]
    assert gateway("routes", "nope").exit_code == 1


def test_a_route_with_a_host_or_port_of_its_own_has_it_in_its_base_url(here: Path) -> None:
    (here / "routes.yaml").write_text(PLACES)
    assert bases() == {
        "openai": "http://127.0.0.1:8080/openai",
        "named": "http://openai.internal:8080",
        "alone": "http://[::1]:8443",
    }
    assert bases("--url", "https://gw.example/base/") == {
        "openai": "https://gw.example/base/openai",
        "named": "https://openai.internal/base",
        "alone": "http://gw.example:8443",
    }


@pytest.mark.parametrize("url", ["gw.example", "ftp://gw.example", "https://gw.example/a b", ""])
def test_a_public_url_is_a_url(here: Path, url: str) -> None:
    result = gateway("routes", "--url", url)
    assert result.exit_code == 2
    assert "such as https://gateway.example.com" in result.stderr
