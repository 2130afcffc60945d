"""What can be said of a rule before there is a request: what never matches, what is covered."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import Provider, Rule, Subject
from gateway.core.places import Header
from gateway.core.rules import covers, unreachable
from gateway.core.scope import Scope
from gateway.core.shapes import plain_refusal

PROVIDER = Provider(
    name="like-openai",
    upstream=None,
    tokens=(Header("Authorization", "Bearer"),),
    refuse=plain_refusal,
    subjects=(
        Subject(
            "model", fields=("model",), strip="models/", free=("GET /v1/models", "GET /v1/f/**")
        ),
        Subject("channel", fields=("channel",), form=r"-?[0-9]+|@[a-z]+", fold=True),
    ),
    presets=MappingProxyType(
        {
            "inference": ("POST /v1/chat", "POST /v1/embeddings"),
            "read": ("GET /v1/models", "GET /v1/f/*"),
        }
    ),
    uncarried=("GET /v1/realtime", "GET /v1/sockets/**"),
)
OWN = Provider(
    name="like-telegram",
    upstream=None,
    tokens=PROVIDER.tokens,
    refuse=plain_refusal,
    subjects=(Subject("chat", fields=("chat_id",), free=("getMe",)),),
    presets=MappingProxyType({"send": ("send*",), "read": ("getMe", "getChat")}),
    method=r"^/bot/([A-Za-z]+)$",
    uncarried=("logOut",),
)


def rule(**keys: tuple[str, ...]) -> Rule:
    own = {key: keys.pop(key) for key in ("presets", "methods", "paths") if key in keys}
    subjects = MappingProxyType({key.removesuffix("s"): value for key, value in keys.items()})
    return Rule("r", "routes.yaml:1", subjects=subjects, **own)


@pytest.mark.parametrize(
    ("provider", "keys", "sentence"),
    [
        (PROVIDER, {}, None),
        (PROVIDER, {"presets": ("inference", "read"), "models": ("gpt-*",)}, None),
        (PROVIDER, {"presets": ("read",), "methods": ("GET",), "paths": ("/v1/f/x",)}, None),
        (PROVIDER, {"paths": ("/v1/**",), "models": ("models/gpt",)}, None),
        (PROVIDER, {"channels": ("12", "@News", "-*")}, None),
        (OWN, {"methods": ("sendMessage", "anything"), "chats": ("1",)}, None),
        (OWN, {"presets": ("send",), "methods": ("SendMessage",)}, None),
        (
            PROVIDER,
            {"methods": ("GET", "FETCH")},
            "no request has the method FETCH; "
            "it is one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        ),
        (
            PROVIDER,
            {"methods": ("GET",), "paths": ("/v1/realtime", "/v1/sockets/*")},
            "the gateway carries nothing of what this rule allows",
        ),
        (OWN, {"methods": ("logout",)}, "the gateway carries nothing of what this rule allows"),
        (
            PROVIDER,
            {"presets": ("inference", "read"), "methods": ("POST",)},
            "the preset read has nothing that the rule's methods and paths allow",
        ),
        (
            PROVIDER,
            {"presets": ("inference",), "paths": ("/v1/images",)},
            "the preset inference has nothing that the rule's methods and paths allow",
        ),
        (
            PROVIDER,
            {"presets": ("read",), "methods": ("GET", "POST")},
            "none of the rule's presets has the method POST",
        ),
        (
            PROVIDER,
            {"presets": ("read",), "paths": ("/v1/models", "/v1/models/*")},
            "none of the rule's presets has the path /v1/models/*",
        ),
        (
            OWN,
            {"presets": ("send",), "methods": ("getMe",)},
            "the preset send has nothing that the rule's methods and paths allow",
        ),
        (PROVIDER, {"channels": ("12", "news")}, "news can be no channel"),
        (PROVIDER, {"models": ("gpt 5",)}, "gpt 5 can be no model"),
        (
            PROVIDER,
            {"presets": ("read",), "models": ("gpt",)},
            "nothing that this rule allows is about a model",
        ),
        (
            OWN,
            {"methods": ("getMe",), "chats": ("1",)},
            "nothing that this rule allows is about a chat",
        ),
    ],
)
def test_what_never_matches_or_matters(
    provider: Provider, keys: dict[str, tuple[str, ...]], sentence: str | None
) -> None:
    assert unreachable(provider, rule(**keys)) == sentence


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({}, {}, True),
        ({}, {"presets": ("read",), "models": ("a",)}, True),
        ({"presets": ("read",)}, {}, False),
        ({"presets": ("read", "inference")}, {"presets": ("read",)}, True),
        ({"presets": ("read",)}, {"presets": ("read",), "methods": ("GET",)}, True),
        ({"presets": ("read",), "methods": ("POST",)}, {"presets": ("read",)}, False),
        ({"presets": ("read",)}, {"methods": ("GET",), "paths": ("/v1/models", "/v1/f/x")}, True),
        (
            {"presets": ("read",)},
            {"methods": ("GET",), "paths": ("/v1/models", "/v1/f/x/y")},
            False,
        ),
        ({"presets": ("read",)}, {"paths": ("/v1/models",)}, False),
        ({"paths": ("/v1/**",)}, {"presets": ("read",)}, True),
        ({"paths": ("/v1/**",), "methods": ("GET",)}, {"presets": ("read",)}, True),
        ({"paths": ("/v1/**",), "methods": ("GET",)}, {"presets": ("inference",)}, False),
        ({"paths": ("/v1/*",)}, {"methods": ("GET",)}, False),
        ({"models": ("gpt-*",)}, {"models": ("gpt-5", "models/gpt-5-*")}, True),
        ({"models": ("gpt-*",)}, {"models": ("gpt-5", "o3")}, False),
        ({"models": ("*",)}, {}, False),
        ({}, {"models": ("a",)}, True),
        ({"models": ("a",)}, {"models": ("a",), "presets": ("read",)}, False),
        ({"models": ("a",), "paths": ("/v1/**",)}, {"models": ("a",), "presets": ("read",)}, True),
        ({"channels": ("@News",)}, {"channels": ("@news",)}, True),
        ({"channels": ("1",)}, {"models": ("1",)}, False),
    ],
)
def test_a_rule_covers_another(
    one: dict[str, tuple[str, ...]], other: dict[str, tuple[str, ...]], expected: bool
) -> None:
    assert covers(PROVIDER, rule(**one), rule(**other)) is expected


some = st.sampled_from
rules = st.builds(
    lambda presets, methods, paths, models: rule(
        presets=tuple(presets),
        methods=tuple(methods),
        paths=tuple(paths),
        **({"models": tuple(models)} if models else {}),
    ),
    st.lists(some(["inference", "read"]), max_size=2),
    st.lists(some(["GET", "POST"]), max_size=2),
    st.lists(some(["/v1/*", "/v1/**", "/v1/chat", "/v1/models", "/**"]), max_size=2),
    st.lists(some(["a", "ab", "a*", "*"]), max_size=2),
)


@given(rules, rules)
def test_what_is_covered_passes_by_the_other_rule_too(one: Rule, other: Rule) -> None:
    for method in (b"GET", b"POST"):
        for path in (b"/v1/chat", b"/v1/models", b"/v1/f/x", b"/v1/f/x/y", b"/x", b"/"):
            for models in ((), ("a",), ("ab", "a"), ("b",)):
                passes = passing(other, method, path, models)
                if covers(PROVIDER, one, other):
                    assert passing(one, method, path, models) or not passes


def passing(one: Rule, method: bytes, path: bytes, models: tuple[str, ...]) -> bool:
    outlook = Scope(PROVIDER, (one,)).look(method, path)
    if outlook.reader is None:
        return outlook.deny is None
    return outlook.decide({"model": models})[1] is None
