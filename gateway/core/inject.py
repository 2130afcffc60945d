"""Put the real key into an outgoing request: the one place of the request path that reveals it."""

from __future__ import annotations

from gateway.core.places import Outgoing, Place
from gateway.core.secret import Secret


def inject(outgoing: Outgoing, places: tuple[Place, ...], secret: Secret) -> None:
    """Write `secret` in each of `places`, and nowhere else.

    Raises GatewayError (400) where a place cannot be written unambiguously.
    """
    value = secret.reveal()
    for place in places:
        place.put(outgoing, value)
