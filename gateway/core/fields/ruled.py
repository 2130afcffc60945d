"""A field that rules depend on: how a provider's data writes it, and what it may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.core.errors import GatewayError
from gateway.core.jsontext import is_unpaired
from gateway.core.model import Subject

Said = Mapping[str, tuple[str, ...]]
"""What a request names: values by the subject's name; a subject of which it says nothing is out."""

_NAME = r"[A-Za-z0-9_-]+"
_FIELD = re.compile(rf"{_NAME}(?:\[\])?(?:\.{_NAME}(?:\[\])?)*,?")
_STEP = re.compile(rf"{_NAME}|\[\]|,")

# Java and .NET take the Turkish ones for an i, which Unicode's folding does not.
_TURKISH = str.maketrans("\u0130\u0131", "ii")


def unreadable(why: str) -> GatewayError:
    """Return the refusal of a request whose subject another reader could read otherwise."""
    return GatewayError(400, "scope_unreadable", why)


def folded(name: str) -> str:
    """Return `name` as the most forgiving of readers compares it: without case."""
    return name if name.isascii() and name.islower() else name.translate(_TURKISH).casefold()


def spellings(name: str) -> frozenset[str]:
    """Return what forgiving readers take for `name`, folded.

    `chatId` is `chat_id` to whoever reads JSON for Protocol Buffers (ProtoJSON, "JSON names").
    """
    plain = folded(name)
    return frozenset((plain, plain.replace("_", "")))


def said_of(found: Iterable[tuple[str, str]]) -> Said:
    """Gather (subject, value) pairs: each value once, in the order they came."""
    said: dict[str, dict[str, None]] = {}
    for subject, value in found:
        said.setdefault(subject, {})[value] = None
    return {subject: tuple(values) for subject, values in said.items()}


class Ruled:
    """One field of a subject, in the notation of `Subject.fields`, split into its steps.

    `first` is the name it starts with; `rest` holds what follows: names, `[]` for each element
    of an array, `,` for each piece of a text. Raises ValueError for another notation.
    """

    __slots__ = ("first", "rest", "subject", "value", "written")

    def __init__(self, written: str, subject: Subject) -> None:
        if not _FIELD.fullmatch(written):
            raise ValueError(f"{written!r} is not a field such as model, a.model or tools[].model")
        self.written = written
        self.subject = subject.name
        self.first, *rest = _STEP.findall(written)
        self.rest = tuple(rest)
        self.value = Value(subject, f"the field {written}")


class Value:
    """What a subject's values look like. Called with a text, returns it as rules compare it."""

    __slots__ = ("_fold", "_form", "_strip", "_why")

    def __init__(self, subject: Subject, where: str) -> None:
        self._form = re.compile(subject.form, re.ASCII).fullmatch
        self._strip = subject.strip
        self._fold = subject.fold
        self._why = f"{where} does not hold a plain {subject.name}, which is {subject.form}"

    def __call__(self, text: str) -> str:
        """Raise scope_unreadable where the text is no such value."""
        text = text.removeprefix(self._strip)
        if not text.isascii() and is_unpaired(text):
            raise unreadable(self._why)
        if self._fold:
            # ASCII alone: str.lower() would take the Kelvin sign for a k.
            text = text.encode().lower().decode()
        if not self._form(text):
            raise unreadable(self._why)
        return text
