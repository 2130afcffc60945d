"""What a bot may do: its rules on one route, judged by what a request does and is about.

`Scope.look` judges what is done (method and path), once for all requests that do the same;
`Outlook.decide` judges what one of them is about. What no rule allows is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from gateway.core.errors import Deny
from gateway.core.fields import FieldReader, Said
from gateway.core.globs import Globs, PathGlob
from gateway.core.model import Provider, Rule, Subject
from gateway.core.operations import Asked, Calls, api_part, of_presets, operations, presets_of
from gateway.core.places import Path

_CODES = {
    "model": "model_not_allowed",
    "chat": "chat_not_allowed",
    "channel": "channel_not_allowed",
}
_LONGEST_WORD = 64
_LONGEST_LIST = 270


@dataclass(frozen=True, slots=True)
class Clause:
    """What one rule says of one subject, for one method and path."""

    subject: str
    globs: Globs
    needed: bool
    """Whether a request that names none is refused."""

    def allows(self, said: Said) -> bool:
        """Whether all that is said of the subject is allowed."""
        values = said.get(self.subject)
        return self.globs.hold(values) if values else not self.needed


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that allows the method and path, and what it says of subjects."""

    rule: Rule
    clauses: tuple[Clause, ...]

    def allows(self, said: Said) -> bool:
        """Whether the rule lets pass what is said."""
        for clause in self.clauses:  # noqa: SIM110 -- every request runs it, and a generator costs
            if not clause.allows(said):
                return False
        return True

    def passed(self, said: Said) -> int:
        """Return how many clauses allow what is said."""
        return sum(clause.allows(said) for clause in self.clauses)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the rules say of a method and path, for as long as they are the rules."""

    rule: Rule | None
    """The rule that lets it pass; with `deny` or `reader`, the one that comes nearest so far."""
    deny: Deny | None = None
    """Why no rule can let it pass."""
    reader: FieldReader | None = None
    """Where it depends on what the request is about: what reads that. `decide` then decides."""
    candidates: tuple[Candidate, ...] = ()
    """The rules that it then depends on."""
    path: bytes = b""
    """The path that `reader` is to look at."""

    def decide(self, said: Said) -> tuple[Rule, Deny | None]:
        """Return the first rule that lets pass what is said; or the nearest, and why not."""
        for candidate in self.candidates:
            if candidate.allows(said):
                return candidate.rule, None
        nearest = max(self.candidates, key=lambda candidate: candidate.passed(said))
        name = next(clause.subject for clause in nearest.clauses if not clause.allows(said))
        return nearest.rule, self._refusal(name, said.get(name, ()), nearest.rule.route)

    def _refusal(self, name: str, values: tuple[str, ...], route: str) -> Deny:
        clauses = [clause for candidate in self.candidates for clause in candidate.clauses]
        every = [clause.globs for clause in clauses if clause.subject == name]
        strange = next((one for one in values if not any(one in globs for globs in every)), None)
        if strange is not None:
            asked = f"the {name} {_shown(strange)}"
        else:
            asked = f"these {name}s together" if values else f"a request that names no {name}"
        may = (pattern for globs in every for pattern in globs.patterns)
        return Deny(403, _CODES[name], _reason(asked, route, may))


class Scope:
    """One bot's rules on one route, made ready to judge with.

    `base` is the path of the route's upstream: as far as it belongs to the provider's API it is
    part of every path that is judged. `hides_path`: a token may stand in the path, so that no
    reason names it; as where the provider itself has such a place. Raises KeyError where a rule
    names a preset or a subject that the provider does not have.
    """

    def __init__(
        self,
        provider: Provider,
        rules: tuple[Rule, ...],
        *,
        base: bytes = b"",
        hides_path: bool = False,
    ) -> None:
        self._base = api_part(provider, base)
        self._calls = Calls(provider)
        self._own_methods = provider.method is not None
        in_path = any(isinstance(place, Path) for place in provider.tokens + provider.inject)
        self._hides_path = hides_path or in_path
        self._uncarried = operations(text.lower() for text in provider.uncarried)
        self._subjects = provider.subjects
        self._rules = tuple(_ReadyRule(provider, rule) for rule in rules)
        self._readers: dict[frozenset[str], FieldReader] = {}

    def look(self, method: bytes, path: bytes) -> Outlook:
        """Judge what is done. `method` is HTTP's; `path` follows the prefix, as it is sent.

        What comes back is good for ever, and for every request of the same method and path.
        """
        path = self._base + path
        asked = self._calls.asked(method, path)
        if not self._rules:
            return Outlook(None, _NO_RULE)
        if self._leads_past(method, path):
            reason = (
                f"The gateway does not carry {self._named(asked)} yet: its answer leads past it"
            )
            deny = Deny(501, "not_carried", reason, repeatable=False)
            return Outlook(self._nearest(asked).rule, deny)
        fitting = [ready for ready in self._rules if ready.fits(asked)]
        if not fitting:
            return self._refused(asked)
        for ready in fitting:
            if not ready.rule.subjects:
                return Outlook(ready.rule)
        able = [ready for ready in fitting if ready.idle(asked) is None]
        if not able:
            return self._about_none(asked, fitting[0])
        candidates = tuple(Candidate(ready.rule, ready.clauses(asked)) for ready in able)
        return Outlook(able[0].rule, None, self._reader(candidates), candidates, path)

    def _leads_past(self, method: bytes, path: bytes) -> bool:
        # What is taken out of what is allowed is taken out however it is spelt.
        asked = self._calls.asked(method, unquote_to_bytes(path).rstrip(b"/").lower())
        return any(operation.fits(asked) for operation in self._uncarried)

    def _about_none(self, asked: Asked, ready: _ReadyRule) -> Outlook:
        name = ready.idle(asked)
        assert name is not None
        reason = (
            f"{self._named(asked)} is about no {name}; on route {ready.rule.route} only a rule "
            "with presets, methods or paths allows that"
        )
        return Outlook(ready.rule, Deny(403, _CODES[name], reason[0].upper() + reason[1:]))

    def _nearest(self, asked: Asked) -> _ReadyRule:
        """Return the rule that goes furthest with `asked`, the first of several."""
        return max(self._rules, key=lambda ready: (ready.fits(asked), ready.has_path(asked)))

    def _refused(self, asked: Asked) -> Outlook:
        nearest = self._nearest(asked)
        may = (entry for ready in self._rules for entry in ready.entries)
        reason = _reason(self._named(asked), nearest.rule.route, may)
        if asked.method is None or not nearest.has_path(asked):
            return Outlook(nearest.rule, Deny(403, "path_not_allowed", reason))
        return Outlook(nearest.rule, Deny(403, "method_not_allowed", reason))

    def _named(self, asked: Asked) -> str:
        if asked.method is None:
            return "this path"
        if self._own_methods:
            return f"the method {_shown(asked.method)}"
        path = "of this path" if self._hides_path else _shown(asked.path)
        return f"{_shown(asked.method)} {path}"

    def _reader(self, candidates: Iterable[Candidate]) -> FieldReader:
        names = frozenset(clause.subject for one in candidates for clause in one.clauses)
        if names not in self._readers:
            ruled = [subject for subject in self._subjects if subject.name in names]
            self._readers[names] = FieldReader(ruled)
        return self._readers[names]


class _ReadyRule:
    """A rule, its patterns read."""

    def __init__(self, provider: Provider, rule: Rule) -> None:
        subjects = {subject.name: subject for subject in provider.subjects}
        self.rule = rule
        self.entries = rule.presets + rule.methods + rule.paths
        """All that it names of what may be done."""
        self._presets = of_presets(provider, presets_of(provider, rule))
        self._methods = Globs(method.lower() for method in rule.methods)
        self._paths = tuple(PathGlob(path) for path in rule.paths)
        self._subjects = tuple(
            (subjects[name], Globs(normal(pattern, subjects[name]) for pattern in patterns))
            for name, patterns in rule.subjects.items()
        )
        self._free = {name: operations(subjects[name].free) for name in rule.subjects}

    def fits(self, asked: Asked) -> bool:
        """Whether the rule allows what is done."""
        if not self.entries and not self._presets:
            return True
        return (
            asked.method is not None
            and (not self.rule.methods or asked.method.lower() in self._methods)
            and (not self._presets or any(one.fits(asked) for one in self._presets))
            and (not self.rule.paths or any(glob.matches(asked.path) for glob in self._paths))
        )

    def has_path(self, asked: Asked) -> bool:
        """Whether the rule would allow the path with some method."""
        presets = any(one.path is None or one.path.matches(asked.path) for one in self._presets)
        paths = any(glob.matches(asked.path) for glob in self._paths)
        return (presets or not self._presets) and (paths or not self.rule.paths)

    def idle(self, asked: Asked) -> str | None:
        """Return a subject that decides all in this rule, though `asked` is about none such.

        What a request says of it all the same is what its provider never looks at.
        """
        if self.entries:
            return None
        return next((name for name in self._free if self._is_free(name, asked)), None)

    def clauses(self, asked: Asked) -> tuple[Clause, ...]:
        """Return what the rule says of subjects where `asked` is done."""
        return tuple(
            Clause(subject.name, globs, not self._is_free(subject.name, asked))
            for subject, globs in self._subjects
        )

    def _is_free(self, name: str, asked: Asked) -> bool:
        return any(one.fits(asked) for one in self._free[name])


def normal(pattern: str, subject: Subject) -> str:
    """Return a rule's pattern as the values of `subject` are compared."""
    bare = pattern.removeprefix(subject.strip)
    return bare.encode().lower().decode() if subject.fold else bare  # ASCII's case alone


def _reason(asked: str, route: str, may: Iterable[str]) -> str:
    """Say what is refused, and as much of what is allowed as fits."""
    reason = f"No rule of this bot allows {asked} on route {_shown(route)}"
    words = [_shown(word) for word in dict.fromkeys(may)]
    for count, word in enumerate(words):
        if len(reason) + len(word) > _LONGEST_LIST:
            return f"{reason} and {len(words) - count} more"
        reason += f", {word}" if count else f"; it may use {word}"
    return reason


def _shown(value: str) -> str:
    """Return what may be said of a value that anybody may have made up."""
    return "".join(char if " " <= char <= "~" else "?" for char in value[:_LONGEST_WORD])


_NO_RULE = Deny(403, "route_not_allowed", "No rule of this bot allows this route")
