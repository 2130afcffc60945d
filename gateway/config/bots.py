"""Bots and what they have in common: groups, which are merged into each, labels, pinned tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gateway.config import messages
from gateway.config.errors import Trail
from gateway.config.limits import limits, same_kind
from gateway.config.reading import Reading, check_twice, sound_entries
from gateway.config.rules import Rules, rules
from gateway.config.schema import BotKeys, FileKeys, GroupKeys
from gateway.core.model import Bot, Limit, Networks, Provider, Token

_NONE: Rules = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Share:
    """What a bot, or a group, or several groups together, may do."""

    allow: Rules
    addresses: Networks
    limits: tuple[Limit, ...]

    def joined(self, other: Share) -> Share:
        """Return both, `other` last. What only one of them has stays the same object."""
        addresses = self.addresses + other.addresses
        if self.addresses and other.addresses:
            addresses = tuple(dict.fromkeys(addresses))
        return Share(_merged(self.allow, other.allow), addresses, self.limits + other.limits)


def _merged(first: Rules, second: Rules) -> Rules:
    if not first or not second:
        return first or second
    routes = dict.fromkeys((*first, *second))
    return MappingProxyType({one: first.get(one, ()) + second.get(one, ()) for one in routes})


class Bots:
    """Builds the bots of one file."""

    def __init__(self, reading: Reading, keys: FileKeys, providers: Mapping[str, Provider]) -> None:
        self._reading = reading
        self._providers = providers
        self._keys = sound_entries(keys.bots)
        groups = sound_entries(keys.groups)
        self._groups = {name: self._share(("groups", name), one) for name, one in groups.items()}
        self._joined: dict[tuple[str, ...], Share] = {}

    def bots(self) -> Mapping[str, Bot]:
        """Return the bots by name, each with what its groups add."""
        return MappingProxyType({name: self._bot(name, keys) for name, keys in self._keys.items()})

    def _bot(self, name: str, keys: BotKeys) -> Bot:
        trail: Trail = ("bots", name)
        check_twice(self._reading, (*trail, "labels"), keys.labels)
        own = self._share(trail, keys)
        added = self._added(trail, keys.groups)
        self._check_limits(trail, own, added)
        share = own.joined(added)
        return Bot(
            name=name,
            allow=share.allow,
            labels=tuple(keys.labels),
            addresses=share.addresses,
            limits=share.limits,
            observe=keys.mode == "observe",
            place=self._reading.place(trail, at_key=True),
        )

    def _share(self, trail: Trail, keys: BotKeys | GroupKeys) -> Share:
        reading = self._reading
        return Share(
            rules(reading, (*trail, "allow"), keys.allow, self._providers) if keys.allow else _NONE,
            tuple(keys.addresses),
            limits(reading, (*trail, "limits"), keys.limits),
        )

    def _added(self, trail: Trail, names: Sequence[str]) -> Share:
        """Return what the groups add. Bots of the same groups share it."""
        known = self._reading.section("groups")
        check_twice(self._reading, (*trail, "groups"), names)
        for index, name in enumerate(names):
            if name not in known:
                message = messages.unknown("group", name, known)
                self._reading.problem((*trail, "groups", index), message)
        wanted = tuple(name for name in dict.fromkeys(names) if name in self._groups)
        found = self._joined.get(wanted)
        if found is None:
            found = Share(_NONE, (), ())
            for name in wanted:
                found = found.joined(self._groups[name])
            self._joined[wanted] = found
        return found

    def _check_limits(self, trail: Trail, own: Share, added: Share) -> None:
        """Refuse two limits of one kind: they would count in the same counter."""
        every = own.limits + added.limits
        for index, limit in enumerate(every):
            twin = same_kind(limit, every[:index])
            if twin:
                message = f"{limit.place} limits what is limited already, in {twin.place}"
                self._reading.problem((*trail, "groups"), message)

    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each group that no bot joins."""
        joined = {name for keys in self._keys.values() for name in keys.groups}
        return tuple(
            f"{self._reading.place(('groups', name), at_key=True)} has no effect: no bot joins it"
            for name in self._groups
            if name not in joined
        )

    def tokens(self) -> tuple[Token, ...]:
        """Return the tokens whose digests stand in the file."""
        tokens: dict[bytes, Token] = {}
        for bot, keys in self._keys.items():
            for index, digest in enumerate(keys.tokens):
                trail: Trail = ("bots", bot, "tokens", index)
                if digest in tokens:
                    message = f"this token is pinned already, in {tokens[digest].origin}"
                    self._reading.problem(trail, message)
                    continue
                token_id, origin = f"pin_{digest.hex()[:12]}", self._reading.place(trail)
                tokens[digest] = Token(token_id, digest, bot, 0.0, origin=origin)
        return tuple(tokens.values())


def labels(reading: Reading, keys: FileKeys) -> Mapping[str, tuple[Limit, ...]]:
    """Return the limits of labels; each must be some bot's, or it would limit nothing."""
    used = {label for bot in reading.section("bots").values() for label in _labels_of(bot)}
    for name in keys.labels:
        if name not in used:
            message = "no bot has this label, so it limits nothing"
            reading.problem(("labels", name), message, at_key=True)
    entries = sound_entries(keys.labels)
    found = {
        name: limits(reading, ("labels", name, "limits"), one.limits)
        for name, one in entries.items()
    }
    return MappingProxyType(found)


def _labels_of(bot: object) -> Sequence[object]:
    """Return what a bot has for labels, sound or not."""
    found = bot.get("labels") if isinstance(bot, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else ()
