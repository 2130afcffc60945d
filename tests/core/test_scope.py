"""What a bot may do: rules against what a request does and is about."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import providers
from gateway.core.errors import Deny
from gateway.core.fields import FieldReader
from gateway.core.globs import Glob, PathGlob
from gateway.core.model import Provider, Rule, Subject
from gateway.core.places import Header, Path
from gateway.core.scope import Outlook, Scope
from gateway.core.shapes import plain_refusal

MODEL = Subject(
    "model",
    fields=("model",),
    path=r"^/v1/models/([^/:]+)",
    strip="models/",
    free=("GET /v1/models", "GET /v1/files/*"),
)
CHAT = Subject("chat", fields=("chat_id",), query=("chat_id",), fold=True, free=("getMe",))
CHANNEL = Subject("channel", fields=("channel",), free=("POST /v1/chat",))
OPENAI = Provider(
    name="openai-like",
    upstream=None,
    tokens=(Header("Authorization", "Bearer"),),
    refuse=plain_refusal,
    subjects=(MODEL, CHANNEL),
    presets=MappingProxyType(
        {
            "inference": ("POST /v1/chat", "POST /v1/chat/*", "POST /v1/embeddings"),
            "read": ("GET /v1/models", "GET /v1/models/*", "GET /v1/files/**"),
        }
    ),
    uncarried=("GET /v1/realtime", "POST /v1/tickets/*"),
)
TELEGRAM = Provider(
    name="telegram-like",
    upstream=None,
    tokens=(Path("/bot"),),
    refuse=plain_refusal,
    subjects=(CHAT,),
    presets=MappingProxyType({"send": ("send*", "editMessageText"), "read": ("getMe", "getChat")}),
    method=r"^/(?:bot[^/]+/([A-Za-z]+)$|file/bot[^/]+/(?P<getFile>.))",
    uncarried=("logOut",),
)


def rule(*route: str, **keys: tuple[str, ...]) -> Rule:
    own = {key: keys.pop(key) for key in ("presets", "methods", "paths") if key in keys}
    subjects = MappingProxyType({key.removesuffix("s"): value for key, value in keys.items()})
    return Rule("".join(route) or "openai", "routes.yaml:1", subjects=subjects, **own)


def look(provider: Provider, asked: str, *rules: Rule) -> Outlook:
    method, path = asked.split(" ")
    return Scope(provider, rules).look(method.encode(), path.encode())


def telegram(method: str, *rules: Rule) -> Outlook:
    return look(TELEGRAM, f"POST /bot1:secret/{method}", *rules)


@pytest.mark.parametrize(
    ("keys", "yes", "no"),
    [
        ({}, ["POST /v1/chat", "DELETE /anything/at/all", "GET /"], []),
        (
            {"presets": ("inference",)},
            ["POST /v1/chat", "POST /v1/chat/completions", "POST /v1/embeddings"],
            [
                "GET /v1/chat",
                "POST /v1/chat/",
                "POST /v1/chat/x/y",
                "POST /v1/fine_tuning",
                "POST /",
            ],
        ),
        (
            {"presets": ("inference", "read")},
            ["POST /v1/chat", "GET /v1/models", "GET /v1/files/a/b"],
            ["POST /v1/models", "DELETE /v1/files/a", "GET /v1/files"],
        ),
        ({"methods": ("GET", "HEAD")}, ["GET /x", "HEAD /x"], ["POST /x", "GETS /x"]),
        (
            {"paths": ("/v1/a/*", "/v2/**")},
            ["GET /v1/a/b", "PUT /v2/x/y"],
            ["GET /v1/a", "GET /v2"],
        ),
        (
            {"methods": ("GET",), "paths": ("/v1/a",)},
            ["GET /v1/a"],
            ["POST /v1/a", "GET /v1/b", "GET /V1/A", "GET /v1/%61"],
        ),
        (
            {"presets": ("read",), "paths": ("/v1/files/**",)},
            ["GET /v1/files/x"],
            ["GET /v1/models", "POST /v1/files/x"],
        ),
        ({"presets": ("read",), "methods": ("POST",)}, [], ["GET /v1/models", "POST /v1/models"]),
    ],
)
def test_keys_are_anded_and_their_entries_ored(
    keys: dict[str, tuple[str, ...]], yes: list[str], no: list[str]
) -> None:
    only = rule(**keys)
    for asked in yes:
        assert look(OPENAI, asked, only) == Outlook(only)
    for asked in no:
        outlook = look(OPENAI, asked, only)
        assert outlook.rule is only
        assert outlook.deny is not None
        assert outlook.deny.status == 403
        assert outlook.reader is None


@pytest.mark.parametrize(
    ("keys", "yes", "no"),
    [
        ({}, ["sendMessage", "deleteWebhook", "x/y"], []),
        (
            {"methods": ("sendMessage", "getMe")},
            ["sendMessage", "SENDMESSAGE", "getme"],
            ["sendMessag"],
        ),
        ({"methods": ("*",)}, ["sendMessage"], ["sendMessage/", "x/y", "send_message", ""]),
        (
            {"presets": ("send",)},
            ["sendMessage", "sendPhoto", "editmessagetext"],
            ["getMe", "resend"],
        ),
        (
            {"presets": ("send",), "methods": ("sendPhoto", "getMe")},
            ["sendPhoto"],
            ["sendX", "getMe"],
        ),
    ],
)
def test_an_api_with_methods_of_its_own(
    keys: dict[str, tuple[str, ...]], yes: list[str], no: list[str]
) -> None:
    only = rule("telegram", **keys)
    assert [one for one in yes + no if telegram(one, only).deny is None] == yes


def test_a_named_part_of_the_path_is_the_method_of_that_name() -> None:
    asked = "GET /file/bot1:secret/photos/x.jpg"
    assert look(TELEGRAM, asked, rule("telegram", methods=("getFile",))).deny is None
    deny = look(TELEGRAM, asked, rule("telegram", methods=("getMe",))).deny
    assert deny is not None
    assert "the method getFile on" in deny.reason


def test_the_first_rule_that_matches_lets_it_pass() -> None:
    rules = [rule(methods=("GET",)), rule(paths=("/v1/a",)), rule()]
    assert look(OPENAI, "GET /v1/a", *rules).rule is rules[0]
    assert look(OPENAI, "POST /v1/a", *rules).rule is rules[1]
    assert look(OPENAI, "POST /v1/b", *rules).rule is rules[2]


def test_the_bare_base_url_is_the_root() -> None:
    for pattern in ("/", "/**"):
        scope = Scope(OPENAI, (rule(paths=(pattern,)),))
        assert scope.look(b"GET", b"").deny is None
        assert scope.look(b"GET", b"/").deny is None


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ({"model": ("gpt-5-mini",)}, 0),
        ({"model": ("text-embedding-3-small",)}, 0),
        ({"model": ("gpt-5-mini", "text-embedding-3")}, 0),
        ({"model": ("claude",)}, 1),
        ({"model": ("claude", "gpt-5-mini")}, None),
        ({"model": ("gpt-5",)}, None),
        ({"model": ("GPT-5-mini",)}, None),
        ({}, None),
        ({"model": ()}, None),
        ({"channel": ("gpt-5-mini",)}, None),
    ],
)
def test_every_value_that_is_named_must_be_allowed(
    said: dict[str, tuple[str, ...]], passes: int | None
) -> None:
    rules = [rule(models=("models/gpt-5-mini", "text-embedding-*")), rule(models=("claude",))]
    outlook = look(OPENAI, "POST /v1/chat", *rules)
    assert outlook.deny is None
    assert isinstance(outlook.reader, FieldReader)
    found, deny = outlook.decide(said)
    assert (deny is None) == (passes is not None)
    assert found is rules[passes or 0]


def test_a_rule_without_subjects_needs_nothing_read() -> None:
    rules = [rule(models=("a",)), rule(presets=("inference",))]
    assert look(OPENAI, "POST /v1/chat", *rules) == Outlook(rules[1])
    assert look(OPENAI, "GET /v1/models/a", *rules).reader is not None


@pytest.mark.parametrize("asked", ["POST /v1/other", "DELETE /v1/models/a", "GET /v1/organization"])
def test_a_rule_of_subjects_alone_allows_what_presets_hold(asked: str) -> None:
    """Else whoever names an allowed model in passing could administer, bill and train."""
    outlook = look(OPENAI, asked, rule(models=("*",)))
    assert outlook.deny is not None
    assert outlook.deny.code in ("method_not_allowed", "path_not_allowed")
    assert look(OPENAI, asked, rule(models=("*",), paths=("/**",))).deny is None


@pytest.mark.parametrize(
    ("asked", "keys", "passes"),
    [
        ("GET /v1/models", {"presets": ("read",)}, True),
        ("GET /v1/models", {"methods": ("GET",)}, True),
        ("GET /v1/models", {"paths": ("/v1/*",)}, True),
        ("GET /v1/files/x", {"presets": ("read",)}, True),
        ("GET /v1/files/x/y", {"presets": ("read",)}, False),
        ("POST /v1/models", {"paths": ("/v1/*",)}, False),
        ("GET /v1/models/", {"methods": ("GET",)}, False),
    ],
)
def test_what_is_about_nothing_passes_where_a_rule_names_it(
    asked: str, keys: dict[str, tuple[str, ...]], passes: bool
) -> None:
    outlook = look(OPENAI, asked, rule(models=("gpt",), **keys))
    assert outlook.reader is not None
    assert (outlook.decide({})[1] is None) is passes
    assert outlook.decide({"model": ("gpt",)})[1] is None
    assert outlook.decide({"model": ("other",)})[1] is not None


def test_what_is_about_nothing_is_refused_whatever_is_said_beside_it() -> None:
    """A provider looks at no model where it lists them: one that is named there allows nothing."""
    only = rule(models=("gpt",))
    outlook = look(OPENAI, "GET /v1/models", only)
    assert outlook.rule is only
    assert outlook.reader is None
    assert outlook.deny is not None
    assert outlook.deny.code == "model_not_allowed"
    assert outlook.deny.reason == (
        "GET /v1/models is about no model; on route openai only a rule with presets, methods or "
        "paths allows that"
    )
    named = rule(models=("gpt",), presets=("read",))
    assert look(OPENAI, "GET /v1/models", only, named).decide({})[1] is None


def test_two_subjects_of_one_rule() -> None:
    both = rule(models=("gpt",), channels=("c",), presets=("inference",))
    outlook = look(OPENAI, "POST /v1/chat", both)  # about no channel, so that none need be named
    assert outlook.decide({"model": ("gpt",)}) == (both, None)
    assert outlook.decide({"model": ("gpt",), "channel": ("c",)}) == (both, None)
    for said, code in (
        ({"model": ("gpt",), "channel": ("x",)}, "channel_not_allowed"),
        ({"model": ("x",), "channel": ("c",)}, "model_not_allowed"),
        ({"channel": ("c",)}, "model_not_allowed"),
    ):
        found, deny = outlook.decide(said)
        assert found is both
        assert deny is not None
        assert deny.code == code


def test_the_nearest_rule_is_the_one_that_got_furthest() -> None:
    rules = [
        rule(presets=("read",), models=("a",)),
        rule(presets=("inference",), models=("b",), channels=("c",)),
        rule(presets=("inference",), models=("d",), channels=("e",)),
    ]
    outlook = look(OPENAI, "POST /v1/embeddings", *rules)
    assert outlook.decide({"model": ("d",), "channel": ("x",)})[0] is rules[2]
    assert outlook.decide({"model": ("x",), "channel": ("x",)})[0] is rules[1]
    assert look(OPENAI, "PUT /v1/embeddings", *rules).rule is rules[1]
    assert look(OPENAI, "PUT /v1/models", *rules).rule is rules[0]
    assert look(OPENAI, "PUT /v1/nothing", *rules).rule is rules[0]
    assert look(OPENAI, "GET /v1/realtime", *rules, rule()).rule is not rules[0]


def test_values_without_case_are_compared_without() -> None:
    outlook = telegram("sendMessage", rule("telegram", chats=("12345", "@News", "-100*")))
    for chat in ("12345", "@news", "-1001", "-100"):
        assert outlook.decide({"chat": (chat,)})[1] is None
    for chat in ("1234", "123456", "@news2", "-10"):
        assert outlook.decide({"chat": (chat,)})[1] is not None


# Refusals, word for word.


@pytest.mark.parametrize(
    ("asked", "rules", "code", "reason"),
    [
        (
            "POST /v1/fine_tuning/jobs",
            [rule(presets=("inference",)), rule(methods=("GET",), paths=("/v1/x/*",))],
            "path_not_allowed",
            "No rule of this bot allows POST /v1/fine_tuning/jobs on route openai; "
            "it may use inference, GET, /v1/x/*",
        ),
        (
            "DELETE /v1/models/x",
            [rule(presets=("read",))],
            "method_not_allowed",
            "No rule of this bot allows DELETE /v1/models/x on route openai; it may use read",
        ),
        (
            "POST /v1/x",
            [rule(methods=("GET", "HEAD"))],
            "method_not_allowed",
            "No rule of this bot allows POST /v1/x on route openai; it may use GET, HEAD",
        ),
        (
            "GET /v1/" + "\x1b" + "é" * 99,
            [rule(paths=("/x",))],
            "path_not_allowed",
            f"No rule of this bot allows GET /v1/{'?' * 60} on route openai; it may use /x",
        ),
        (
            "GET /x",
            [rule(paths=tuple(f"/path/{number:04}/" + "x" * 90 for number in range(1000)))],
            "path_not_allowed",
            "No rule of this bot allows GET /x on route openai; it may use "
            + ", ".join(f"/path/{number:04}/" + "x" * 53 for number in range(3))
            + " and 997 more",
        ),
    ],
)
def test_why_what_is_done_is_refused(asked: str, rules: list[Rule], code: str, reason: str) -> None:
    assert look(OPENAI, asked, *rules).deny == Deny(403, code, reason)


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        (
            {"model": ("gpt-5-pro",)},
            "model_not_allowed",
            "No rule of this bot allows the model gpt-5-pro on route openai; "
            "it may use gpt-5-mini, text-embedding-*, claude",
        ),
        (
            {"model": ("gpt-5-mini", "x" * 70 + "é\n")},
            "model_not_allowed",
            f"No rule of this bot allows the model {'x' * 64} on route openai; "
            "it may use gpt-5-mini, text-embedding-*, claude",
        ),
        (
            {"model": ("gpt-5-mini", "claude")},
            "model_not_allowed",
            "No rule of this bot allows these models together on route openai; "
            "it may use gpt-5-mini, text-embedding-*, claude",
        ),
        (
            {},
            "model_not_allowed",
            "No rule of this bot allows a request that names no model on route openai; "
            "it may use gpt-5-mini, text-embedding-*, claude",
        ),
    ],
)
def test_why_what_it_is_about_is_refused(
    said: dict[str, tuple[str, ...]], code: str, reason: str
) -> None:
    rules = [rule(models=("gpt-5-mini", "text-embedding-*")), rule(models=("claude",))]
    outlook = look(OPENAI, "POST /v1/chat", *rules)
    assert outlook.decide(said) == (rules[0], Deny(403, code, reason))


def test_no_reason_holds_a_path_in_which_a_token_may_stand() -> None:
    only = rule("telegram", methods=("sendMessage",))
    assert telegram("deleteWebhook", only).deny == Deny(
        403,
        "method_not_allowed",
        "No rule of this bot allows the method deleteWebhook on route telegram; "
        "it may use sendMessage",
    )
    assert telegram("send/it", only).deny == Deny(
        403,
        "path_not_allowed",
        "No rule of this bot allows this path on route telegram; it may use sendMessage",
    )
    scope = Scope(OPENAI, (rule(paths=("/x/*/y",)),), hides_path=True)
    assert scope.look(b"GET", b"/x/secret/z").deny == Deny(
        403,
        "path_not_allowed",
        "No rule of this bot allows GET of this path on route openai; it may use /x/*/y",
    )


@pytest.mark.parametrize(
    "asked",
    [
        "GET /v1/realtime",
        "GET /v1/realtime/",
        "GET /v1/Realtime",
        "GET /v1/%72ealtime",
        "GET /v1%2Frealtime//",
        "POST /v1/tickets/x",
        "POST /v1/tickets/x%3Ay",
    ],
)
def test_what_leads_past_the_gateway_is_refused_however_it_is_spelt(asked: str) -> None:
    rules = [rule(methods=("HEAD",)), rule()]
    outlook = look(OPENAI, asked, *rules)
    assert outlook.rule is rules[1]
    assert outlook.reader is None
    assert outlook.deny == Deny(
        501,
        "not_carried",
        f"The gateway does not carry {asked} yet: its answer leads past it",
        repeatable=False,
    )


def test_what_leads_past_the_gateway_by_a_method_of_its_own() -> None:
    for method in ("logOut", "logout", "log%4Fut", "logOut/"):
        outlook = telegram(method, rule("telegram", chats=("1",)))
        assert outlook.deny is not None
        assert outlook.deny.code == "not_carried"
        assert "secret" not in outlook.deny.reason
    loud = Scope(TELEGRAM, (rule("telegram"),)).look(b"GET", b"/BOTsecret/logOut")
    assert loud.deny is not None
    assert loud.deny.code == "not_carried"
    assert telegram("logOuts", rule("telegram")).deny is None
    assert look(OPENAI, "POST /v1/realtime", rule()).deny is None


def test_no_rule_at_all() -> None:
    deny = Deny(403, "route_not_allowed", "No rule of this bot allows this route")
    assert look(OPENAI, "GET /", *()) == Outlook(None, deny)


@given(
    st.text(max_size=300),
    st.text("/abc%\x00é", max_size=300),
    st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=9),
)
def test_no_reason_is_long_or_unprintable(value: str, path: str, patterns: list[str]) -> None:
    some = tuple(patterns)
    outlook = look(OPENAI, "GET /m", rule("r" * 64, models=some, paths=("/m",)))
    reasons = [
        Scope(OPENAI, (rule("r" * 64, paths=some),)).look(b"OPTIONS", b"/" + path.encode()).deny,
        outlook.decide({"model": (value,)})[1],
        outlook.decide({})[1],
    ]
    for deny in reasons:
        if deny is not None:
            assert len(deny.reason) <= 300
            assert deny.reason.isascii()
            assert deny.reason.isprintable()


# What is kept.


def test_an_outlook_does_not_change_and_its_reader_is_built_once() -> None:
    scope = Scope(OPENAI, (rule(models=("a",)), rule(paths=("/v1/chat/y",), channels=("c",))))
    one, other = scope.look(b"POST", b"/v1/chat/x"), scope.look(b"POST", b"/v1/embeddings")
    assert one.reader is other.reader
    both = scope.look(b"POST", b"/v1/chat/y")
    assert both.reader is not one.reader
    assert scope.look(b"POST", b"/v1/chat/y").reader is both.reader
    assert one.reader is not None
    assert both.reader is not None
    assert one.reader.head(b"/v1/models/models%2Fa", None) == {"model": ("a",)}
    with pytest.raises(AttributeError):
        one.deny = None  # type: ignore[misc]


def test_a_rule_that_names_what_the_provider_lacks_is_no_rule() -> None:
    for wrong in (rule(presets=("nothing",)), rule(chats=("1",))):
        with pytest.raises(KeyError):
            Scope(OPENAI, (wrong,))


@pytest.mark.parametrize("name", providers.known())
def test_every_subject_of_a_provider_has_a_code(name: str) -> None:
    provider = providers.load(name)
    for subject in provider.subjects:
        only = rule(**{subject.name + "s": ("a",)}, methods=("*",))
        scope = Scope(provider, (only,))
        looks = [scope.look(b"POST", path) for path in (b"/bot1:x/go", b"/api/chat.go")]
        outlook = next(one for one in looks if one.reader is not None)
        _, deny = outlook.decide({})
        assert deny is not None
        assert deny.code == f"{subject.name}_not_allowed"


# Against the obvious model.

METHODS = ("GET", "POST")
PATHS = ("/v1/chat", "/v1/chat/x", "/v1/models", "/v1/models/m", "/v1/files/a", "/")
some = st.sampled_from
rules = st.builds(
    lambda presets, methods, paths, models, channels: rule(
        presets=tuple(presets),
        methods=tuple(methods),
        paths=tuple(paths),
        **({"models": tuple(models)} if models else {}),
        **({"channels": tuple(channels)} if channels else {}),
    ),
    st.lists(some(["inference", "read"]), max_size=2),
    st.lists(some(METHODS), max_size=2),
    st.lists(some(["/v1/*", "/v1/**", "/v1/chat", "/**"]), max_size=2),
    st.lists(some(["a", "b", "a*", "*"]), max_size=2),
    st.lists(some(["a", "b"]), max_size=2),
)
values = st.lists(some(["a", "b", "ab"]), max_size=2).map(tuple)


def is_one_of(operations: tuple[str, ...], method: str, path: str) -> bool:
    pairs = (operation.split(" ") for operation in operations)
    return any(method == one and PathGlob(glob).matches(path) for one, glob in pairs)


def obviously_done(one: Rule, method: str, path: str) -> bool:
    if one.presets or (one.subjects and not one.methods and not one.paths):
        listed = sum((OPENAI.presets[preset] for preset in one.presets or OPENAI.presets), ())
        if not is_one_of(listed, method, path):
            return False
    if one.methods and method not in one.methods:
        return False
    return not one.paths or any(PathGlob(glob).matches(path) for glob in one.paths)


def obvious(one: Rule, method: str, path: str, said: dict[str, tuple[str, ...]]) -> bool:
    if not obviously_done(one, method, path):
        return False
    names_operations = one.presets or one.methods or one.paths
    for subject in (MODEL, CHANNEL):
        if subject.name in one.subjects:
            if not names_operations and is_one_of(subject.free, method, path):
                return False
            named = said.get(subject.name, ())
            for value in named:
                if not any(Glob(glob).matches(value) for glob in one.subjects[subject.name]):
                    return False
            free = names_operations and is_one_of(subject.free, method, path)
            if not named and not free:
                return False
    return True


@given(st.lists(rules, min_size=1, max_size=4), some(METHODS), some(PATHS), values, values)
def test_against_the_obvious_model(
    allow: list[Rule], method: str, path: str, models: tuple[str, ...], channels: tuple[str, ...]
) -> None:
    said = {"model": models, "channel": channels}
    letting = [one for one in allow if obvious(one, method, path, said)]
    outlook = Scope(OPENAI, tuple(allow)).look(method.encode(), path.encode())
    found, deny = outlook.rule, outlook.deny
    if outlook.reader is not None:
        found, deny = outlook.decide(said)
        assert letting[:1] == ([found] if deny is None else [])
    assert (deny is None) == bool(letting)
    assert found in (letting or allow)
