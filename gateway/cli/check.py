"""`gateway check`: whether a configuration is sound, and what it lets whom do."""

from __future__ import annotations

import logging
import time
from collections import Counter
from pathlib import Path

import click

from gateway.cli import effective
from gateway.cli.advice import warnings
from gateway.cli.failures import Failed, Misconfigured, explained
from gateway.cli.output import as_json_option, dump
from gateway.cli.place import State, config_option, is_valid
from gateway.config import ConfigError, environment, load
from gateway.core.model import Bot, Snapshot


@click.command()
@click.option("--bot", metavar="BOT", help="Show only what this bot may do.")
@as_json_option
@config_option
def check(bot: str | None, as_json: bool, config: Path) -> None:
    """Check the configuration, and show what each bot may do.

    Prints every problem with its line; or per bot from where it may call, how much, and what on
    which route. Warns of what is sound but may not be meant: secrets that are missing or that
    others can read, rules without effect or without bounds. The exit code is 2 for problems.
    """
    try:
        snapshot = load(config, environment())
    except ConfigError as exc:
        if not as_json:
            raise Misconfigured(str(exc)) from exc
        _dump_problems(exc)
        raise click.exceptions.Exit(2) from exc
    with explained():
        listed = State(Path(snapshot.settings.state), snapshot).listed()
    now = time.time()
    tokens = [one.token for one in listed if is_valid(one.token, now)] + list(snapshot.tokens)
    counts = Counter(token.bot for token in tokens)
    policy = [effective.policy(snapshot, one, counts[one.name]) for one in _bots(snapshot, bot)]
    # What sources log as they read is among the warnings.
    logging.getLogger("gateway.sources").addHandler(logging.NullHandler())
    found = warnings(snapshot, tokens)
    if as_json:
        dump({"problems": [], "warnings": found, "policy": policy})
        return
    for one in policy:
        for line in effective.lines(one):
            click.echo(line)
    for warning in found:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{config} is sound", err=True)


def _bots(snapshot: Snapshot, name: str | None) -> list[Bot]:
    if name is None:
        return list(snapshot.bots.values())
    if name not in snapshot.bots:
        known = ", ".join(sorted(snapshot.bots)) or "none"
        raise Failed(f"there is no bot {name!r} in the configuration; bots are: {known}")
    return [snapshot.bots[name]]


def _dump_problems(error: ConfigError) -> None:
    problems = [
        {
            "file": one.file,
            "line": one.line,
            "column": one.column,
            "place": one.place,
            "message": one.message,
        }
        for one in error.problems
    ]
    dump({"problems": problems, "warnings": [], "policy": []})
