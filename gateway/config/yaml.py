"""Reads YAML into plain values with the line and column of each, and refuses its surprises."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import yaml

from gateway.config.errors import ConfigError, Problem, Trail, dotted

MAX_CHARACTERS = 4 * 1024 * 1024
MAX_NODES = 500_000
"""Counted after aliases are followed, so that nested anchors cannot multiply."""
MAX_DEPTH = 32

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_COLLECTION_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:str"}
_CONSTANTS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_SWITCH = re.compile(r"(yes|no|on|off|y|n)", re.IGNORECASE)
_OTHER_BASE = re.compile(
    r"[-+]?0[0-9_]+(\.[0-9]*)?|[-+]?0[box][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*_[0-9_]*"
)
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands in the file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its value, and where each key and each value stands."""

    file: str
    value: object
    values: dict[Trail, Mark] = field(default_factory=dict)
    keys: dict[Trail, Mark] = field(default_factory=dict)

    def problem(self, path: Trail, message: str, *, at_key: bool = False) -> Problem:
        """Return a problem at `path`, or where it is absent, at the nearest thing around it."""
        marks = self.keys if at_key and path in self.keys else self.values
        around = path
        while around and around not in marks:
            around = around[:-1]
        mark = marks.get(around, Mark(1, 1))
        return Problem(self.file, mark.line, mark.column, dotted(path), message)


def parse(file: str, text: str) -> tuple[Document, list[Problem]]:
    """Return the document and what is wrong with it as YAML.

    Raises ConfigError where there is no document to speak of: a syntax error, too large.
    """
    if len(text) > MAX_CHARACTERS:
        message = f"larger than {MAX_CHARACTERS // 1024 // 1024} MiB"
        raise ConfigError([Problem(file, 0, 0, "", message)])
    walk = _Walk(file)
    root = _compose(file, text)
    value = walk.visit(root, (), ()) if root is not None else None
    document = Document(file, value, walk.values, walk.keys)
    return document, walk.problems


def _compose(file: str, text: str) -> yaml.Node | None:
    try:
        _check_depth(file, text)
        node: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = f"this is not YAML: {exc.problem or exc.context}"
        raise ConfigError([Problem(file, line, column, "", message)]) from None
    except yaml.reader.ReaderError as exc:
        line, column = _line_column(text, exc.position)
        message = "a control character cannot stand in a YAML file"
        raise ConfigError([Problem(file, line, column, "", message)]) from None
    return node


def _check_depth(file: str, text: str) -> None:
    """Refuse deep nesting before it is composed: that recurses, in C until the process crashes."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            message = f"nested more than {MAX_DEPTH} deep"
            raise ConfigError([Problem(file, line, column, "", message)])


def _line_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


class _Walk:
    """Turns nodes into values, noting marks and problems on the way."""

    def __init__(self, file: str) -> None:
        self.values: dict[Trail, Mark] = {}
        self.keys: dict[Trail, Mark] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._named: set[tuple[Mark, str]] = set()
        self._count = 0

    def visit(self, node: yaml.Node, path: Trail, above: tuple[yaml.Node, ...]) -> object:
        """Return the value of `node`; `above` are the nodes it stands in."""
        self._count += 1
        self.values[path] = _mark(node)
        if self._is_too_much(node, path, above):
            return None
        if node.tag not in _COLLECTION_TAGS:
            self._problem(node, path, "tags (`!...`) are not read here")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*above, node))
        if isinstance(node, yaml.SequenceNode):
            inside = (*above, node)
            return [self.visit(one, (*path, n), inside) for n, one in enumerate(node.value)]
        return self._scalar(node, path)

    def _is_too_much(self, node: yaml.Node, path: Trail, above: tuple[yaml.Node, ...]) -> bool:
        if any(node is one for one in above):
            self._problem(node, path, "an anchor cannot contain itself")
        elif len(above) > MAX_DEPTH:  # through aliases; otherwise `_check_depth` has seen it
            self._problem(node, path, f"nested more than {MAX_DEPTH} deep")
        elif self._count > MAX_NODES:
            message = f"more than {MAX_NODES} values, with aliases followed"
            mark = _mark(node)
            raise ConfigError([Problem(self._file, mark.line, mark.column, "", message)])
        else:
            return False
        return True

    def _mapping(
        self, node: yaml.MappingNode, path: Trail, above: tuple[yaml.Node, ...]
    ) -> dict[str, object]:
        value: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            inside = (*path, key)
            if key in value:
                first = self.keys[inside].line
                self._problem(key_node, inside, f"given twice; the first is on line {first}")
                continue
            self.keys[inside] = _mark(key_node)
            value[key] = self.visit(value_node, inside, above)
        return value

    def _key(self, node: yaml.Node, path: Trail) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._problem(node, path, "a key must be text")
            return None
        text: str = node.value
        if _is_quoted(node):
            return text
        if text == "<<":
            self._problem(node, path, "merge keys (`<<`) are not read here; write the keys out")
            return None
        surprise = _surprise(text)
        if surprise or text in _CONSTANTS or _FLOAT.fullmatch(text):
            reason = surprise or "YAML does not read this key as text"
            self._problem(node, (*path, text), f"{reason}: put it in quotes")
        return text

    def _scalar(self, node: yaml.Node, path: Trail) -> object:
        text: str = node.value
        if _is_quoted(node):
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if surprise := _surprise(text):
            self._problem(node, path, f"{surprise}: {_remedy(text)}")
            return text
        number = _number(text)
        return text if number is None else number

    def _problem(self, node: yaml.Node, path: Trail, message: str) -> None:
        mark = _mark(node)
        if (mark, message) not in self._named:  # through an alias, it would be named again
            self._named.add((mark, message))
            problem = Problem(self._file, mark.line, mark.column, dotted(path), message)
            self.problems.append(problem)


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


def _is_quoted(node: yaml.Node) -> bool:
    return bool(getattr(node, "style", None))


def _number(text: str) -> int | float | None:
    kinds: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
        (_INTEGER, int),
        (_FLOAT, float),
    )
    for pattern, read in kinds:
        if len(text) <= 32 and pattern.fullmatch(text):
            return read(text)
    return None


def _surprise(text: str) -> str | None:
    """Return why YAML readers disagree on what plain `text` is, None where they do not."""
    if _SWITCH.fullmatch(text):
        return "some YAML readers take this for true or false"
    if _OTHER_BASE.fullmatch(text):
        return "some YAML readers take this for a number in another notation"
    if _SEXAGESIMAL.fullmatch(text):
        return "some YAML readers take this for a number in base 60"
    return None


def _remedy(text: str) -> str:
    if _SWITCH.fullmatch(text):
        return "write true or false, or put it in quotes where it is text"
    return "put it in quotes where it is text, or write a plain decimal number"
