"""From a target to its route: by listener, host and prefix, and nothing that reads two ways."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Deny
from gateway.core.model import Origin, Route
from gateway.core.routing import Router, ambiguity
from gateway.providers.generic import PLUGIN


def route(
    name: str,
    prefix: bytes = b"",
    host: bytes = b"",
    listener: str = "",
    opaque: tuple[str, ...] = (),
) -> Route:
    origin = Origin("https", "api.example", 443)
    made = Route(name, prefix, PLUGIN, origin, b"", None, PLUGIN.tokens, ())
    return replace(made, host=host, listener=listener, opaque=opaque)


ROUTER = Router(
    [route("a", b"/a"), route("ab", b"/a/b"), route("long", b"/a/b/c"), route("other", b"/other")]
)
WHOLE = Router([route("whole", b""), route("a", b"/a")])


def find(
    router: Router, target: bytes, host: bytes = b"gateway:8080", listener: str = ""
) -> tuple[str, bytes, bytes | None] | str:
    """Do as the journey does."""
    found = router.find(target, host, listener)
    unclear = ambiguity(target, None if isinstance(found, Deny) else found[0])
    if unclear is not None or isinstance(found, Deny):
        deny = unclear or found
        assert isinstance(deny, Deny)
        return deny.code
    return found[0].name, found[1], found[2]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/a", ("a", b"", None)),
        (b"/a/", ("a", b"/", None)),
        (b"/a/x", ("a", b"/x", None)),
        (b"/a/b", ("ab", b"", None)),
        (b"/a/b/x", ("ab", b"/x", None)),
        (b"/a/b/c/d", ("long", b"/d", None)),
        (b"/a/bc", ("a", b"/bc", None)),
        (b"/other?x=y", ("other", b"", b"x=y")),
        (b"/other?", ("other", b"", b"")),
        (b"/other/x?y=/../z", ("other", b"/x", b"y=/../z")),
        (b"/other/x?y=%2F%2e%61;", ("other", b"/x", b"y=%2F%2e%61;")),
        (b"/ab", "no_route"),
        (b"/A/x", "no_route"),
        (b"/", "no_route"),
        (b"/?/a", "no_route"),
    ],
    ids=repr,
)
def test_longest_prefix_of_whole_segments(target: bytes, found: object) -> None:
    assert find(ROUTER, target) == found


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/", ("whole", b"/", None)),
        (b"/x?y", ("whole", b"/x", b"y")),
        (b"/a/x", ("a", b"/x", None)),
        (b"/ab", ("whole", b"/ab", None)),
    ],
    ids=repr,
)
def test_route_for_the_whole_listener(target: bytes, found: object) -> None:
    assert find(WHOLE, target) == found


PLACES = Router(
    [
        route("any", b""),
        route("any-v1", b"/v1"),
        route("host", b"", host=b"openai.gw"),
        route("host-v1", b"/v1", host=b"openai.gw"),
        route("host-deep", b"/v1/deep", host=b"deep.gw"),
        route("six", b"", host=b"::1"),
        route("own", b"", listener="own"),
        route("own-host", b"/x", host=b"openai.gw", listener="own"),
        route("short", b"/v2", listener="short"),
    ]
)


@pytest.mark.parametrize(
    ("target", "host", "listener", "found"),
    [
        (b"/x", b"gateway", "", "any"),
        (b"/v1/x", b"gateway:80", "", "any-v1"),
        (b"/x", b"openai.gw", "", "host"),
        (b"/x", b"OpenAI.GW:8080", "", "host"),
        (b"/x", b"openai.gw.", "", "host"),
        (b"/x", b"openai.gw.:443", "", "host"),
        (b"/x", b"openai.gw..", "", "any"),
        (b"/x", b".openai.gw", "", "any"),
        (b"/x", b"x.openai.gw", "", "any"),
        (b"/v1/x", b"openai.gw", "", "host-v1"),
        (b"/v1/deep/x", b"deep.gw", "", "host-deep"),
        (b"/v1/x", b"deep.gw", "", "any-v1"),
        (b"/x", b"deep.gw", "", "any"),
        (b"/x", b"[::1]", "", "six"),
        (b"/x", b"[::1]:80", "", "six"),
        (b"/x", b"::1", "", "any"),
        (b"/x", b"", "", "any"),
        (b"/x", b"gateway", "own", "own"),
        (b"/v1/x", b"openai.gw", "own", "own"),
        (b"/v1/x", b"gateway", "own", "own"),
        (b"/x", b"openai.gw", "own", "own-host"),
        (b"/v2/x", b"gateway", "short", "short"),
        (b"/v1/x", b"openai.gw", "short", "no_route"),
        (b"/v1/x", b"openai.gw", "unknown", "no_route"),
    ],
)
def test_listener_before_host_before_prefix(
    target: bytes, host: bytes, listener: str, found: str
) -> None:
    result = find(PLACES, target, host, listener)
    assert (result if isinstance(result, str) else result[0]) == found


def test_only_a_host_no_route_otherwise() -> None:
    router = Router([route("host", b"/v1", host=b"openai.gw")])
    assert find(router, b"/v1/x", b"openai.gw") == ("host", b"/x", None)
    assert find(router, b"/v1/x", b"gateway") == "no_route"
    assert find(router, b"/v2/x", b"openai.gw") == "no_route"


@pytest.mark.parametrize(
    "path",
    [b"/a/../x", b"/a/..", b"/a/.", b"/a/./x", b"/a//x", b"//a", b"/a/%2e%2e/x", b"/a/%2E./x",
     b"/a/.%2e", b"/a%2fx", b"/a%2Fx", b"/a%5Cx", b"/a%5cx", b"/a/x;y", b"/a;/x", b"/a/%252e",
     b"/a/%25", b"/a/%", b"/a/%2", b"/a/%zz", b"/a/..;/x", b"/../a", b"/./a", b"/a/x//",
     b"/a/..%3B/x", b"/a/x%3by", b"/a/.%20/x", b"/a/..%20", b"/%61/x", b"/a/%41", b"/a/%5a",
     b"/a/%7A", b"/a/%30", b"/a/%39", b"/a/%2D", b"/a/%5F", b"/a/%C0%AE%C0%AE/x", b"/a/%c1%9c/x",
     b"/a/%E0%80%AF/x", b"/a/%f0%80%80%af/x", b"/a/%f8%80%80%80%af/x"],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("router", [ROUTER, WHOLE], ids=["prefixes", "whole"])
def test_path_that_two_servers_could_read_differently(router: Router, path: bytes) -> None:
    assert find(router, path) == "ambiguous_path"
    assert find(router, path + b"?q=1") == "ambiguous_path"


@pytest.mark.parametrize(
    "path",
    [b"/a/v1/models/gpt-5:generate", b"/a/bot1:x/getMe", b"/a/v1/x@y", b"/a/...", b"/a/.well-known",
     b"/a/x..y", b"/a/%20", b"/a/%C3%A9", b"/a/~x!$&'()*+,=", b"/a/x.", b"/a/%7Bx%7D", b"/a/%7E",
     b"/a/%3A%40%21", b"/a/%E0%A4%A8", b"/a/%F0%9F%91%8D", b"/a/%E9", b"/a/%3F%23"],
    ids=repr,
)  # fmt: skip
def test_path_that_is_unusual_and_clear(path: bytes) -> None:
    assert find(ROUTER, path) == ("a", path[2:], None)


@given(st.lists(st.sampled_from([b"a", b"b", b"c", b".", b"..", b"", b"%2e", b"x;y", b"other"])))
def test_what_is_found_is_what_was_asked(segments: list[bytes]) -> None:
    """The path sent on is the end of the path asked for, and goes nowhere but down."""
    target = b"/" + b"/".join(segments)
    found = find(WHOLE, target)
    if isinstance(found, tuple):
        assert target.endswith(found[1])
        assert not {b".", b"..", b"%2e"} & set(segments)
        assert b"" not in segments[:-1]


# Slots that a provider takes for opaque data.

OPAQUE = ("/model/*/invoke", "/repos/*/*/git/refs/**", "/rooms/*/send/*/*", "/tag/v-*")
SLOTS = Router([route("in", b"/in", opaque=OPAQUE), route("plain", b"/plain")])
ARN = b"arn%3Aaws%3Abedrock%3Aus-east-1%3A123%3Ainference-profile%2Fx"


@pytest.mark.parametrize(
    "path",
    [
        b"/model/" + ARN + b"/invoke",
        b"/model/" + ARN.lower() + b"/invoke",
        b"/model/a%5Cb/invoke",
        b"/model/100%25/invoke",
        b"/model/a%252Fb/invoke",
        b"/model/anthropic%2Eclaude/invoke",
        b"/model/x%2F.../invoke",
        b"/model/x%2F..y/invoke",
        b"/model/%61%62/invoke",
        b"/model/a%2F%2Fb/invoke",
        b"/rooms/!r%3Ab/send/m.room.message/1%2F2",
        b"/repos/o/r/git/refs/heads%2Ffeature%2Fx",
        b"/repos/o/r/git/refs/heads/feature%2Fx/y",
        b"/tag/v-1%2F2",
    ],
    ids=repr,
)
def test_what_is_opaque_to_the_provider_may_hold_any_escape(path: bytes) -> None:
    assert find(SLOTS, b"/in" + path) == ("in", path, None)
    assert find(SLOTS, b"/in" + path + b"?a=%2e") == ("in", path, b"a=%2e")
    assert find(SLOTS, b"/plain" + path) == "ambiguous_path"


@pytest.mark.parametrize(
    "path",
    [
        b"/model/%2e/invoke",
        b"/model/%2e%2E/invoke",
        b"/model/.%2e/invoke",
        b"/model/../invoke",
        b"/model/./invoke",
        b"/model//invoke",
        b"/model/%2F..%2Fx/invoke",
        b"/model/x%2F../invoke",
        b"/model/..%2Fx/invoke",
        b"/model/x%2F%2e%2e%2Fy/invoke",
        b"/model/x%5C..%5Cy/invoke",
        b"/model/x%5C%2E%2E/invoke",
        b"/model/%252e%252e/invoke",
        b"/model/x%252F..%252Fy/invoke",
        b"/model/x%25252F/invoke",
        b"/model/x%2F..%3By/invoke",
        b"/model/x%2F..%20/invoke",
        b"/model/x%2500/invoke",
        b"/model/x%C0%AE/invoke",
        b"/model/x;y%2F/invoke",
        b"/model/x%2/invoke",
        b"/model/x%2Fy/other",
        b"/model/x%2Fy/invoke/",
        b"/model/x/y%2Fz/invoke",
        b"/model%2Fx/invoke",
        b"/mod%65l/x%2Fy/invoke",
        b"/model/x%2Fy/%69nvoke",
        b"/repos/o/r/git/refs/..%2Fx",
        b"/repos/o/r/git/refs/x//y%2F",
        b"/repos/o/r/git/refs/x%2Fy/",
        b"/repos/o/r/git/refs/x%2Fy/..",
        b"/repos/o/r/git%2Frefs/x",
        b"/../model/x%2Fy/invoke",
        b"/tag/v-1%2F..",
    ],
    ids=repr,
)
def test_what_is_no_opaque_data(path: bytes) -> None:
    assert find(SLOTS, b"/in" + path) == "ambiguous_path"


def test_a_path_that_was_made_to_be_decoded_for_ever_is_not() -> None:
    percents = b"/model/" + b"%25" * 20_000 + b"/invoke"
    assert find(SLOTS, b"/in" + percents) == ("in", percents, None)
    assert find(SLOTS, b"/in/model/%" + b"25" * 30_000 + b"/invoke") == "ambiguous_path"
