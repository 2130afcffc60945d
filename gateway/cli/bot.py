"""`gateway bot`: who may do what, when each was last seen, and who is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from gateway.cli.effective import worded
from gateway.cli.failures import Failed, explained
from gateway.cli.freezing import freeze, unfreeze, words
from gateway.cli.output import as_json_option, dump, moment, ruled, table
from gateway.cli.place import base_url, config_option, is_valid, state_of
from gateway.cli.token import every, record
from gateway.core.model import Bot, Freeze, Snapshot
from gateway.stores.embedded import ListedToken


@click.group(commands=(freeze, unfreeze))
def bot() -> None:
    """Show the bots of the configuration, and stop them."""


@bot.command("list")
@as_json_option
@config_option
def list_command(as_json: bool, config: Path) -> None:
    """List bots with their routes, how many valid tokens they have, and what is frozen."""
    snapshot, listed, freezes = _known(config)
    records = [_summary(one, listed, freezes) for one in snapshot.bots.values()]
    if as_json:
        dump(records)
        return
    _section(("bot", "labels", "routes", "tokens", "last_used", "frozen"), records)
    for one, since in sorted(freezes.items()):
        click.echo(f"{words(one)} is frozen since {moment(since)}", err=True)


@bot.command()
@click.argument("name", metavar="BOT")
@as_json_option
@config_option
def show(name: str, as_json: bool, config: Path) -> None:
    """Show what BOT may use, by which rule, its limits and its tokens."""
    snapshot, listed, freezes = _known(config)
    if name not in snapshot.bots:
        known = ", ".join(sorted(snapshot.bots)) or "none"
        raise Failed(f"there is no bot {name!r} in the configuration; bots are: {known}")
    one = snapshot.bots[name]
    rules = list(_rules(one, snapshot))
    now = time.time()
    tokens = [record(each, now) for each in listed if each.token.bot == name]
    about = {
        "bot": name,
        "labels": list(one.labels),
        "frozen": _frozen(one, freezes),
        "mode": "observe" if one.observe else "enforce",
        "addresses": [str(network) for network in one.addresses],
        "limits": [worded(limit) for limit in one.limits],
    }
    if as_json:
        dump({**about, "allow": rules, "tokens": tokens})
        return
    for key, value in about.items():
        click.echo(f"{key}: {_cell(value)}")
    click.echo()
    _section(("route", "allows", "base_url", "upstream", "rule"), rules)
    click.echo()
    _section(("id", "status", "expires", "last_used", "last_address", "origin"), tokens)


def _rules(one: Bot, snapshot: Snapshot) -> Iterator[dict[str, str]]:
    for name, rules in one.allow.items():
        route = snapshot.routes[name]
        for rule in rules:
            yield {
                "route": name,
                "base_url": base_url(snapshot, route),
                "upstream": str(route.origin),
                "allows": ruled(rule),
                "rule": rule.place,
            }


def _section(columns: Sequence[str], records: Sequence[Mapping[str, object]]) -> None:
    table(columns, [[_cell(one[column]) for column in columns] for one in records])


def _known(config: Path) -> tuple[Snapshot, list[ListedToken], dict[Freeze, float]]:
    state = state_of(config, None)
    assert state.snapshot is not None
    with explained():
        return state.snapshot, every(state), state.freezes()


def _summary(
    one: Bot, listed: Sequence[ListedToken], freezes: Mapping[Freeze, float]
) -> dict[str, object]:
    now = time.time()
    mine = [each for each in listed if each.token.bot == one.name]
    uses = [each.last_used for each in mine if each.last_used is not None]
    return {
        "bot": one.name,
        "labels": list(one.labels),
        "routes": list(one.allow),
        "tokens": sum(1 for each in mine if is_valid(each.token, now)),
        "last_used": moment(max(uses, default=None)),
        "frozen": _frozen(one, freezes),
    }


def _frozen(one: Bot, freezes: Mapping[Freeze, float]) -> list[str]:
    """Return which freezes stop the bot, wholly or on a route."""
    concerning = (Freeze("all"), Freeze("bot", one.name), *(Freeze("route", r) for r in one.allow))
    return [words(each) for each in concerning if each in freezes]


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(value) or "-"
    return "-" if value is None else str(value)
