"""What can be said of a rule before there is a request: for `gateway check`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from gateway.core.globs import Glob, PathGlob
from gateway.core.model import Provider, Rule, Subject
from gateway.core.operations import Operation, of_presets, operations, presets_of
from gateway.core.request import METHODS
from gateway.core.scope import normal


def unreachable(provider: Provider, rule: Rule) -> str | None:
    """Return, in one sentence, what of `rule` can never match or matter; None for a sound rule.

    Its presets and subjects must be the provider's.
    """
    sentences = (*_methods(provider, rule), *_presets(provider, rule), *_subjects(provider, rule))
    return next(iter(sentences), None)


def covers(provider: Provider, rule: Rule, other: Rule) -> bool:
    """Whether `rule` certainly lets pass all that `other` does, which then has no effect after it.

    Both are of one route, and their presets and subjects the provider's.
    """
    presets = of_presets(provider, presets_of(provider, rule))
    methods = tuple(Glob(method.lower()) for method in rule.methods)
    paths = tuple(PathGlob(path) for path in rule.paths)
    for done in _operations(provider, other):
        if presets and not any(one.covers(done) for one in presets):
            return False
        if methods and not any(one.covers(done.method) for one in methods):
            return False
        if paths and not any(done.path is not None and one.covers(done.path) for one in paths):
            return False
    return all(_covers_subject(subject, rule, other) for subject in provider.subjects)


def _covers_subject(subject: Subject, rule: Rule, other: Rule) -> bool:
    if subject.name not in rule.subjects:
        return True
    if subject.name not in other.subjects:
        return False
    if subject.free and _is_general(rule) and not _is_general(other):  # who names none passes there
        return False
    ours = [Glob(normal(pattern, subject)) for pattern in rule.subjects[subject.name]]
    theirs = [Glob(normal(pattern, subject)) for pattern in other.subjects[subject.name]]
    return all(any(one.covers(glob) for one in ours) for glob in theirs)


def _is_general(rule: Rule) -> bool:
    return not (rule.presets or rule.methods or rule.paths)


def _operations(provider: Provider, rule: Rule) -> tuple[Operation, ...]:
    """Return all that `rule` may let a bot do, and maybe more."""
    methods = rule.methods or ("*",)
    pairs = (f"{method} {path}".strip() for method, path in product(methods, rule.paths or ("",)))
    listed = operations(pairs)
    named = of_presets(provider, presets_of(provider, rule))
    if not named:
        return listed
    return tuple(one for one in named if any(one.meets(two) for two in listed))


def _methods(provider: Provider, rule: Rule) -> Iterator[str]:
    if provider.method is None:
        carried = [method.decode() for method in METHODS]
        for method in rule.methods:
            if not any(Glob(method.lower()).matches(one.lower()) for one in carried):
                known = ", ".join(sorted(carried))
                yield f"no request has the method {method}; it is one of {known}"
    uncarried = operations(provider.uncarried)
    done = _operations(provider, rule)
    if done and all(any(one.covers(each) for one in uncarried) for each in done):
        yield "the gateway carries nothing of what this rule allows"


def _presets(provider: Provider, rule: Rule) -> Iterator[str]:
    if not rule.presets:
        return
    done = _operations(provider, rule)
    for preset in rule.presets:
        if not {one.text for one in done} & set(provider.presets[preset]):
            yield f"the preset {preset} has nothing that the rule's methods and paths allow"
    for method in rule.methods:
        if not any(one.method.meets(Glob(method.lower())) for one in done):
            yield f"none of the rule's presets has the method {method}"
    for path in rule.paths:
        if not any(one.path is not None and one.path.meets(PathGlob(path)) for one in done):
            yield f"none of the rule's presets has the path {path}"


def _subjects(provider: Provider, rule: Rule) -> Iterator[str]:
    done = _operations(provider, rule)
    for subject in provider.subjects:
        if subject.name not in rule.subjects:
            continue
        for pattern in rule.subjects[subject.name]:
            if "*" not in pattern and not _can_be(subject, pattern):
                yield f"{pattern} can be no {subject.name}"
        free = operations(subject.free)
        if all(any(one.covers(each) for one in free) for each in done):
            yield f"nothing that this rule allows is about a {subject.name}"


def _can_be(subject: Subject, value: str) -> bool:
    return any(re.fullmatch(subject.form, text) for text in (value, normal(value, subject)))
