"""Slows whoever shows one wrong token after another, and says so once a minute."""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, Future

from gateway.core.errors import Deny
from gateway.core.guesses import FREE, SECONDS, Guesses
from gateway.exchange import Exchange

_LOG = logging.getLogger("gateway.slowing")


class Slowing:
    """Holds back the refusal of wrong tokens from an address that had too many of them.

    Only a refusal waits: a right token is never looked at twice, whatever address it is from.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._guesses = Guesses()

    def judge(self, x: Exchange, deny: Deny) -> tuple[Deny, Future[None] | None]:
        """Return the refusal to make, and what to wait for before it is made."""
        if deny.status != 401:
            return deny, None
        excess = self._guesses.wrong(x.address, x.started)
        if not excess:
            return deny, None
        if excess == 1:
            _LOG.warning("%s showed more than %d wrong tokens in a minute", x.address, FREE)
        pause: Future[None] = self._loop.create_future()
        self._loop.call_later(x.policy.snapshot.deadlines.wrong_token, _end, pause)
        return _TOO_MANY, pause


def _end(pause: Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)


_TOO_MANY = Deny(
    429,
    "too_many_wrong_tokens",
    f"The token is not one of this gateway's, and this address has shown more than {FREE} "
    f"such within {SECONDS:g} seconds; its wrong tokens are answered slowly",
    repeatable=False,
)
