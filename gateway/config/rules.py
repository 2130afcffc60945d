"""Rules: that each names a route of the file, and only what the route's provider knows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gateway.config import messages
from gateway.config.errors import Trail
from gateway.config.reading import Reading, sound
from gateway.config.schema import RuleKeys
from gateway.core.model import Provider, Rule, Subject
from gateway.core.request import METHODS

Rules = Mapping[str, tuple[Rule, ...]]
"""By route name, in the order of the file."""

_METHODS = tuple(sorted(method.decode("ascii") for method in METHODS))
_OWN_METHOD = re.compile(r"[A-Za-z0-9_.*]{1,128}")


def rules(
    reading: Reading,
    trail: Trail,
    entries: Sequence[str | RuleKeys],
    providers: Mapping[str, Provider],
) -> Rules:
    """Return the rules that stand in the list at `trail`. `providers` are the routes'."""
    known = reading.section("routes")
    found: dict[str, list[Rule]] = {}
    for at, entry in sound(trail, entries):
        keys = RuleKeys(route=entry) if isinstance(entry, str) else entry
        rule = _rule(keys, reading.place(at))
        if keys.route not in known:
            inside = at if isinstance(entry, str) else (*at, "route")
            reading.problem(inside, messages.unknown("route", keys.route, known))
        elif keys.route in providers:
            _check(reading, at, keys, providers[keys.route])
        if isinstance(entry, str) or reading.is_whole(at, keys):
            _check_twin(reading, at, rule, found.get(rule.route, ()))
            found.setdefault(rule.route, []).append(rule)
    return MappingProxyType({route: tuple(several) for route, several in found.items()})


def _rule(keys: RuleKeys, place: str) -> Rule:
    subjects = {"model": keys.models, "chat": keys.chats, "channel": keys.channels}
    given = {name: tuple(patterns) for name, patterns in subjects.items() if patterns}
    return Rule(
        keys.route,
        place,
        presets=tuple(keys.presets),
        methods=tuple(keys.methods),
        paths=tuple(keys.paths),
        subjects=MappingProxyType(given),
    )


def key_of(subject: Subject) -> str:
    """Return the key of a rule that lists patterns for `subject`."""
    return f"{subject.name}s"


def _check(reading: Reading, at: Trail, keys: RuleKeys, provider: Provider) -> None:
    allowed = _allowed(provider)
    for name in RuleKeys.model_fields:
        if name != "route" and name not in allowed and getattr(keys, name):
            message = f"{provider.name} has no {name}; a rule for it may name: {', '.join(allowed)}"
            reading.problem((*at, name), message, at_key=True)
    if provider.presets:
        for index, preset in enumerate(keys.presets):
            if preset not in provider.presets:
                message = messages.unknown("preset", preset, provider.presets)
                reading.problem((*at, "presets", index), message)
    for index, method in enumerate(keys.methods):
        if wrong := _wrong_method(method, provider):
            reading.problem((*at, "methods", index), wrong)


def _allowed(provider: Provider) -> tuple[str, ...]:
    """Return the keys that a rule for `provider` may have."""
    own = provider.method is not None
    operations = ("presets",) * bool(provider.presets) + ("methods",) + ("paths",) * (not own)
    return operations + tuple(key_of(subject) for subject in provider.subjects)


def _wrong_method(method: str, provider: Provider) -> str | None:
    if provider.method is None:
        listed = ", ".join(_METHODS)
        return None if method in _METHODS else f"HTTP methods are upper case: {listed}"
    if _OWN_METHOD.fullmatch(method):
        return None
    return f"a method of {provider.name} is written in letters, digits, `_`, `.` and `*`"


def _check_twin(reading: Reading, at: Trail, rule: Rule, others: Sequence[Rule]) -> None:
    for other in others:
        if _content(rule) == _content(other):
            reading.problem(at, f"this is the same as {other.place}")
            return


def _content(rule: Rule) -> tuple[object, ...]:
    """Return what a rule says. A mapping proxy is compared by its mapping."""
    return rule.route, rule.presets, rule.methods, rule.paths, rule.subjects
