"""Step 4: whether this bot may do this, from here, now. What no rule allows is refused."""

from __future__ import annotations

from gateway.bodies import Bodies
from gateway.core.clients import Client, denied
from gateway.core.errors import Deny, Refused
from gateway.core.fields import FormScan, Reading, Said, merged
from gateway.core.places import Outgoing
from gateway.core.request import Learnt
from gateway.core.scope import Outlook
from gateway.cuts import FROZEN
from gateway.exchange import Exchange
from gateway.standing import Standing
from gateway.stores import Store

_REPLAY = 65_536
_LONGEST = 128  # characters of what is noted as an exchange's subject
_NOTED = 1.0  # seconds in which one use of a token under the same head is like another


class Admission:
    """Judges exchanges. What follows from a head alone is worked out once for all alike."""

    def __init__(self, store: Store, bodies: Bodies) -> None:
        self._store = store
        self._bodies = bodies

    def admit(self, x: Exchange) -> bool:
        """Judge by the head; return whether the body must be read to decide the rest."""
        learnt = x.head.learnt
        standing = learnt.standing
        if standing is None or standing.bot.name != x.bot:
            standing = _stand(x, learnt)
        x.standing = standing
        if self._store.freezes and not standing.freezes.isdisjoint(self._store.freezes):
            raise Refused(FROZEN)
        if learnt.stranger is not None:
            object_to(x, learnt.stranger)
        if x.wall >= learnt.noted:
            learnt.noted = x.wall + _NOTED
            self._store.used(x.token.id, x.address, x.wall)
        outlook = learnt.outlook
        if outlook.reader is not None:
            return self._ask(x, learnt)
        if outlook.rule is not None:
            x.rule = outlook.rule.place
        if outlook.deny is not None:
            if standing.scope is None:  # a route that the bot was never given stays shut
                raise Refused(outlook.deny)
            object_to(x, outlook.deny)
        self.note_subject(x)
        return False

    def _ask(self, x: Exchange, learnt: Learnt) -> bool:
        """Decide by what the request is about, as far as that is at hand; else return True."""
        direct = learnt.direct
        if direct is not None and x.complete and 0 < x.received <= x.policy.at_hand:
            try:
                more = direct(b"".join(x.parts))
            except Refused as refused:
                _unread(x, refused.deny)
            else:
                self._decide(x, merged(learnt.said, more) if learnt.said else more)
            return False
        said, reading = learnt.said, learnt.reading
        if isinstance(said, Deny):
            _unread(x, said)
        elif reading is None or (x.complete and not x.received):
            self._decide(x, said)
        elif isinstance(reading, Deny):
            _unread(x, reading)
        else:
            return True
        return False

    async def judge(self, x: Exchange, outgoing: Outgoing) -> None:
        """Read as much of the body as the rules need, and decide by it.

        A body that was read whole is the one that is sent: `outgoing.body`.
        """
        learnt = x.head.learnt
        try:
            if learnt.reading.streams:
                more = await self._scanned(x, learnt.reading.scan(), outgoing)
            else:
                if outgoing.body is None:
                    outgoing.body = await self._bodies.whole(x)
                more = await self._bodies.read(learnt.reading, outgoing.body)
        except Refused as refused:
            x.watch = None
            _unread(x, refused.deny)
        else:
            self._decide(x, merged(learnt.said, more) if learnt.said else more)

    async def _scanned(self, x: Exchange, scan: FormScan, outgoing: Outgoing) -> Said:
        if outgoing.body is None:
            await self._bodies.beginning(x, scan)
        else:
            scan.feed(outgoing.body, ended=True)
        return scan.said()

    def _decide(self, x: Exchange, said: Said) -> None:
        learnt = x.head.learnt
        if said is learnt.passed:  # the very same as last time, under the same head
            x.subject, x.rule = learnt.passed_as
            return
        for values in said.values():
            x.subject = values[0] if len(values) == 1 else ", ".join(values)[:_LONGEST]
            break
        rule, deny = learnt.outlook.decide(said)
        x.rule = rule.place
        if deny is not None:
            object_to(x, deny)
        else:
            learnt.passed, learnt.passed_as = said, (x.subject, x.rule)

    def note_subject(self, x: Exchange) -> None:
        """Note what the request is about, as far as its body is at hand."""
        finder = x.policy.subjects.get(x.route.name)
        if finder is not None:
            body = b"".join(x.parts) if x.complete and x.received <= _REPLAY else b""
            x.subject = finder.find(x.path, x.query, x.head.content_type, body)


def _unread(x: Exchange, deny: Deny) -> None:
    """Object to what cannot be read, by the rule that asked for it."""
    x.rule = x.head.learnt.outlook.rule.place
    object_to(x, deny)


def object_to(x: Exchange, deny: Deny) -> None:
    """Refuse; or where the bot or the route is only observed, note what would have been refused."""
    if x.standing is None or not x.standing.observe or deny.code in _HELD:
        raise Refused(deny)
    x.observed = x.observed or deny.code


def _stand(x: Exchange, learnt: Learnt) -> Standing:
    """Work out what the head alone decides for this bot."""
    standing = x.policy.standing(x.bot, x.route)
    if standing is None:
        raise Refused(Deny(403, "bot_unknown", f"There is no bot {x.bot} any more"))
    learnt.passed = learnt.direct = None
    client = learnt.client
    if isinstance(client, Client):
        learnt.stranger = denied(client, x.policy.addresses, standing.addresses)
    else:
        learnt.stranger = client
    if standing.scope is None:
        reason = f"Bot {x.bot} has no rule that allows route {x.route.name}"
        learnt.outlook = Outlook(None, Deny(403, "route_not_allowed", reason), None)
    else:
        learnt.outlook = standing.scope.look(x.head.method, x.path)
        learnt.said, reading = _readings(x, learnt.outlook)
        learnt.reading = reading
        if isinstance(reading, Reading) and not reading.streams:
            learnt.direct = reading.read
    learnt.standing = standing
    return standing


def _readings(x: Exchange, outlook: Outlook) -> tuple[Said | Deny, Reading | Deny | None]:
    """Return what the head says of subjects, and how the body is read, if it can say more."""
    reader, path = outlook.reader, outlook.path
    if reader is None:
        return {}, None
    try:
        said = reader.head(path, x.query)
    except Refused as refused:
        return refused.deny, None
    if not reader.wants_body(path):
        return said, None
    try:
        return said, reader.reading(path, x.head.content_type, x.head.encoding)
    except Refused as refused:
        return said, refused.deny


# What leads the bot past the gateway is no rule to be tried out.
_HELD = frozenset({"not_carried"})
