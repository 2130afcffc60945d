"""Ruled fields of a JSON text: fast where nothing is in doubt, else pair by pair."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Sized
from typing import Any

import msgspec

from gateway.core import jsontext
from gateway.core.errors import GatewayError
from gateway.core.fields.ruled import Ruled, Said, folded, said_of, spellings, unreadable


class _Object(tuple[tuple[str, Any], ...]):
    """An object as its pairs, so that a key which stands twice is still seen."""

    __slots__ = ()


_STRICT = json.JSONDecoder(object_pairs_hook=_Object, parse_constant=jsontext.no_constant)
# Where a ruled field stands or is on the way to one: members or elements side by side, and
# characters of a text that is JSON itself. More are no request, but work that keeps others waiting.
_MOST = 10_000
_LONGEST = 64 * 1024
# A text without any of these holds no array and no object, whoever reads it as JSON.
_HOLDS = re.compile(r"""[{\["\\]""")
_SHORT = 128
_LONGEST_KEYS = 1024
_REMEMBERED = 1024
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class JsonFields:
    """The ruled fields of a JSON body. Immutable, built once.

    Two ways lead to the same values. The fast one skips what no rule depends on. It is taken where
    nothing in the body's object could be a ruled field in disguise; the other weighs every pair.
    """

    __slots__ = ("_alike", "_by_top", "_known", "_meant", "_names", "_quoted")

    def __init__(self, fields: Sequence[Ruled]) -> None:
        self._by_top: dict[str, tuple[Ruled, ...]] = {}
        for field in fields:
            self._by_top[field.first] = (*self._by_top.get(field.first, ()), field)
        self._names = self._by_top.keys()
        self._quoted = {name: f'"{name}"'.encode() for name in self._by_top}
        self._meant = {spelt: name for name in self._names for spelt in spellings(name)}
        """The ruled name that a folded key could be taken for."""
        if len(self._meant) < sum(len(spellings(name)) for name in self._names):
            raise ValueError("two ruled fields differ in nothing but case or `_`")
        self._known: dict[tuple[str, bytes], Said] = {}
        """What short texts say: most requests say the same again and again."""
        self._alike: dict[str, bool] = {}
        """Whether one of some keys could be taken for a ruled one: most have the same keys."""

    def read(self, body: bytes) -> Said:
        """Return what `body` says. Raises scope_unreadable where it could be read otherwise."""
        tops = self._quickly(body)
        if tops is None:
            return self._said(self._slowly(body))
        if len(tops) != 1:
            return self._said({name: _value(raw) for name, raw in tops})
        known = self._known.get(tops[0])
        return self._one(*tops[0]) if known is None else known

    def _one(self, name: str, raw: bytes) -> Said:
        said = self._said({name: _value(raw)})
        if raw[:1] == b'"' and len(raw) <= _SHORT:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name, raw] = said
        return said

    def _said(self, tops: Mapping[str, object]) -> Said:
        return said_of(
            [
                (field.subject, field.value(text))
                for name, value in tops.items()
                for field in self._by_top[name]
                for text in texts(value, field.rest, field.written)
            ]
        )

    def _quickly(self, body: bytes) -> list[tuple[str, bytes]] | None:
        """Return the ruled members of the body's object; None where another look is needed."""
        if body.rfind(b"\\u") >= 0:  # far faster than find, for `\` is rare and `u` is not
            return None
        try:
            if not body.isascii():
                body.decode()  # msgspec does not look into what it skips
            members = _MEMBERS.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if len(members) > _MOST or self._is_like(members):
            return None
        tops = []
        there = self._names & members.keys()
        for name in there if len(there) < 2 else filter(there.__contains__, self._names):
            quoted = self._quoted[name]
            # Of a key that stands twice the last is left, but the bytes of both are there.
            if body.rfind(quoted, 0, body.rfind(quoted)) >= 0:
                return None
            tops.append((name, bytes(members[name])))
        return tops

    def _slowly(self, body: bytes) -> dict[str, object]:
        try:
            top = _parsed(body.decode())
        except UnicodeDecodeError:
            raise unreadable("the body is not in UTF-8") from None
        if type(top) is not _Object:
            raise unreadable("the JSON body is not an object")
        _check_number(top, "the JSON body")
        found: dict[str, object] = {}
        for key, value in top:
            name = self._meant.get(folded(_whole(key)))
            if name is None:
                continue
            if key != name or name in found:
                raise _disguised(name)
            found[name] = value
        return {name: found[name] for name in self._names if name in found}

    def _is_like(self, keys: Mapping[str, object]) -> bool:
        """Whether one of the keys could be taken for a ruled one."""
        together = "\0".join(keys)  # no key holds that here: it would be escaped by `\u`
        known = self._alike.get(together)
        if known is None:
            known = any(key not in self._by_top and folded(key) in self._meant for key in keys)
            if len(self._alike) >= _REMEMBERED:
                self._alike.clear()
            if len(together) <= _LONGEST_KEYS:
                self._alike[together] = known
        return known


def texts(value: object, steps: tuple[str, ...], written: str) -> Sequence[str]:
    """Return every text that stands where `steps` lead from `value`; none where nothing does.

    A text on the way is JSON itself. Raises scope_unreadable where an array stands for an object
    or the other way, and where the end is neither a text nor a plain whole number.
    """
    if value is None:
        return ()
    if not steps:
        return (_scalar(value, written),)
    step, rest = steps[0], steps[1:]
    if step == ",":
        pieces = _scalar(value, written).split(",", _MOST)
        _check_number(pieces, f"the field {written}")
        return pieces
    if type(value) is str and _HOLDS.search(value):
        if len(value) > _LONGEST:
            raise unreadable(f"a JSON text within the field {written} is longer than {_LONGEST}")
        value = _parsed(value)
    if step != "[]":
        return texts(_member(value, step, written), rest, written)
    if type(value) is _Object:
        raise _astray(written)
    elements = value if type(value) is list else ()
    _check_number(elements, f"the field {written}")
    return [text for element in elements for text in texts(element, rest, written)]


def _value(raw: bytes) -> object:
    """Decode a member that `_quickly` found; an unescaped text is the same to both decoders."""
    text: object = msgspec.json.decode(raw) if raw[:1] == b'"' else _parsed(raw.decode())
    return text


def _parsed(text: str) -> object:
    try:
        value, is_all = jsontext.decode(text, _STRICT)
    except (ValueError, RecursionError):
        is_all = False
        value = None
    if not is_all:
        raise unreadable("what should be JSON is not one plainly readable JSON text")
    return value


def _member(container: object, name: str, written: str) -> object:
    """Return the member `name`, None where there is none."""
    if type(container) is list:
        raise _astray(written)
    if type(container) is not _Object:
        return None  # a word, a number: nothing can stand in it
    _check_number(container, f"what leads to the field {written}")
    meant = spellings(name)
    named = [pair for pair in container if folded(_whole(pair[0])) in meant]
    if not named:
        return None
    (key, value), *others = named
    if others or key != name:
        raise _disguised(name)
    return value


def _whole(key: str) -> str:
    """Return what readers in C see of a key: a NUL ends it."""
    return key.partition("\0")[0]


def _scalar(value: object, written: str) -> str:
    if type(value) is int:
        return str(value)
    if type(value) is str:
        return value
    raise unreadable(f"the field {written} holds neither a string nor a plain whole number")


def _astray(written: str) -> GatewayError:
    return unreadable(f"an array or an object stands where the field {written} has the other")


def _disguised(name: str) -> GatewayError:
    return unreadable(f"{name} stands there twice or in another spelling; a rule depends on it")


def _check_number(several: Sized, where: str) -> None:
    if len(several) > _MOST:
        raise unreadable(f"{where} holds more than {_MOST} things side by side")
