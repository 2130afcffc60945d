"""What may read or change an answer's body on its way to the bot."""

from __future__ import annotations

from typing import Protocol


class Tap(Protocol):
    """Sees the body piece by piece, after de-framing. No tap: the bytes pass untouched.

    A tap may hold back a partial match, and must then give it in `end`.
    """

    def feed(self, data: bytes) -> bytes:
        """Return what goes on of `data` and of what was held back."""
        ...

    def end(self) -> bytes:
        """Return what was held back, now that the body is whole."""
        ...
