"""What the record says of an exchange."""

from __future__ import annotations

from gateway.audit import Record
from gateway.core.errors import Refused
from gateway.core.places import Outgoing, Path
from gateway.exchange import Exchange

_LONGEST = 512


def record_of(x: Exchange, now: float) -> Record:
    """Return the record of an exchange that is over. `now` is `perf_counter`'s."""
    secret = x.secret
    return Record(
        exchange=x.id,
        time=x.wall,
        bot=x.bot,
        token=x.token.id if x.token is not None else "",
        address=x.address,
        method=x.head.method.decode() if x.head is not None else "",
        route=x.route.name if x.route is not None else "",
        rule=x.rule,
        path=_path(x),
        subject=x.subject,
        secret=f"{secret.ref} {secret.version}" if secret is not None else "",
        status=x.status,
        outcome=_outcome(x),
        code=x.code,
        request_id=x.request_id,
        bytes_in=x.received,
        bytes_out=x.sent,
        first_byte=x.first_byte - x.started if x.first_byte else 0.0,
        seconds=now - x.started,
        attempts=x.attempts,
    )


def _outcome(x: Exchange) -> str:
    """`answered` whole, `cut` short, `gone` (the bot left), or `refused` by the gateway."""
    if not x.code:
        return "answered"
    if x.code == "client_gone":
        return "gone"
    return "cut" if x.answer is not None else "refused"


def _path(x: Exchange) -> str:
    """Return the path after the prefix, without its query and without a token in it.

    A path that no route takes may hold a token anywhere, so nothing is said of it.
    """
    if x.route is None:
        return ""
    path = x.path
    for place in x.route.tokens:
        if isinstance(place, Path):
            path = _masked(place, path)
    return path[:_LONGEST].decode("latin-1")


def _masked(place: Path, path: bytes) -> bytes:
    shown = Outgoing(path, None, (), [])
    try:
        place.put(shown, b"...")
    except Refused:
        return path
    return shown.path
