"""`gateway bot freeze` and `unfreeze`: the kill switch. It needs no configuration that loads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from gateway.cli.failures import Failed, explained
from gateway.cli.output import moment
from gateway.cli.place import State, config_option, state_option
from gateway.config import ConfigError, environment, load
from gateway.config.values import expanded
from gateway.core.model import Freeze, Settings, Snapshot

_STATE_LINE = re.compile(r"""^state:[ \t]+["']?([^"'\s#]+)""", re.MULTILINE)


def _arguments(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments that both have."""
    for option in (
        state_option,
        config_option,
        click.option("--all", "everything", is_flag=True, help="Every bot and every route."),
        click.option("--route", "routes", multiple=True, metavar="ROUTE", help="A whole route."),
        click.argument("bots", nargs=-1, metavar="[BOT...]"),
    ):
        command = option(command)
    return command


@click.command()
@_arguments
def freeze(
    bots: tuple[str, ...],
    routes: tuple[str, ...],
    everything: bool,
    config: Path,
    directory: Path | None,
) -> None:
    """Stop bots, routes or everything until `unfreeze`, and cut what they have open.

    Where the configuration cannot be loaded, names are not checked, and the store is where its
    `state:` line says. With --state the configuration is not read at all.
    """
    wanted = _freezes(bots, routes, everything)
    state = _state(config, directory)
    _check(wanted, state.snapshot)
    with explained():
        state.store().freeze(wanted, time.time())
        since = state.freezes()
    for one in wanted:
        click.echo(f"{words(one)} is frozen since {moment(since[one])}")
    click.echo("a running gateway acts on it within a second", err=True)


@click.command()
@_arguments
def unfreeze(
    bots: tuple[str, ...],
    routes: tuple[str, ...],
    everything: bool,
    config: Path,
    directory: Path | None,
) -> None:
    """Let go what was frozen by the same name; other freezes stay, also after --all."""
    wanted = _freezes(bots, routes, everything)
    state = _state(config, directory)
    with explained():
        frozen = state.freezes()
        for one in wanted:
            if one not in frozen:
                raise Failed(f"{words(one)} is not frozen; frozen are: {_listed(frozen)}")
        state.store().unfreeze(wanted)
        left = state.freezes()
    for one in wanted:
        click.echo(f"{words(one)} is no longer frozen")
    if left:
        click.echo(f"still frozen: {_listed(left)}", err=True)


def words(one: Freeze) -> str:
    """Return what is frozen, for people."""
    return "everything" if one.kind == "all" else f"{one.kind} {one.name}"


def _listed(freezes: Iterable[Freeze]) -> str:
    return ", ".join(words(one) for one in sorted(freezes)) or "none"


def _freezes(bots: Sequence[str], routes: Sequence[str], everything: bool) -> list[Freeze]:
    if everything == bool(bots or routes):
        raise click.UsageError("name bots or routes (--route ROUTE), or everything by --all alone")
    if everything:
        return [Freeze("all")]
    named = [*(Freeze("bot", one) for one in bots), *(Freeze("route", one) for one in routes)]
    return list(dict.fromkeys(named))


def _check(wanted: Sequence[Freeze], snapshot: Snapshot | None) -> None:
    """Refuse a name that the configuration lacks: a mistyped one would stop nothing."""
    if snapshot is None:
        return
    known = {"bot": snapshot.bots, "route": snapshot.routes, "all": {""}}
    for one in wanted:
        if one.name not in known[one.kind]:
            names = ", ".join(sorted(known[one.kind])) or "none"
            message = f"there is no {one.kind} {one.name!r} in the configuration"
            raise Failed(f"{message}; {one.kind}s are: {names}")


def _state(config: Path, directory: Path | None) -> State:
    """Return the state, which must be in use: a freeze anywhere else would stop nothing."""
    if directory is not None:
        state = State(directory, None)
    else:
        try:
            snapshot = load(config, environment())
            state = State(Path(snapshot.settings.state), snapshot)
        except ConfigError as exc:
            click.echo(
                f"the configuration cannot be loaded, so no name is checked\n{exc}", err=True
            )
            state = State(_directory(config), None)
    if not state.exists():
        raise Failed(f"there is no store in {state.directory}; say with --state where it is")
    return state


def _directory(config: Path) -> Path:
    """Return the state directory that a file names, which may not even be YAML."""
    try:
        line = _STATE_LINE.search(config.read_text(errors="replace"))
    except OSError:
        line = None
    try:
        name = expanded(line[1], environment()) if line else Settings().state
    except ValueError as exc:
        raise Failed(f"its `state` cannot be read ({exc}); say with --state where it is") from exc
    return config.absolute().parent / name
