"""What the journey asks of the two connections that an exchange runs between."""

from __future__ import annotations

from typing import Protocol


class BotSide(Protocol):
    """The bot's connection, while an exchange of its is under way."""

    address: str
    listener: str
    """Name of the listener it came in by, as in `Route.listener`."""
    write_paused: bool

    @property
    def will_close(self) -> bool:
        """Whether the connection ends with the answer under way."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes of the answer."""
        ...

    def invite_body(self) -> None:
        """Answer `Expect: 100-continue`."""
        ...

    def pause_reading(self) -> None:
        """Stop reading the request's body."""
        ...

    def resume_reading(self) -> None:
        """Read on."""
        ...

    def done(self, close: bool) -> None:
        """The answer is written whole."""
        ...

    def cut(self, framed: bool) -> None:
        """The answer cannot be completed."""
        ...

    def abort(self) -> None:
        """Break the connection at once; an exchange under way is told that the bot is gone."""
        ...


class ProviderSide(Protocol):
    """The provider's connection, while it carries an exchange."""

    def send(self, data: bytes) -> None:
        """Send more of the request's body, framed already."""
        ...

    def abandon(self) -> None:
        """Let go of the exchange and of the connection."""
        ...

    def pause_reading(self) -> None:
        """Stop reading the answer."""
        ...

    def resume_reading(self) -> None:
        """Read on."""
        ...
