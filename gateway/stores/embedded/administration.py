"""What other processes (the command line) do to the store of a gateway that may be running."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.core.model import Freeze, Token
from gateway.stores.embedded.file import connection, transaction

_ISSUE = """
    INSERT INTO tokens (id, digest, bot, created, expires, revoked, shape)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_EXPIRE = """
    UPDATE tokens SET expires = :at
    WHERE bot = :bot AND revoked IS NULL AND (expires IS NULL OR expires > :at)
"""
_LIST = """
    SELECT id, digest, bot, created, expires, revoked, shape, at, address
    FROM tokens LEFT JOIN uses ON token = id ORDER BY created, id
"""


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A token as an operator sees it: with its last use, as far as that was written yet."""

    token: Token
    last_used: float | None
    last_address: str | None


class Administration:
    """Tokens and freezes in the file. Times are Unix seconds.

    Everything blocks, and raises GatewayError where the file cannot be used. A running gateway
    sees every change within its next poll.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def issue(self, tokens: Sequence[Token], until: float | None = None) -> None:
        """Add tokens, all or none; `until` is when the older ones of their bots end at the latest.

        Raises GatewayError where an id or a digest is there already.
        """
        rows = [(t.id, t.digest, t.bot, t.created, t.expires, t.revoked, t.shape) for t in tokens]
        with connection(self._directory) as opened, transaction(opened):
            if until is not None:
                older = [{"bot": bot, "at": until} for bot in {token.bot for token in tokens}]
                opened.executemany(_EXPIRE, older)
            try:
                opened.executemany(_ISSUE, rows)
            except sqlite3.IntegrityError:
                reason = "a token with this id or digest is in the store already"
                raise GatewayError(409, "token_exists", reason) from None

    def expire(self, bot: str, at: float, but: Collection[str] = ()) -> int:
        """Let a bot's tokens end at `at` at the latest, but those with the ids `but`.

        Returns how many were to end later, or never.
        """
        kept = ", ".join(f":kept{number}" for number in range(len(but)))
        names = {f"kept{number}": name for number, name in enumerate(but)}
        with connection(self._directory) as opened:
            update = f"{_EXPIRE} AND id NOT IN ({kept})"  # the text holds names of parameters only
            return opened.execute(update, {"bot": bot, "at": at, **names}).rowcount

    def list_tokens(self) -> list[ListedToken]:
        """Return every token that was ever issued, revoked ones too, oldest first."""
        with connection(self._directory) as opened:
            rows = opened.execute(_LIST).fetchall()
        return [ListedToken(replace(Token(*row[:6]), shape=row[6]), *row[7:]) for row in rows]

    def revoke(self, token_id: str, now: float) -> int:
        """Revoke one token. Return how many were valid until now: 0 or 1."""
        return self._revoke("id", token_id, now)

    def revoke_bot(self, bot: str, now: float) -> int:
        """Revoke every token of a bot. Return how many were valid until now."""
        return self._revoke("bot", bot, now)

    def _revoke(self, column: str, value: str, now: float) -> int:
        update = f"UPDATE tokens SET revoked = ? WHERE {column} = ? AND revoked IS NULL"  # noqa: S608 -- one of two literals
        with connection(self._directory) as opened:
            return opened.execute(update, (now, value)).rowcount

    def freeze(self, freezes: Iterable[Freeze], now: float) -> int:
        """Stop what `freezes` name. Return how many were not frozen yet."""
        rows = [(one.kind, one.name, now) for one in freezes]
        return self._change("INSERT INTO freezes VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)

    def unfreeze(self, freezes: Iterable[Freeze]) -> int:
        """Let go what `freezes` name. Return how many were frozen."""
        rows = [(one.kind, one.name) for one in freezes]
        return self._change("DELETE FROM freezes WHERE kind = ? AND name = ?", rows)

    def _change(self, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
        with connection(self._directory) as opened, transaction(opened):
            return opened.executemany(statement, rows).rowcount if rows else 0

    def list_freezes(self) -> list[tuple[Freeze, float]]:
        """Return what is frozen and since when, oldest first."""
        with connection(self._directory) as opened:
            rows = opened.execute("SELECT kind, name, at FROM freezes ORDER BY at, kind, name")
            return [(Freeze(kind, name), at) for kind, name, at in rows]
