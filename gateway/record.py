"""What the record says of an exchange."""

from __future__ import annotations

from contextlib import suppress

from gateway.audit import Record
from gateway.core.errors import Refused
from gateway.core.model import Route
from gateway.core.places import Outgoing
from gateway.core.tokens import looks_minted
from gateway.exchange import NOBODY, Exchange

_LONGEST = 512


def record_of(x: Exchange, now: float) -> Record:
    """Return the record of an exchange that is over. `now` is `perf_counter`'s."""
    route, secret = x.route, x.secret
    return Record(  # by position, in Record's order: this runs once per exchange
        x.id,
        x.wall,
        x.bot,
        x.token.id,
        x.address,
        x.found,
        x.head.method.decode(),
        route.name,
        x.rule,
        _path(route, x.path, known=x.token is not NOBODY),
        x.subject if "gwt" not in x.subject else _subject(x.subject),
        secret.label if secret is not None else "",
        x.status,
        _outcome(x) if x.code else "answered",
        x.code,
        x.observed,
        x.request_id,
        x.received,
        x.sent,
        x.first_byte - x.started if x.first_byte else 0.0,
        now - x.started,
        x.attempts,
    )


def _subject(text: str) -> str:
    """Return what a request is about, without a token that was put there."""
    return ", ".join("..." if looks_minted(one) else one for one in text.split(", "))


def _outcome(x: Exchange) -> str:
    """`answered` whole, `cut` short, `gone` (the bot left), or `refused` by the gateway."""
    if x.code == "client_gone":
        return "gone"
    return "cut" if x.answer is not None else "refused"


def _path(route: Route, path: bytes, known: bool) -> str:
    """Return the path after the prefix, without its query and without a token in it.

    A path that no route takes may hold a token anywhere, so nothing is said of it; nor where no
    token was `known`, unless one stood where this route looks for it in the path.
    """
    if not known and not any(place.find(Outgoing(path, None, (), [])) for place in route.in_path):
        return ""
    for place in route.in_path:
        shown = Outgoing(path, None, (), [])
        with suppress(Refused):  # the path does not begin as this place does
            place.put(shown, b"...")
        path = shown.path
    return path[:_LONGEST].decode("latin-1")
