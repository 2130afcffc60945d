"""`gateway token`: issue, list and revoke what bots show to the gateway."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from gateway.cli.failures import Failed, explained
from gateway.cli.output import as_json_option, dump, moment, table
from gateway.cli.place import State, is_valid, with_state
from gateway.core import tokens
from gateway.core.model import Token
from gateway.stores.embedded import ListedToken

_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Duration(click.ParamType[float]):
    """`30d`, `12h`: how long something lasts, in seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds."""
        match = _DURATION.fullmatch(str(value))
        if not match or not 0 < int(match[1]) * _SECONDS[match[2]] <= 100 * 365 * 86_400:
            self.fail("write a number with s, m, h, d or w, such as 30d", param, ctx)
        return float(int(match[1]) * _SECONDS[match[2]])


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token, and its text, which is kept nowhere."""

    token: Token
    text: str


@click.group()
def token() -> None:
    """Issue, list and revoke the tokens of bots.

    A running gateway sees every change within a second. Of a token, only a digest is kept.
    """


@token.command()
@click.argument("bots", nargs=-1, required=True, metavar="BOT...")
@click.option(
    "--shape",
    type=click.Choice(tokens.SHAPES),
    default="plain",
    show_default=True,
    help="How the token looks; some SDKs check that.",
)
@click.option("--expires", type=Duration(), metavar="30d", help="When it ends; never by default.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write GATEWAY_TOKEN_<BOT>=... lines into this new file instead of printing.",
)
@as_json_option
@with_state
def issue(
    bots: tuple[str, ...],
    shape: str,
    expires: float | None,
    out: Path | None,
    as_json: bool,
    state: State,
) -> None:
    """Issue a token to each BOT and show it, once."""
    wanted = tuple(dict.fromkeys(bots))
    _check_bots(wanted, state)
    now = time.time()
    fresh = [_mint(bot, shape, now, expires) for bot in wanted]
    with explained():
        if out is not None:
            _issue_into(out, fresh, state)
        else:
            _store(fresh, state)
    _show(fresh, out, as_json=as_json)


def _check_bots(bots: Sequence[str], state: State) -> None:
    if state.snapshot is None:
        return
    known = state.snapshot.bots
    for bot in bots:
        if bot not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise Failed(f"there is no bot {bot!r} in the configuration; bots are: {listed}")


def _mint(bot: str, shape: str, now: float, expires: float | None) -> Issued:
    text = tokens.mint(secrets.token_bytes(32), shape)
    token_id = f"tok_{secrets.token_hex(6)}"
    ends = None if expires is None else now + expires
    return Issued(Token(token_id, tokens.digest(text.encode()), bot, now, ends), text)


def _store(fresh: Sequence[Issued], state: State) -> None:
    store = state.store()
    for one in fresh:
        store.issue(one.token)


def _issue_into(out: Path, fresh: Sequence[Issued], state: State) -> None:
    """Write the file first: a token that nobody can read must not be valid."""
    lines = {_variable(one.token.bot): one.text for one in fresh}
    if len(lines) != len(fresh):
        raise Failed("two of these bots would have the same variable in the file")
    try:
        descriptor = os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{name}={text}\n" for name, text in lines.items())
    except OSError as exc:
        raise Failed(f"{out} cannot be written: {exc.strerror}") from exc
    try:
        _store(fresh, state)
    except BaseException:
        out.unlink()
        raise


def _variable(bot: str) -> str:
    return "GATEWAY_TOKEN_" + re.sub(r"[^A-Z0-9]", "_", bot.upper())


def _show(fresh: Sequence[Issued], out: Path | None, *, as_json: bool) -> None:
    if as_json:
        dump([_issued_record(one, is_shown=out is None) for one in fresh])
    elif out is not None:
        click.echo(f"{len(fresh)} written to {out}", err=True)
    elif len(fresh) == 1:
        click.echo(fresh[0].text)  # alone, so that a script can take it
        click.echo(f"{fresh[0].token.id}, shown only this once", err=True)
    else:
        for one in fresh:
            click.echo(f"{one.token.bot} {one.text}")


def _issued_record(one: Issued, *, is_shown: bool) -> dict[str, str | None]:
    record = {
        "id": one.token.id,
        "bot": one.token.bot,
        "expires": moment(one.token.expires),
    }
    return {**record, "token": one.text} if is_shown else record


@token.command("list")
@click.option("--bot", help="Only the tokens of this bot.")
@as_json_option
@with_state
def list_command(bot: str | None, as_json: bool, state: State) -> None:
    """List tokens, revoked and expired ones too; never the tokens themselves."""
    with explained():
        listed = [*state.listed(), *(ListedToken(one, None, None) for one in state.pinned())]
    now = time.time()
    records = [record(one, now) for one in listed if bot in (None, one.token.bot)]
    if as_json:
        dump(records)
        return
    columns = ("id", "bot", "status", "created", "expires", "last_used", "last_address", "origin")
    table(columns, [[one[column] or "-" for column in columns] for one in records])


def record(listed: ListedToken, now: float) -> dict[str, str | None]:
    """Return what a listing says about one token."""
    token = listed.token
    return {
        "id": token.id,
        "bot": token.bot,
        "status": _status(token, now),
        "created": moment(token.created) if token.created else None,
        "expires": moment(token.expires),
        "revoked": moment(token.revoked),
        "last_used": moment(listed.last_used),
        "last_address": listed.last_address,
        "origin": token.origin,
    }


def _status(token: Token, now: float) -> str:
    if is_valid(token, now):
        return "valid"
    return "expired" if token.revoked is None else "revoked"


@token.command()
@click.argument("token_id", required=False, metavar="[ID]")
@click.option("--bot", help="Revoke every token of this bot.")
@with_state
def revoke(token_id: str | None, bot: str | None, state: State) -> None:
    """Revoke the token ID (as `token list` shows it), or all of a bot's."""
    if (token_id is None) == (bot is None):
        raise click.UsageError("give either the ID of a token or --bot")
    for pinned in state.pinned():
        if pinned.id == token_id:
            raise Failed(f"this token is pinned in the configuration: {pinned.origin}")
    with explained():
        count = _revoke(state, token_id, bot)
    still = sum(1 for pinned in state.pinned() if pinned.bot == bot)
    if still:
        click.echo(f"{still} more pinned in the configuration stay valid", err=True)
    if not count:
        raise Failed("no valid token matches")
    click.echo(f"{count} revoked")


def _revoke(state: State, token_id: str | None, bot: str | None) -> int:
    if not state.listed():
        return 0
    if bot is not None:
        return state.store().revoke_bot(bot, time.time())
    return state.store().revoke(token_id or "", time.time())
