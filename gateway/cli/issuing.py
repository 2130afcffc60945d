"""How new tokens are made, and how they reach their bots: printed once, or in files."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from gateway.cli import envfile
from gateway.cli.durations import Duration
from gateway.cli.failures import Failed
from gateway.cli.output import as_json_option, dump, moment
from gateway.cli.place import State, url_option
from gateway.core import tokens
from gateway.core.model import Token


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token, and its text, which is kept nowhere."""

    token: Token
    text: str


def make(bot: str, shape: str, now: float, expires: float | None) -> Issued:
    """Return a new token for `bot` that ends `expires` seconds from `now`; never for None."""
    text = tokens.mint(secrets.token_bytes(32), shape)
    token_id = f"tok_{secrets.token_hex(6)}"
    ends = None if expires is None else now + expires
    digest = tokens.digest(text.encode())
    return Issued(Token(token_id, digest, bot, now, ends, shape=shape), text)


@dataclass(frozen=True, slots=True)
class Handover:
    """Where new tokens go: to files named by `out`, else to standard output."""

    expires: float | None
    out: str | None
    url: str | None
    as_json: bool

    def files(self, new: Sequence[Issued], state: State) -> dict[Path, str]:
        """Return the files that `out` asks for, with their text."""
        if self.out is None:
            return {}
        if len(new) > 1 and "{bot}" not in self.out:
            text = envfile.of_bots([(one.token.bot, one.text) for one in new])
            return {Path(self.out): text}
        files = {
            Path(self.out.replace("{bot}", one.token.bot)): envfile.of_bot(
                one.token.bot, one.text, state.snapshot, self.url
            )
            for one in new
        }
        if len(files) != len(new):
            raise Failed("two of these tokens would be written to the same file")
        return files

    def give(self, new: Sequence[Issued], state: State, store: Callable[[], None]) -> None:
        """Let `store` make the tokens valid, and show them.

        Files are written first: a token that nobody can read must not be valid.
        """
        files = self.files(new, state)
        with envfile.written(files):
            store()
        if self.as_json:
            dump([self._record(one) for one in new])
        elif files:
            click.echo(f"{len(new)} written to {', '.join(map(str, files))}", err=True)
        elif len(new) == 1:
            click.echo(new[0].text)  # alone, so that a script can take it
            click.echo(f"{new[0].token.id}, shown only this once", err=True)
        else:
            for one in new:
                click.echo(f"{one.token.bot} {one.text}")

    def _record(self, one: Issued) -> dict[str, str | None]:
        record = {
            "id": one.token.id,
            "bot": one.token.bot,
            "expires": moment(one.token.expires),
        }
        return {**record, "token": one.text} if self.out is None else record


def handing_over(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that new tokens need, and pass it the `handover`."""

    @click.option("--expires", type=Duration(), metavar="30d", help="When it ends; else never.")
    @click.option(
        "--out",
        metavar="FILE",
        help="Write environment variables into this new file instead of printing; {bot} in its "
        "name stands for the bot's, and gives each a file of its own.",
    )
    @url_option
    @as_json_option
    @wraps(command)
    def wrapped(
        *args: Any,  # noqa: ANN401 -- click's
        expires: float | None,
        out: str | None,
        url: str | None,
        as_json: bool,
        **options: Any,  # noqa: ANN401 -- click's
    ) -> None:
        command(*args, handover=Handover(expires, out, url, as_json), **options)

    return wrapped
