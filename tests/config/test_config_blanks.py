"""A key with nothing after it is a mistake everywhere: what is left out must be left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.config import schema
from tests.config.mistakes import ROUTE, Cases, message, problems

ROUTE_KEYS = "routes:\n  openai:\n    secret: env:K\n    {key}:\n"
SECTION = f"{ROUTE}{{section}}:\n  {{key}}:\n"
ENTRY = f"{ROUTE}{{section}}:\n  - {{key}}:\n"
BOT = f"{ROUTE}bots:\n  a:\n    {{key}}:\n"
GROUP = f"{ROUTE}bots: {{a: {{groups: [g]}}}}\ngroups:\n  g:\n    {{key}}:\n"
RULE = f"{ROUTE}bots:\n  a:\n    allow:\n      - route: openai\n        {{key}}:\n"
FILES: dict[type[BaseModel], str] = {
    schema.FileKeys: ROUTE + "{key}:\n",
    schema.ListenerKeys: ROUTE + "listen:\n  address: 127.0.0.1:1\n  {key}:\n",
    schema.LimitKeys: ENTRY.replace("{section}", "limits"),
    schema.ProxyKeys: ROUTE + "proxies:\n  trusted: [10.0.0.5]\n  {key}:\n",
    schema.DeadlineKeys: SECTION.replace("{section}", "deadlines"),
    schema.SizeKeys: SECTION.replace("{section}", "sizes"),
    schema.ConnectionKeys: SECTION.replace("{section}", "connections"),
    schema.RouteKeys: ROUTE_KEYS,
    schema.BotKeys: BOT,
    schema.GroupKeys: GROUP,
    schema.RuleKeys: RULE,
}
"""A file for each kind of mapping, with a `{key}` that is blank on the last line."""


def optional(model: type[BaseModel]) -> Iterator[str]:
    """Yield the keys that may be left out."""
    return (name for name, field in model.model_fields.items() if not field.is_required())


OPTIONAL = [(model, name) for model in FILES for name in optional(model)]


def test_every_mapping_with_optional_keys_is_looked_at() -> None:
    ours = {one for one in vars(schema).values() if isinstance(one, type)}
    models = {one for one in ours if issubclass(one, schema.Strict)} - {schema.Strict}
    assert {one for one in models if any(optional(one))} == set(FILES)


@pytest.mark.parametrize("value", ["", " null", " ~"], ids=["blank", "null", "tilde"])
@pytest.mark.parametrize(("model", "key"), OPTIONAL, ids=lambda one: getattr(one, "__name__", one))
def test_nothing_is_no_value(tmp_path: Path, model: type[BaseModel], key: str, value: str) -> None:
    text = FILES[model].replace("{key}:", f"{key}:{value}")
    (found,) = problems(tmp_path, text)
    line = text.rstrip().splitlines()[-1]
    column = len(line) - len(value.strip()) + 1
    assert found.startswith(f"routes.yaml:{text.count(chr(10))}:{column}: ")
    assert ": this is empty: " in found
    ways = ("; or leave the key out", "; or leave the key out, which allows all")
    assert found.endswith(ways[model is schema.RuleKeys])


CASES: Cases = {
    "a route's own listener": (
        ROUTE_KEYS.replace("{key}", "listen"),
        "4:12: routes.openai.listen: this is empty: an address such as `127.0.0.1:8080`, "
        "or a mapping with `address`, is expected; or leave the key out",
    ),
    "a prefix": (
        ROUTE_KEYS.replace("{key}", "prefix"),
        "4:12: routes.openai.prefix: this is empty: text is expected; or leave the key out",
    ),
    "a host": (
        ROUTE_KEYS.replace("{key}", "host"),
        "4:10: routes.openai.host: this is empty: text is expected; or leave the key out",
    ),
    "places of the token": (
        ROUTE_KEYS.replace("{key}", "token"),
        "4:11: routes.openai.token: this is empty: a list is expected; or leave the key out",
    ),
    "a mode": (
        BOT.replace("{key}", "mode"),
        "4:10: bots.a.mode: this is empty: 'enforce' or 'observe' is expected; "
        "or leave the key out",
    ),
    "models of a rule": (
        RULE.replace("{key}", "models"),
        "6:16: bots.a.allow[0].models: this is empty: a list is expected; "
        "or leave the key out, which allows all",
    ),
    "the route of a rule": (
        ROUTE + "bots: {a: {allow: [{route: }]}}",
        "2:28: bots.a.allow[0].route: this is empty: text is expected",
    ),
    "an address in a list": (
        ROUTE + "addresses: [10.0.0.0/8, ~]",
        "2:25: addresses[1]: this is empty: text is expected",
    ),
    "a bot": (
        ROUTE + "bots: {listen: }",
        "2:16: bots.listen: this is empty: a mapping (`key: value` lines) is expected",
    ),
    "a secret": (
        "routes:\n  openai:\n    secret:\n",
        "3:12: routes.openai.secret: this is empty: write `env:NAME`, `file:PATH`, "
        "or null for an upstream without a key",
    ),
    "a secret that is to be put somewhere": (
        "routes: {openai: {secret: , inject: [bearer]}}",
        "1:27: routes.openai.secret: this is empty: write `env:NAME`, `file:PATH`, "
        "or null for an upstream without a key",
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_what_is_empty_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, text) == [message(expected)]
