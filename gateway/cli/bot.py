"""`gateway bot`: who may do what, and when each was last seen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from gateway.cli.failures import Failed, explained
from gateway.cli.output import as_json_option, dump, moment, table
from gateway.cli.place import State, base_url, config_option, is_valid, state_of
from gateway.cli.token import record
from gateway.core.model import Bot, Snapshot
from gateway.stores.embedded import ListedToken


@click.group()
def bot() -> None:
    """Show the bots of the configuration."""


@bot.command("list")
@as_json_option
@config_option
def list_command(as_json: bool, config: Path) -> None:
    """List bots with their routes and how many valid tokens they have."""
    snapshot, listed = _known(config)
    records = [_summary(one, listed) for one in snapshot.bots.values()]
    if as_json:
        dump(records)
        return
    columns = ("bot", "labels", "routes", "tokens", "last_used")
    table(columns, [[_cell(one[column]) for column in columns] for one in records])


@bot.command()
@click.argument("name", metavar="BOT")
@as_json_option
@config_option
def show(name: str, as_json: bool, config: Path) -> None:
    """Show what BOT may use, by which rule, and its tokens."""
    snapshot, listed = _known(config)
    if name not in snapshot.bots:
        known = ", ".join(sorted(snapshot.bots)) or "none"
        raise Failed(f"there is no bot {name!r} in the configuration; bots are: {known}")
    one = snapshot.bots[name]
    rules: list[dict[str, str | None]] = [
        {
            "route": route,
            "base_url": base_url(snapshot, snapshot.routes[route].prefix),
            "upstream": str(snapshot.routes[route].origin),
            "rule": rule.place,
        }
        for route, rule in one.allow.items()
    ]
    now = time.time()
    tokens = [record(each, now) for each in listed if each.token.bot == name]
    if as_json:
        dump({"bot": name, "labels": one.labels, "allow": rules, "tokens": tokens})
        return
    click.echo(f"{name}  labels: {', '.join(one.labels) or '-'}\n")
    _section(("route", "base_url", "upstream", "rule"), rules)
    click.echo()
    _section(("id", "status", "expires", "last_used", "last_address", "origin"), tokens)


def _section(columns: Sequence[str], records: Sequence[Mapping[str, str | None]]) -> None:
    table(columns, [[_cell(one[column]) for column in columns] for one in records])


def _known(config: Path) -> tuple[Snapshot, list[ListedToken]]:
    state: State = state_of(config, None)
    assert state.snapshot is not None
    with explained():
        listed = state.listed()
    return state.snapshot, [*listed, *(ListedToken(one, None, None) for one in state.pinned())]


def _summary(one: Bot, listed: Sequence[ListedToken]) -> dict[str, object]:
    now = time.time()
    mine = [each for each in listed if each.token.bot == one.name]
    uses = [each.last_used for each in mine if each.last_used is not None]
    return {
        "bot": one.name,
        "labels": list(one.labels),
        "routes": list(one.allow),
        "tokens": sum(1 for each in mine if is_valid(each.token, now)),
        "last_used": moment(max(uses, default=None)),
    }


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(value) or "-"
    return "-" if value is None else str(value)
