"""No sentence of the configuration is without a test, and no key answers in pydantic's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from gateway import config
from gateway.config import ConfigError, load
from gateway.core import globs

HERE = Path(__file__)
FILES = sorted(Path(config.__file__).parent.glob("*.py"))
FILES.append(Path(globs.__file__))


def texts(path: Path) -> Iterator[list[str | None]]:
    """Yield every text in a file but docstrings, in parts; None stands for a value put in."""
    tree = ast.parse(path.read_text())
    aside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            aside.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            aside |= {id(inner) for inner in ast.walk(node)} - {id(node)}
    for node in ast.walk(tree):
        if id(node) in aside or not isinstance(node, ast.JoinedStr | ast.Constant):
            continue
        values = node.values if isinstance(node, ast.JoinedStr) else [node]
        parts = [one.value if isinstance(one, ast.Constant) else None for one in values]
        yield [str(part) if part is not None else None for part in parts]


def sentences(path: Path) -> Iterator[str]:
    """Yield what in a file people may read, as a pattern: `.*` where a value is put in."""
    for parts in texts(path):
        said = "".join(part or "" for part in parts)
        if " " in said and sum(map(str.isalpha, said)) > 5:
            yield "".join(".*" if part is None else re.escape(part) for part in parts)


@cache
def expected() -> str:
    """All texts of the tests in this folder, a line each."""
    files = [path for path in HERE.parent.glob("*.py") if path != HERE]
    lines = ("".join(part or "VALUE" for part in parts) for file in files for parts in texts(file))
    return "\n".join(lines)


def test_sentences_are_found() -> None:
    assert sum(1 for path in FILES for _ in sentences(path)) > 90


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sentence_is_expected_by_a_test(path: Path) -> None:
    assert [one for one in sentences(path) if not re.search(one, expected())] == []


EVERY_KEY = (HERE.parents[2] / "routes.example.yaml").read_text()
STRANGE: tuple[object, ...] = (
    None,
    True,
    5,
    1.5,
    "",
    "x y",
    [],
    {},
    [None],
    [[5]],
    [{}],
    {"x": None},
    {"x": {}},
)


def replaced(value: object, strange: object) -> Iterator[object]:
    """Yield `value` with each of its parts in turn replaced by `strange`."""
    yield strange
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: other} for other in replaced(inner, strange))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            for other in replaced(inner, strange):
                yield [*value[:index], other, *value[index + 1 :]]


@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_whatever_a_key_holds_is_judged_in_our_words(tmp_path: Path, strange: object) -> None:
    file = tmp_path / "routes.yaml"
    refused = 0
    for value in replaced(yaml.safe_load(EVERY_KEY), strange):
        try:
            load(file, {}, yaml.safe_dump(value).encode())
        except ConfigError as exc:
            refused += 1
            for problem in exc.problems:
                assert not re.search(r"[Ii]nput|<(?:text|mapping|list)>", str(problem)), problem
                assert problem.message
    assert refused > 20
