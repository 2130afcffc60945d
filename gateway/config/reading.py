"""What the parts of a configuration share while it is built: the file, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway.config import messages
from gateway.config.errors import Problem, Trail
from gateway.config.kinds import Spared
from gateway.config.schema import FileKeys
from gateway.config.yaml import Document

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Reading:
    """One file on its way to a Snapshot. `problems` holds what was found so far."""

    document: Document
    environ: Mapping[str, str]
    directory: Path
    """What relative paths in the file start from."""
    label: str
    """The file's name, as records and denials show it."""
    problems: list[Problem] = field(default_factory=list)

    def keys(self) -> FileKeys | None:
        """Return the keys of the file; of one that is partly wrong, those that are sound."""
        context: dict[str, object] = {"environ": self.environ}
        try:
            return FileKeys.model_validate(self.document.value, context=context)
        except ValidationError as exc:
            self.problems.extend(messages.problems(self.document, exc))
        reader: TypeAdapter[FileKeys | None] = TypeAdapter(Spared[FileKeys])
        return reader.validate_python(self.document.value, context={**context, "sparing": True})

    def problem(self, trail: Trail, message: str, *, at_key: bool = False) -> None:
        """Note that something is wrong at `trail`, or as near to it as the file has anything."""
        self.problems.append(self.document.problem(trail, message, at_key=at_key))

    def place(self, trail: Trail, *, at_key: bool = False) -> str:
        """Return what names a place of the file in a record: `routes.yaml:12 bots.x.allow[0]`."""
        found = self.document.problem(trail, "", at_key=at_key)
        return f"{self.label}:{found.line} {found.place}"

    def section(self, name: str) -> Mapping[str, object]:
        """Return what stands under a key of the file, sound or not, as far as it is a mapping."""
        return _mapping(_mapping(self.document.value).get(name))

    def is_whole(self, trail: Trail, keys: BaseModel) -> bool:
        """Whether no wrong key was left out of `keys`, so that what is absent is meant so."""
        return keys.model_fields_set == _mapping(self.document.value_at(trail)).keys()

    def file(self, path: str | None, trail: Trail) -> str | None:
        """Return the absolute path of a file that must be there."""
        if path is None:
            return None
        absolute = self.absolute(path)
        if not Path(absolute).is_file():
            self.problem(trail, "there is no such file")
        return absolute

    def absolute(self, path: str) -> str:
        """Return a path that may be relative to the file."""
        return str((self.directory / path).absolute())


def sound(trail: Trail, items: Sequence[Item]) -> Iterator[tuple[Trail, Item]]:
    """Yield each item of a list with its place, but those that are wrong and so were left out."""
    for index, item in enumerate(items):
        if item is not None:
            yield (*trail, index), item


def sound_entries(items: Mapping[str, Item]) -> Mapping[str, Item]:
    """Return the entries of a mapping but those that are wrong and so were left out."""
    return {name: item for name, item in items.items() if item is not None}


def check_twice(reading: Reading, trail: Trail, names: Sequence[str]) -> None:
    """Note names that a list has more than once."""
    for index, name in enumerate(names):
        if name in names[:index]:
            reading.problem((*trail, index), "this stands in the list already")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
