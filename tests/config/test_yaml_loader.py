"""What YAML readers disagree on is refused, with its place; everything else is plain values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.errors import ConfigError
from gateway.config.yaml import MAX_COPIES, MAX_DEPTH, Mark, parse


def value(text: str) -> object:
    document, problems = parse("f", text)
    assert problems == []
    return document.value


def messages(text: str) -> list[str]:
    try:
        return [str(problem) for problem in parse("f", text)[1]]
    except ConfigError as exc:
        return str(exc).splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("-1", -1),
        ("0", 0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'yes'", "yes"),
        ('"010"', "010"),
        ("2026-01-01", "2026-01-01"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("env:A", "env:A"),
        ("9" * 40, "9" * 40),
        (".inf", ".inf"),
        ("|\n  x", "x"),
        ("[a, 1]", ["a", 1]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)
def test_plain_values(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("text", ["yes", "No", "ON", "off", "y", "N"])
def test_a_switch_is_refused_as_a_value_and_as_a_key(text: str) -> None:
    why = "some YAML readers take this for true or false"
    assert messages(f"a:\n- {text}") == [
        f"f:2:3: a[0]: {why}: write true or false, or put it in quotes where it is text"
    ]
    assert messages(f"a: 1\n{text}: a") == [f"f:2:1: {text}: {why}: put it in quotes"]
    assert value(f"'{text}': '{text}'") == {text: text}


@pytest.mark.parametrize("text", ["010", "0x1F", "0o17", "0b11", "1_000", "-007", "00"])
def test_numbers_in_another_notation_are_refused(text: str) -> None:
    assert messages(f"a: {text}") == [
        "f:1:4: a: some YAML readers take this for a number in another notation: "
        "put it in quotes where it is text, or write a plain decimal number"
    ]


@pytest.mark.parametrize("text", ["12:30:45", "1:30", "8080:22", "-1:59.5"])
def test_numbers_in_base_60_are_refused(text: str) -> None:
    assert messages(f"a: {text}") == [
        "f:1:4: a: some YAML readers take this for a number in base 60: "
        "put it in quotes where it is text, or write a plain decimal number"
    ]


@pytest.mark.parametrize("text", ["1", "1.10", "true", "null", "~"])
def test_a_key_that_is_not_text_is_refused(text: str) -> None:
    assert messages(f"{text}: a") == [
        f"f:1:1: {text if text.isalnum() else chr(34) + text + chr(34)}: "
        "YAML does not read this key as text: put it in quotes"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", ["f:3:1: a: given twice; the first is on line 1"]),
        ("x:\n- {k: 1, k: 2}", ["f:2:10: x[0].k: given twice; the first is on line 2"]),
        ("a: &x [*x]", ["f:1:4: a[0]: an anchor cannot contain itself"]),
        ("a: &x {b: *x}", ["f:1:4: a.b: an anchor cannot contain itself"]),
        ("<<: {a: 1}", ["f:1:1: merge keys (`<<`) are not read here; write the keys out"]),
        ("[1]: a", ["f:1:1: a key must be text"]),
        ("a: !!python/name:os.system x", ["f:1:4: a: tags (`!...`) are not read here"]),
        ("a: !!int '3'", ["f:1:4: a: tags (`!...`) are not read here"]),
        ("a: !!str 3", ["f:1:4: a: tags (`!...`) are not read here"]),
        ("a: ! 3", ["f:1:4: a: tags (`!...`) are not read here"]),
        ("a: *nope", ["f:1:4: a: there is no anchor of this name above"]),
        ("a: &x 1\nb: &x 2", ["f:2:4: b: an anchor of this name stands above"]),
        (
            "[1]: [2, [3]]\nb: yes",
            [
                "f:1:1: a key must be text",
                "f:2:4: b: some YAML readers take this for true or false: "
                "write true or false, or put it in quotes where it is text",
            ],
        ),
        ("a: b: c", ["f:1:5: this is not YAML: mapping values are not allowed in this context"]),
        ("a: 1\n---\nb: 2", ["f:2:1: only one document can stand in a file"]),
        ("a: 1\nb: \x07", ["f:2:4: a control character cannot stand in a YAML file"]),
    ],
)
def test_what_is_refused_has_its_place(text: str, expected: list[str]) -> None:
    assert messages(text) == expected


def test_anchors_cannot_multiply_without_end() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    found = messages("\n".join(lines))
    assert found == [f"f:1:31: more than {MAX_COPIES} values that aliases repeat"]


def test_a_file_has_only_so_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.config.yaml.MAX_VALUES", 5)
    assert messages("[1, 2, 3, 4]") == []
    assert messages("[1, 2, 3, 4, 5]") == ["f:1:14: more than 5 values"]


def test_a_problem_in_an_anchor_is_named_once() -> None:
    assert len(messages("a: &x [yes]\nb: [*x, *x, *x]")) == 1


@pytest.mark.parametrize("depth", [MAX_DEPTH + 2, 900, 5_000, 100_000])
def test_deep_nesting_is_an_error_and_not_a_crash(depth: int) -> None:
    column = MAX_DEPTH + 2
    assert messages("[" * depth + "]" * depth) == [
        f"f:1:{column}: nested more than {MAX_DEPTH} deep"
    ]


def test_aliases_do_not_nest_deeper_than_brackets() -> None:
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_DEPTH + 1))]
    assert messages("\n".join(lines)) == [f"f:1:10: nested more than {MAX_DEPTH} deep"]


def test_an_anchor_may_hold_another() -> None:
    text = "a: &x {b: &y [1], c: *y}\nd: [*x, *y]"
    assert value(text) == {"a": {"b": [1], "c": [1]}, "d": [{"b": [1], "c": [1]}, [1]]}


def test_a_file_of_one_long_text_is_read() -> None:
    assert value(f"a: {'x' * 10_000_000}") == {"a": "x" * 10_000_000}


def test_everything_has_its_mark() -> None:
    document, _ = parse("f", "a:\n  b: [1, {c: 2}]\n")
    assert document.keys[("a", "b")] == Mark(2, 3)
    assert document.values[("a", "b", 1, "c")] == Mark(2, 14)
    assert str(document.problem(("a", "x"), "m")) == "f:2:3: a.x: m"


@given(st.text(max_size=200))
def test_no_text_makes_the_loader_fail_otherwise(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse("f", text)
