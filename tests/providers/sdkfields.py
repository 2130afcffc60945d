"""Where the parameters of an SDK's calls, as its types describe them, name a model."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import typing_extensions

_ARRAYS = ("list", "List", "Iterable", "Sequence", "SequenceNotStr")


def model_fields(module: str) -> set[str]:
    """Return the fields called `model` of a module of parameters, in `Subject.fields`' notation."""
    found = import_module(module)
    roots = [kind for name, kind in vars(found).items() if "Params" in name]
    return {field for root in roots if _is_own(root, found) for field in _fields(root, "", ())}


def _is_own(root: Any, module: ModuleType) -> bool:
    return _is_dict(root) and root.__module__ == module.__name__


def _is_dict(kind: Any) -> bool:
    return typing.is_typeddict(kind) or typing_extensions.is_typeddict(kind)


def _fields(kind: Any, path: str, above: tuple[Any, ...]) -> Iterator[str]:
    if isinstance(kind, typing_extensions.TypeAliasType):
        yield from _fields(kind.__value__, path, above)
    elif origin := typing.get_origin(kind):
        is_array = getattr(origin, "__name__", "") in _ARRAYS
        for argument in typing.get_args(kind):
            yield from _fields(argument, f"{path}[]" if is_array else path, above)
    elif _is_dict(kind) and kind not in above:
        for name, inner in typing.get_type_hints(kind).items():
            field = f"{path}.{name}" if path else name
            if name == "model":
                yield field
            yield from _fields(inner, field, (*above, kind))
