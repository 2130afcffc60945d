"""Reads YAML into plain values with the line and column of each, and refuses its surprises."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from gateway.config.errors import ConfigError, Problem, Trail, dotted

MAX_VALUES = 2_000_000
MAX_COPIES = 100_000
"""Of values that aliases repeat, so that nested anchors cannot multiply."""
MAX_DEPTH = 32

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
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


class Mark(NamedTuple):
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
    blanks: set[Trail] = field(default_factory=set)
    """Where nothing is written at all; `null` is something."""

    def problem(self, path: Trail, message: str, *, at_key: bool = False) -> Problem:
        """Return a problem at `path`, or where it is absent, at the nearest thing around it."""
        marks = self.keys if at_key and path in self.keys else self.values
        around = path
        while around and around not in marks:
            around = around[:-1]
        mark = marks.get(around, Mark(1, 1))
        return Problem(self.file, mark.line, mark.column, dotted(path), message)

    def value_at(self, path: Trail) -> object:
        """Return what stands at `path`, None where it is absent."""
        value = self.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value


def parse(file: str, text: str) -> tuple[Document, list[Problem]]:
    """Return the document and what is wrong with it as YAML.

    Raises ConfigError where there is no document to speak of: a syntax error, too large, too deep.
    """
    reading = _Reading(file)
    try:
        value = reading.document(iter(yaml.parse(text, Loader=_LOADER)))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        at = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
        raise _unreadable(file, at, f"this is not YAML: {exc.problem or exc.context}") from None
    except yaml.reader.ReaderError as exc:
        at = _at_position(text, exc.position)
        raise _unreadable(file, at, "a control character cannot stand in a YAML file") from None
    return Document(file, value, reading.values, reading.keys, reading.blanks), reading.problems


def _unreadable(file: str, mark: Mark, message: str) -> ConfigError:
    return ConfigError([Problem(file, mark.line, mark.column, "", message)])


def _at_position(text: str, position: int) -> Mark:
    before = text[:position]
    return Mark(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


class _Reading:
    """Turns the parser's events into values, noting marks and problems on the way.

    Nodes are never built: for a file with 100,000 bots they would take most of the time.
    """

    def __init__(self, file: str) -> None:
        self.values: dict[Trail, Mark] = {}
        self.keys: dict[Trail, Mark] = {}
        self.blanks: set[Trail] = set()
        self.problems: list[Problem] = []
        self._file = file
        self._anchors: dict[str, Sequence[yaml.Event]] = {}
        self._open: set[str] = set()
        self._named: set[tuple[Mark, str]] = set()
        self._count = self._copies = 0
        self._following = 0
        """How many aliases the values at hand come through."""

    def document(self, events: Iterator[yaml.Event]) -> object:
        """Return the value of the only document there may be."""
        value: object = None
        starts = 0
        for event in events:
            starts += isinstance(event, yaml.DocumentStartEvent)
            if starts > 1:
                raise _unreadable(self._file, _mark(event), "only one document can stand in a file")
            if isinstance(event, yaml.NodeEvent):
                value = self._value(event, events, ())
        return value

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], path: Trail) -> object:
        """Return the value that begins with `event`; what belongs to it is taken from `events`."""
        self._count_one(event, path)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        self.values[path] = _mark(event)
        if event.tag is not None:
            self._problem(event, path, "tags (`!...`) are not read here")
        if event.anchor is not None:
            return self._anchored(event.anchor, event, events, path)
        return self._plain(event, events, path)

    def _plain(self, event: yaml.Event, events: Iterator[yaml.Event], path: Trail) -> object:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        return self._sequence(events, path)

    def _count_one(self, event: yaml.Event, path: Trail) -> None:
        self._count += 1
        self._copies += self._following > 0
        if len(path) > MAX_DEPTH:
            raise _unreadable(self._file, _mark(event), f"nested more than {MAX_DEPTH} deep")
        if self._count > MAX_VALUES:
            raise _unreadable(self._file, _mark(event), f"more than {MAX_VALUES} values")
        if self._copies > MAX_COPIES:
            message = f"more than {MAX_COPIES} values that aliases repeat"
            raise _unreadable(self._file, _mark(event), message)

    def _anchored(
        self, name: str, event: yaml.Event, events: Iterator[yaml.Event], path: Trail
    ) -> object:
        """Read a value that has a name, and keep its events for the aliases of it."""
        known = self._anchors.get(name)
        if known and known[0] is not event:
            self._problem(event, path, "an anchor of this name stands above")
        self._anchors[name] = whole = [event, *_rest(event, events)]
        return self._again(name, whole, path)

    def _alias(self, event: yaml.AliasEvent, path: Trail) -> object:
        name = event.anchor or ""
        whole = self._anchors.get(name)
        self.values[path] = _mark(whole[0] if whole else event)
        if whole is None:
            self._problem(event, path, "there is no anchor of this name above")
        elif name in self._open:
            self._problem(whole[0], path, "an anchor cannot contain itself")
        else:
            self._following += 1
            value = self._again(name, whole, path)
            self._following -= 1
            return value
        return None

    def _again(self, name: str, whole: Sequence[yaml.Event], path: Trail) -> object:
        self._open.add(name)
        value = self._plain(whole[0], iter(whole[1:]), path)
        self._open.discard(name)
        return value

    def _sequence(self, events: Iterator[yaml.Event], path: Trail) -> list[object]:
        value: list[object] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            value.append(self._value(event, events, (*path, len(value))))
        return value

    def _mapping(self, events: Iterator[yaml.Event], path: Trail) -> dict[str, object]:
        value: dict[str, object] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, path)
            inside = (*path, key or "")
            if key is not None and key not in value:
                self.keys[inside] = _mark(event)
                value[key] = self._value(next(events), events, inside)
                continue
            if key is not None:
                first = self.keys[inside].line
                self._problem(event, inside, f"given twice; the first is on line {first}")
            _skip(events)
        return value

    def _key(self, event: yaml.Event, events: Iterator[yaml.Event], path: Trail) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            self._problem(event, path, "a key must be text")
            _rest(event, events)
            return None
        text: str = event.value
        if event.style:
            return text
        if text == "<<":
            self._problem(event, path, "merge keys (`<<`) are not read here; write the keys out")
            return None
        surprise = _surprise(text)
        if surprise or text in _CONSTANTS or _FLOAT.fullmatch(text):
            reason = surprise or "YAML does not read this key as text"
            self._problem(event, (*path, text), f"{reason}: put it in quotes")
        return text

    def _scalar(self, event: yaml.ScalarEvent, path: Trail) -> object:
        text: str = event.value
        if event.style:
            return text
        if not text:
            self.blanks.add(path)
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if surprise := _surprise(text):
            self._problem(event, path, f"{surprise}: {_remedy(text)}")
            return text
        number = _number(text)
        return text if number is None else number

    def _problem(self, event: yaml.Event, path: Trail, message: str) -> None:
        mark = _mark(event)
        if (mark, message) not in self._named:  # through an alias, it would be named again
            self._named.add((mark, message))
            problem = Problem(self._file, mark.line, mark.column, dotted(path), message)
            self.problems.append(problem)


def _mark(event: yaml.Event) -> Mark:
    mark = event.start_mark
    assert mark is not None
    return Mark(mark.line + 1, mark.column + 1)


def _rest(event: yaml.Event, events: Iterator[yaml.Event]) -> list[yaml.Event]:
    """Return what of `events` belongs to the value that begins with `event`."""
    found: list[yaml.Event] = []
    depth = int(isinstance(event, yaml.CollectionStartEvent))
    while depth:
        inner = next(events)
        depth += isinstance(inner, yaml.CollectionStartEvent)
        depth -= isinstance(inner, yaml.CollectionEndEvent)
        found.append(inner)
    return found


def _skip(events: Iterator[yaml.Event]) -> None:
    _rest(next(events), events)


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
