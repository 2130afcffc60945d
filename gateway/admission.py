"""Step 4: whether this bot may do this, from here, now. What no rule allows is refused."""

from __future__ import annotations

from gateway.bodies import Bodies
from gateway.core.clients import Client, denied
from gateway.core.errors import Deny, Refused
from gateway.core.fields import Said, merged
from gateway.core.places import Outgoing
from gateway.core.request import Learnt
from gateway.core.scope import Outlook
from gateway.exchange import Exchange
from gateway.standing import Standing
from gateway.stores import Store

_REPLAY = 65_536


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
            raise Refused(_FROZEN)
        if learnt.stranger is not None:
            object_to(x, learnt.stranger)
        outlook = learnt.outlook
        if outlook.rule is not None:
            x.rule = outlook.rule.place
        if outlook.deny is not None:
            if standing.scope is None:  # a route that the bot was never given stays shut
                raise Refused(outlook.deny)
            object_to(x, outlook.deny)
        self._store.used(x.token.id, x.address, x.wall)
        if outlook.reader is not None:
            return self._needs_body(x, learnt)
        self.note_subject(x)
        return False

    def _needs_body(self, x: Exchange, learnt: Learnt) -> bool:
        """Say what the head says, and decide by that where there is no body to ask."""
        if isinstance(learnt.said, Deny):
            object_to(x, learnt.said)
            return False
        outlook = learnt.outlook
        if x.head.has_body and outlook.reader.wants_body(outlook.path):
            return True
        self._decide(x, learnt.said)
        return False

    async def judge(self, x: Exchange, outgoing: Outgoing) -> None:
        """Read as much of the body as the rules need, and decide by it.

        A body that was read whole is the one that is sent: `outgoing.body`.
        """
        try:
            outlook = x.head.learnt.outlook
            peek = outlook.reader.peek(outlook.path, x.head.content_type, x.head.encoding)
            if outgoing.body is None and peek.whole:
                outgoing.body = await self._bodies.whole(x)
            if outgoing.body is not None:
                peek.feed(outgoing.body, ended=True)
            else:
                await self._bodies.beginning(x, peek)
            self._decide(x, merged(x.head.learnt.said, peek.said()))
        except Refused as refused:
            x.watch = None
            object_to(x, refused.deny)

    def _decide(self, x: Exchange, said: Said) -> None:
        x.subject = next((values[0] for values in said.values() if values), "")
        rule, deny = x.head.learnt.outlook.decide(said)
        x.rule = rule.place
        if deny is not None:
            object_to(x, deny)

    def note_subject(self, x: Exchange) -> None:
        """Note what the request is about, as far as its body is at hand."""
        finder = x.policy.subjects.get(x.route.name)
        if finder is not None:
            body = b"".join(x.parts) if x.complete and x.received <= _REPLAY else b""
            x.subject = finder.find(x.path, x.query, x.head.content_type, body)


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
    client = learnt.client
    if isinstance(client, Client):
        learnt.stranger = denied(client, x.policy.addresses, standing.addresses)
    else:
        learnt.stranger = client
    learnt.said = None
    if standing.scope is None:
        reason = f"Bot {x.bot} has no rule that allows route {x.route.name}"
        learnt.outlook = Outlook(None, Deny(403, "route_not_allowed", reason), None)
    else:
        learnt.outlook = outlook = standing.scope.look(x.head.method, x.path)
        if outlook.reader is not None:
            try:
                learnt.said = outlook.reader.head(outlook.path, x.query)
            except Refused as refused:
                learnt.said = refused.deny
    learnt.standing = standing
    return standing


# What leads the bot past the gateway is no rule to be tried out.
_HELD = frozenset({"not_carried"})
_FROZEN = Deny(403, "frozen", "The operator has frozen this bot or route for now", repeatable=False)
