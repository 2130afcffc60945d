"""Refusals and failures: each knows its status, its stable code and one sentence for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deny:
    """A refusal as a value. `reason` is read by the bot's operator: no secret, no other bot in it.

    `retry_after` is in seconds and given only where it is exact. `repeatable` tells an SDK
    whether sending the same request again can help and is safe; None leaves it to the status.
    """

    status: int
    code: str
    reason: str
    retry_after: float | None = None
    repeatable: bool | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """What else the answer says, whatever its shape."""


class Refused(Exception):
    """A `Deny` on its way up to the one place that turns it into an answer."""

    def __init__(self, deny: Deny) -> None:
        super().__init__(f"{deny.code}: {deny.reason}")
        self.deny = deny


class GatewayError(Refused):
    """A failure that knows what a bot is told. Details belong in the log, never in `reason`."""

    def __init__(self, status: int, code: str, reason: str, *, repeatable: bool = False) -> None:
        super().__init__(Deny(status, code, reason, repeatable=repeatable))


class SecretUnavailable(GatewayError):
    """A source did not give the secret. `why` says what was wrong and holds no value."""

    def __init__(self, why: str) -> None:
        super().__init__(503, "secret_unavailable", why, repeatable=True)
