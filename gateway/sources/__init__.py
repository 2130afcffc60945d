"""Where secrets come from: one file per source, named as a reference names it (`env:`, `file:`)."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """Gives the current value of a secret. Caching, deadlines and versions are the keyring's."""

    async def fetch(self, name: str) -> bytes:
        """Return the value, exact but for one trailing newline.

        Raises SecretUnavailable with what was wrong and never with the value. Must not block
        the loop: what has to wait on a disk or a network awaits it.
        """
        ...
