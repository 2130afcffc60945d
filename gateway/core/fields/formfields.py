"""Ruled fields of a form or a query, whatever carries its names and values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from gateway.core import urlencoded
from gateway.core.errors import GatewayError
from gateway.core.fields.jsonfields import texts
from gateway.core.fields.ruled import Ruled, Said, folded, said_of, unreadable

_MOST = 1_000  # fields, as in most form readers
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_BEFORE_JSON = b" \t\r\n\xef\xbb\xbf"
_NO_LETTER = re.compile(r"[\W_]")


class FormFields:
    """The ruled fields of a query (`place` says so) or of a form. Immutable, built once."""

    __slots__ = ("_by_name", "_place", "_skeletons")

    def __init__(self, fields: Sequence[Ruled], place: str) -> None:
        self._place = place
        self._by_name: dict[str, tuple[Ruled, ...]] = {}
        for field in fields:
            self._by_name[field.first] = (*self._by_name.get(field.first, ()), field)
        self._skeletons = frozenset(_skeleton(name) for name in self._by_name)

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def named(self, raw: bytes) -> tuple[Ruled, ...]:
        """Return what is ruled under a decoded name; nothing where it is just another field.

        Raises scope_unreadable for a name that some reader could take for a ruled one.
        """
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            raise unreadable(f"a name in the {self._place} is not in UTF-8") from None
        found = self._by_name.get(name)
        if found:
            return found
        if _CONTROL.search(name) or "=?" in name or name.lower() == "_charset_":
            raise unreadable(f"a name in the {self._place} holds what changes how it is read")
        if self._is_like_one(name):
            raise unreadable(
                f"the {self._place} names a field almost like one that a rule depends on; "
                f"these are written {', '.join(self._by_name)}"
            )
        return ()

    def values(self, fields: Sequence[Ruled], raw: bytes) -> Iterator[tuple[str, str]]:
        """Yield (subject, value) for each of the `fields` that one decoded value holds."""
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise unreadable(f"the field {fields[0].first} is not in UTF-8") from None
        for field in fields:
            for one in texts(text, field.rest, field.written):
                yield field.subject, field.value(one)

    def twice(self, fields: Sequence[Ruled]) -> GatewayError:
        """Return the refusal of a ruled name that came before."""
        return unreadable(f"the {self._place} holds {fields[0].first} more than once")

    def read(self, text: bytes) -> Said:
        """Return what `name=value&name=value` says. Raises scope_unreadable."""
        if text.lstrip(_BEFORE_JSON)[:1] in (b"{", b"["):
            raise unreadable(f"the {self._place} begins like JSON, and some would read it as that")
        return said_of(self._found(text))

    def _found(self, text: bytes) -> Iterator[tuple[str, str]]:
        pairs = text.split(b"&", _MOST)
        if len(pairs) > _MOST or text.count(b";") > _MOST:
            raise unreadable(f"the {self._place} holds more than {_MOST} fields")
        seen: set[str] = set()
        for pair in pairs:
            name, _, value = pair.partition(b"=")
            fields = self.named(self._decoded(name))
            if b";" in pair:
                self._check_split(pair)
            if not fields:
                continue
            if fields[0].first in seen:
                raise self.twice(fields)
            seen.add(fields[0].first)
            yield from self.values(fields, self._decoded(value))

    def _check_split(self, pair: bytes) -> None:
        """A `;` stood for `&` once (HTML 4.01 B.2.2), and some readers still split there."""
        for piece in pair.split(b";"):
            name = urlencoded.decode(piece.partition(b"=")[0]).decode("utf-8", "replace")
            if self._is_like_one(name):
                raise unreadable(f"the {self._place} holds a `;` beside a field that is ruled")

    def _decoded(self, raw: bytes) -> bytes:
        if not urlencoded.is_plain(raw):
            raise unreadable(f"the {self._place} holds a `%` that escapes nothing")
        return urlencoded.decode(raw)

    def _is_like_one(self, name: str) -> bool:
        """Whether readers that drop, join or convert what is no letter would find a ruled name.

        `Chat-Id`, `chatId`, `chat_id[]`, `chat.id`, `chat_id[x]`, `chat_id.x`, `chat%5Fid` after
        decoding.
        """
        readings = [name, unquote(name)] if "%" in name else [name]
        if "[" in readings[-1] or "." in readings[-1]:
            outer = [reading.partition("[")[0] for reading in readings]
            readings += outer + [reading.partition(".")[0] for reading in outer]
        return any(_skeleton(reading) in self._skeletons for reading in readings)


def _skeleton(name: str) -> str:
    return _NO_LETTER.sub("", folded(name))
