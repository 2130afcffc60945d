"""Patterns with `*`: what they match, what they surely cover, and which are none."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.globs import Glob, Globs, PathGlob, path_pattern, value_pattern

small = st.text("ab*", max_size=6)
segments = st.lists(st.sampled_from(["", "a", "b", "ab", "*", "a*", "*b"]), max_size=4)
paths = segments.map(lambda some: "/" + "/".join(some))
path_globs = st.tuples(paths, st.sampled_from(["", "", "/**", "**"])).map(
    lambda pair: "/**" if pair == ("/", "**") else "".join(pair)
)


def obvious(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("gpt-5-mini", ["gpt-5-mini"], ["gpt-5", "gpt-5-mini2", "GPT-5-mini", ""]),
        ("text-embedding-*", ["text-embedding-3", "text-embedding-"], ["text-embedding", "x"]),
        ("*", ["", "x", "a/b", "\n"], []),
        ("*-mini", ["gpt-mini", "-mini"], ["mini", "gpt-mini-2"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("a*b*a", ["aba", "axbya"], ["ab", "aa"]),
        ("", [""], ["x"]),
        ("a.c", ["a.c"], ["abc"]),
        ("[ab]?", ["[ab]?"], ["a", "ab"]),
    ],
)
def test_star_is_any_characters(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [text for text in yes + no if Glob(pattern).matches(text)] == yes
    assert [text for text in yes + no if text in Globs(["other", pattern])] == yes


@given(small, st.text("ab\n", max_size=8))
def test_star_against_the_obvious_model(pattern: str, text: str) -> None:
    assert Glob(pattern).matches(text) == obvious(pattern, text)


@pytest.mark.parametrize(
    "pattern", ["a*" * 500 + "b", "*a" * 500 + "*b*", "*" + "aaaa*" * 200 + "b"]
)
def test_no_pattern_is_slow(pattern: str) -> None:
    """Would not come back within the age of the universe if it tried every way."""
    text = "a" * 200_000
    assert not Glob(pattern).matches(text)
    assert not PathGlob("/" + pattern).matches("/" + text)
    assert PathGlob("/x/" + pattern + "**").matches("/x/" + text + "b" + text)


@given(small, small)
def test_covers_only_where_that_is_certain(one: str, other: str) -> None:
    if Glob(one).covers(Glob(other)):
        for text in words(6):
            assert Glob(one).matches(text) or not Glob(other).matches(text)


@given(st.text("ab*", max_size=4), st.text("ab*", max_size=4))
def test_meets_where_a_text_fits_both(one: str, other: str) -> None:
    both = any(Glob(one).matches(text) and Glob(other).matches(text) for text in words(8))
    assert Glob(one).meets(Glob(other)) == Glob(other).meets(Glob(one)) == both


def words(longest: int) -> list[str]:
    return ["".join(some) for n in range(longest + 1) for some in product("ab", repeat=n)]


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/v1/models", ["/v1/models"], ["/v1/models/", "/v1/model", "/v1/models/x", "/V1/models"]),
        ("/v1/*", ["/v1/models"], ["/v1/models/x", "/v1", "/v1/", "/v1/x/", "/v2/models"]),
        (
            "/v1/files/*/content",
            ["/v1/files/a/content"],
            ["/v1/files//content", "/v1/files/content"],
        ),
        ("/v1/**", ["/v1/a", "/v1/a/b", "/v1/a/", "/v1/a//"], ["/v1", "/v1/", "/v10", "/v1x/a"]),
        ("/**", ["/", "/a", "/a/b"], ["", "a"]),
        ("/v1/gpt-*", ["/v1/gpt-", "/v1/gpt-5"], ["/v1/gpt-5/x"]),
        ("/v1/gpt-**", ["/v1/gpt-", "/v1/gpt-5/x"], ["/v1/gpt"]),
        ("/m/*:generate", ["/m/x:generate", "/m/:generate"], ["/m/x/y:generate"]),
        ("/*", ["/a"], ["/", "/a/b"]),
        ("/", ["/"], ["", "/a"]),
    ],
)
def test_star_stays_within_its_segment(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes + no if PathGlob(pattern).matches(path)] == yes


def obvious_path(pattern: str, path: str) -> bool:
    if pattern == "/**":
        return path.startswith("/")
    model = re.escape(pattern)
    if pattern.endswith("/**"):
        model = model.removesuffix(r"/\*\*") + "/.+"
    elif pattern.endswith("**"):
        model = model.removesuffix(r"\*\*") + ".*"
    whole = re.compile(r"(?<=/)\\\*(?=/|$)")
    model = whole.sub("[^/]+", model).replace(r"\*", "[^/]*")
    return re.fullmatch(model, path) is not None


@given(path_globs, paths.map(lambda path: path.replace("*", "a")))
@example("/a/**", "/a/")
@example("/*b**", "//b")
@example("/a/*b**", "/a/x/b")
def test_paths_against_the_obvious_model(pattern: str, path: str) -> None:
    assert PathGlob(pattern).matches(path) == obvious_path(pattern, path)


@given(
    path_globs, path_globs, st.lists(paths.map(lambda path: path.replace("*", "b")), max_size=20)
)
@example("/a/*", "/a/**", ["/a/b/b"])
@example("/**", "/", ["/"])
def test_paths_cover_and_meet(one: str, other: str, some: list[str]) -> None:
    ours, theirs = PathGlob(one), PathGlob(other)
    for path in some:
        if ours.covers(theirs):
            assert ours.matches(path) or not theirs.matches(path)
        if ours.matches(path) and theirs.matches(path):
            assert ours.meets(theirs)
            assert theirs.meets(ours)


@pytest.mark.parametrize(
    ("one", "other", "covers", "meets"),
    [
        ("/v1/**", "/v1/models/*", True, True),
        ("/v1/*", "/v1/models", True, True),
        ("/v1/*", "/v1/**", False, True),
        ("/v1/models", "/v1/*", False, True),
        ("/v1/models", "/v1/files", False, False),
        ("/v1/models", "/v1/models/*", False, False),
        ("/**", "/v1/**", True, True),
        ("/v1/x/**", "/v1/*", False, False),
        ("/v1/*", "/v1/x/**", False, False),
        ("/v2/**", "/v1/x/**", False, False),
    ],
)
def test_paths_that_cover_and_meet(one: str, other: str, covers: bool, meets: bool) -> None:
    assert PathGlob(one).covers(PathGlob(other)) is covers
    assert PathGlob(one).meets(PathGlob(other)) is meets


@pytest.mark.parametrize(
    ("pattern", "path", "wild"),
    [
        ("/model/*/invoke", "/model/arn%2Fx/invoke", ("arn%2Fx",)),
        ("/repos/*/*/git/**", "/repos/o/r/git/refs/heads/x", ("o", "r", "refs", "heads", "x")),
        ("/model/x-*", "/model/x-1", ("x-1",)),
        ("/model/*", "/model/a/b", None),
        ("/model", "/model", ()),
    ],
)
def test_segments_that_a_star_stands_for(
    pattern: str, path: str, wild: tuple[str, ...] | None
) -> None:
    assert PathGlob(pattern).wild(path) == wild


@pytest.mark.parametrize(
    "pattern",
    [
        "/",
        "/v1/models",
        "/v1/**",
        "/**",
        "/v1/gpt-**",
        "/a/*/b/*:x",
        "/a/arn%3Aaws%2F*",
        "/~x!$&'()+,=@",
    ],
)
def test_pattern_for_paths(pattern: str) -> None:
    path_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "begins with `/`"),
        ("v1/models", "begins with `/`"),
        ("*", "begins with `/`"),
        ("/v1/**/x", "only at the end"),
        ("/v1/***", "only at the end"),
        ("/v1/x y", "only what a path does"),
        ("/v1/x?y=1", "only what a path does"),
        ("/v1/x;y", "only what a path does"),
        ("/v1/x#y", "only what a path does"),
        ("/v1\\x", "only what a path does"),
        ("/v1/é", "only what a path does"),
        ("/v1/%2", "only what a path does"),
        ("/v1//x", "refused before"),
        ("/v1/../x", "refused before"),
        ("/v1/.", "refused before"),
        ("/" + "x" * 1024, "at most 1024"),
    ],
)
def test_what_is_no_pattern_for_paths(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        path_pattern(pattern)


@pytest.mark.parametrize("pattern", ["*", "gpt-5-mini", "text-*-3", "-100123", "@news", "a b"])
def test_pattern_for_values(pattern: str) -> None:
    value_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "not empty"),
        (" x", "no control characters, nor spaces"),
        ("x\n", "no control characters, nor spaces"),
        ("a\x00b", "no control characters"),
        ("gpt-**", "`*` stands for any characters here"),
        ("x" * 1025, "at most 1024"),
    ],
)
def test_what_is_no_pattern_for_values(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        value_pattern(pattern)
