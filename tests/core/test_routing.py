"""From a target to its route: longest prefix, whole segments, and nothing that reads two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Deny
from gateway.core.model import Origin, Route
from gateway.core.routing import Router, ambiguity
from gateway.providers.generic import PLUGIN


def route(name: str, prefix: bytes) -> Route:
    origin = Origin("https", "api.example", 443)
    return Route(name, prefix, PLUGIN, origin, b"", None, PLUGIN.tokens, ())


ROUTER = Router(
    [route("a", b"/a"), route("ab", b"/a/b"), route("long", b"/a/b/c"), route("other", b"/other")]
)
WHOLE = Router([route("whole", b""), route("a", b"/a")])


def find(router: Router, target: bytes) -> tuple[str, bytes, bytes | None] | str:
    unclear = ambiguity(target)
    found = unclear or router.find(target)
    if isinstance(found, Deny):
        return found.code
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
        (b"/ab", "no_route"),
        (b"/A/x", "no_route"),
        (b"/%61/x", "no_route"),
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


@pytest.mark.parametrize(
    "path",
    [b"/a/../x", b"/a/..", b"/a/.", b"/a/./x", b"/a//x", b"//a", b"/a/%2e%2e/x", b"/a/%2E./x",
     b"/a/.%2e", b"/a%2fx", b"/a%2Fx", b"/a%5Cx", b"/a%5cx", b"/a/x;y", b"/a;/x", b"/a/%252e",
     b"/a/%",
     b"/a/%2", b"/a/%zz", b"/a/..;/x", b"/../a", b"/./a", b"/a/x//"],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("router", [ROUTER, WHOLE], ids=["prefixes", "whole"])
def test_path_that_two_servers_could_read_differently(router: Router, path: bytes) -> None:
    assert find(router, path) == "ambiguous_path"
    assert find(router, path + b"?q=1") == "ambiguous_path"


@pytest.mark.parametrize(
    "path",
    [b"/a/v1/models/gpt-5:generate", b"/a/bot1:x/getMe", b"/a/v1/x@y", b"/a/...", b"/a/.well-known",
     b"/a/x..y", b"/a/%20", b"/a/%C3%A9", b"/a/~x!$&'()*+,=", b"/a/x.", b"/a/%7Bx%7D"],
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
