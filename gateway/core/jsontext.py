"""Find, write and drop one string of a JSON text; every other character stays as it was."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NoReturn

from gateway.core.errors import GatewayError

_SPACE = re.compile(r"[ \t\n\r]*")
# Members side by side; more are no request, but work that keeps the event loop from others.
_MOST = 10_000
_ESCAPE = re.compile(r"~(?![01])")


def no_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, as a decoder's `parse_constant`."""
    raise ValueError(f"{name} is not JSON")  # RFC 8259 6; Python's decoder would take it


# A number of more than 4300 digits is refused too: int() takes no longer ones, for their cost.
_DECODER = json.JSONDecoder(parse_constant=no_constant)


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a pointer's last step stands: its container's members, and its own if it is there."""

    opening: int
    members: list[_Member]
    member: _Member | None
    in_object: bool


def refusal(why: str) -> GatewayError:
    """Return the refusal of a body whose token field is not plain to everybody who reads it."""
    return GatewayError(400, "token_place", why)


def steps(pointer: str) -> tuple[str, ...]:
    """Split an RFC 6901 pointer; ValueError where it is none, or names the whole text."""
    if not pointer.startswith("/") or _ESCAPE.search(pointer):
        raise ValueError(f"{pointer!r} is not a JSON pointer such as /clientKey or /auth/key")
    return tuple(s.replace("~1", "/").replace("~0", "~") for s in pointer[1:].split("/"))


def text_of(body: bytes) -> str:
    """Decode and check a whole JSON text."""
    try:
        text = body.decode("utf-8")
        _, is_all = decode(text, _DECODER)
    except (ValueError, RecursionError):
        raise refusal("the body is not a readable JSON text in UTF-8") from None
    if not is_all:
        raise refusal("the body holds more than one JSON text")
    return text


def decode(text: str, decoder: json.JSONDecoder) -> tuple[object, bool]:
    """Return the value that `text` begins with, and whether nothing follows it.

    Raises ValueError or RecursionError where there is none.
    """
    value, end = decoder.raw_decode(text, _skip(text, 0))
    return value, _skip(text, end) == len(text)


def get(text: str, path: tuple[str, ...]) -> str | None:
    """Return the string at `path`, None where there is nothing."""
    spot = _locate(text, path)
    if spot is None or spot.member is None:
        return None
    return _string(text, spot.member, path)


def put(text: str, path: tuple[str, ...], value: str) -> str:
    """Write `value` at `path`: over the string there, or as its object's first member."""
    spot = _locate(text, path)
    if spot is None or (spot.member is None and not spot.in_object):
        raise refusal(f"the JSON body has no object to hold {_shown(path)}")
    quoted = json.dumps(value)
    if spot.member is not None:
        _string(text, spot.member, path)
        return text[: spot.member.value] + quoted + text[spot.member.end :]
    inside = spot.opening + 1
    comma = "," if spot.members else ""
    return f"{text[:inside]}{json.dumps(path[-1])}:{quoted}{comma}{text[inside:]}"


def drop(text: str, path: tuple[str, ...]) -> str:
    """Take the string at `path` out, with its key and one comma."""
    spot = _locate(text, path)
    if spot is None or spot.member is None:
        return text
    _string(text, spot.member, path)
    start, end = _with_comma(text, spot.members, spot.member)
    return text[:start] + text[end:]


def _with_comma(text: str, members: list[_Member], member: _Member) -> tuple[int, int]:
    at = members.index(member)
    if at + 1 < len(members):
        return member.start, _skip(text, member.end) + 1
    return (members[at - 1].end if at else member.start), member.end


def _string(text: str, member: _Member, path: tuple[str, ...]) -> str:
    value = _DECODER.raw_decode(text, member.value)[0]
    if text[member.value] != '"' or is_unpaired(value):
        raise refusal(f"{_shown(path)} in the JSON body must be a string")
    return str(value)


def is_unpaired(value: str) -> bool:
    """Whether half a surrogate pair was escaped in: no two readers make the same bytes of it."""
    return any("\ud800" <= character <= "\udfff" for character in value)


def _locate(text: str, path: tuple[str, ...]) -> _Spot | None:
    """Walk `path` through a checked text; None where a container on the way is missing."""
    at = _skip(text, 0)
    spot: _Spot | None = None
    for step in path:
        if spot is not None:
            if spot.member is None:
                return None
            at = spot.member.value
        if text[at] not in "{[":
            return None
        spot = _step(text, at, step)
    return spot


def _step(text: str, at: int, step: str) -> _Spot:
    members = _members(text, at)
    named = [member for member in members if member.key == step]
    if len(named) > 1:
        raise refusal(f"the JSON body holds {json.dumps(step)} more than once")
    return _Spot(at, members, named[0] if named else None, text[at] == "{")


def _members(text: str, opening: int) -> list[_Member]:
    """Return the members of the object or array at `opening`, of a text known to be JSON."""
    members: list[_Member] = []
    at = _skip(text, opening + 1)
    while text[at] not in "}]":
        start = at
        key = str(len(members))
        if text[opening] == "{":
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        end = _DECODER.raw_decode(text, at)[1]
        members.append(_Member(key, start, at, end))
        if len(members) > _MOST:
            raise refusal(f"the JSON body holds more than {_MOST} members side by side")
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return members


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _shown(path: tuple[str, ...]) -> str:
    return "/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in path)
