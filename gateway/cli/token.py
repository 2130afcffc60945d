"""`gateway token`: the tokens of bots, in the state directory that a gateway runs on."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import click

from gateway.cli.durations import Duration
from gateway.cli.failures import Failed, explained
from gateway.cli.issuing import Handover, handing_over, make
from gateway.cli.output import as_json_option, dump, moment, table
from gateway.cli.place import State, is_valid, with_state
from gateway.config.values import name
from gateway.core import tokens
from gateway.core.model import Token
from gateway.stores.embedded import ListedToken

_COLUMNS = (
    "id",
    "bot",
    "status",
    "shape",
    "created",
    "expires",
    "last_used",
    "last_address",
    "origin",
)


@click.group()
def token() -> None:
    """Issue, rotate, list and revoke the tokens of bots.

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
@click.option(
    "--overlap",
    type=Duration(least=0),
    metavar="1h",
    help="When the bot's older tokens end, 0s for at once; else they stay as they are.",
)
@handing_over
@with_state
def issue(
    bots: tuple[str, ...], shape: str, overlap: float | None, handover: Handover, state: State
) -> None:
    """Issue a token to each BOT and show it, once."""
    wanted = tuple(dict.fromkeys(bots))
    _check_bots(wanted, state)
    now = time.time()
    until = None if overlap is None else now + overlap
    new = [make(bot, shape, now, handover.expires) for bot in wanted]
    with explained():
        older = [token for token in _valid(state, now) if token.bot in wanted]
        handover.give(new, state, lambda: state.store().issue([one.token for one in new], until))
    if until is not None:
        _tell_end(older, until)
        _tell_pinned(wanted, state)


def _check_bots(bots: Sequence[str], state: State) -> None:
    for bot in bots:
        if state.snapshot is None:
            _check_name(bot)
        elif bot not in state.snapshot.bots:
            listed = ", ".join(sorted(state.snapshot.bots)) or "none"
            raise Failed(f"there is no bot {bot!r} in the configuration; bots are: {listed}")


def _check_name(bot: str) -> None:
    """Refuse a name that no configuration can have."""
    try:
        name(bot)
    except ValueError as exc:
        raise Failed(f"{bot!r} is no bot's name: {exc}") from exc


@token.command()
@click.argument("which", nargs=-1, required=True, metavar="BOT|ID...")
@click.option(
    "--overlap",
    type=Duration(least=0),
    default="24h",
    show_default=True,
    help="When the old tokens end, 0s for at once.",
)
@handing_over
@with_state
def rotate(which: tuple[str, ...], overlap: float, handover: Handover, state: State) -> None:
    """Replace tokens: one of the same shape is issued, and the old one ends a while later.

    A BOT gets one token, like its newest, for all of its old ones. An ID (as `token list` shows
    it) stands for that token alone.
    """
    now = time.time()
    until = now + overlap
    with explained():
        replaced = _replaced(tuple(dict.fromkeys(which)), _valid(state, now), state)
        _check_bots([old[-1].bot for old in replaced], state)
        new = [make(old[-1].bot, old[-1].shape, now, handover.expires) for old in replaced]
        handover.give(new, state, lambda: state.store().issue([one.token for one in new]))
        # Only now: without an end the old ones go on opening, which is better than nothing does.
        ended = [token for old in replaced for token in old]
        _end(state, ended, until)
    _tell_end(ended, until)
    _tell_shapes(replaced)
    _tell_pinned(which, state)


def _replaced(which: Sequence[str], valid: Sequence[Token], state: State) -> list[list[Token]]:
    """Return the valid tokens that each of `which` stands for, oldest first."""
    found = []
    for one in which:
        old = [token for token in valid if one in (token.id, token.bot)]
        if not old:
            _check_pinned(one, state)
            raise Failed(f"there is no valid token {one!r}, nor a bot of that name that has one")
        found.append(old)
    ids = [token.id for old in found for token in old]
    if len(ids) != len(set(ids)):
        raise Failed("give a bot or the ID of a token of it, not both")
    return found


def _end(state: State, old: Sequence[Token], until: float) -> None:
    """Let these tokens end at `until`, and no other of their bots."""
    store = state.store()
    ids = {token.id for token in old}
    kept = [one.token for one in store.list_tokens() if one.token.id not in ids]
    for bot in {token.bot for token in old}:
        store.expire(bot, until, but=[token.id for token in kept if token.bot == bot])


def _tell_end(old: Sequence[Token], until: float) -> None:
    late = sum(1 for token in old if token.expires is None or token.expires > until)
    if late:
        click.echo(f"older tokens, now valid until {moment(until)}: {late}", err=True)
    if len(old) > late:
        click.echo(f"older tokens that end sooner by themselves: {len(old) - late}", err=True)


def _tell_shapes(replaced: Sequence[Sequence[Token]]) -> None:
    """Say which shapes a bot had tokens of and gets none: an SDK may want just that one."""
    for old in replaced:
        newest = old[-1]
        for shape in sorted({token.shape for token in old} - {newest.shape}):
            command = f"gateway token issue {newest.bot} --shape {shape}"
            click.echo(f"no new token of shape {shape} was made; for one: {command}", err=True)


def _tell_pinned(bots: Collection[str], state: State) -> None:
    """Say what a command on the store cannot end."""
    still = sum(1 for pinned in state.pinned() if pinned.bot in bots)
    if still:
        click.echo(f"{still} more pinned in the configuration stay valid", err=True)


def _check_pinned(token_id: str, state: State) -> None:
    for pinned in state.pinned():
        if pinned.id == token_id:
            raise Failed(f"this token is pinned in the configuration: {pinned.origin}")


def _valid(state: State, now: float) -> list[Token]:
    return [one.token for one in state.listed() if is_valid(one.token, now)]


@token.command("list")
@click.option("--bot", help="Only the tokens of this bot.")
@as_json_option
@with_state
def list_command(bot: str | None, as_json: bool, state: State) -> None:
    """List tokens, revoked and expired ones too; never the tokens themselves."""
    with explained():
        listed = every(state)
    now = time.time()
    records = [record(one, now) for one in listed if bot in (None, one.token.bot)]
    if as_json:
        dump(records)
        return
    table(_COLUMNS, [[one[column] or "-" for column in _COLUMNS] for one in records])


def every(state: State) -> list[ListedToken]:
    """Return the tokens of the store, and those pinned in the configuration."""
    return [*state.listed(), *(ListedToken(one, None, None) for one in state.pinned())]


def record(listed: ListedToken, now: float) -> dict[str, str | None]:
    """Return what a listing says about one token."""
    token = listed.token
    is_stored = token.origin == "store"
    return {
        "id": token.id,
        "bot": token.bot,
        "status": status(token, now),
        "shape": token.shape if is_stored else None,
        "created": moment(token.created) if is_stored else None,
        "expires": moment(token.expires),
        "revoked": moment(token.revoked),
        "last_used": moment(listed.last_used),
        "last_address": listed.last_address,
        "origin": token.origin,
    }


def status(token: Token, now: float) -> str:
    """Return `valid`, `expired` or `revoked`."""
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
    _check_pinned(token_id or "", state)
    with explained():
        count = _revoke(state, token_id, bot)
    _tell_pinned([bot] if bot else (), state)
    if not count:
        raise Failed("no valid token matches")
    click.echo(f"{count} revoked")


def _revoke(state: State, token_id: str | None, bot: str | None) -> int:
    if not state.exists():
        return 0
    if bot is not None:
        return state.store().revoke_bot(bot, time.time())
    return state.store().revoke(token_id or "", time.time())
