"""`gateway run`: serve, from a configuration file or without one."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path

import click

from gateway.cli.demo import run_with_demo
from gateway.cli.failures import explained
from gateway.cli.place import DEFAULT
from gateway.config import environment
from gateway.core.model import Listener, Snapshot


@click.command()
@click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration file; routes.yaml where it exists.",
)
@click.pass_context
def run(context: click.Context, config: Path | None) -> None:
    """Serve until interrupted.

    Without a configuration (no --config and no ./routes.yaml) it serves a demo: a provider of
    its own with made-up keys, a bot and its token, with commands to try.
    """
    with explained():
        context.exit(_run(config))


def _run(config: Path | None) -> int:
    if config is None and not DEFAULT.exists():
        return run_with_demo()
    from gateway import server  # starts slowly, and no other command needs it

    return server.run(config or DEFAULT, environment(), lambda it: _announce(it.policy.snapshot))


def _announce(snapshot: Snapshot) -> None:
    """Say on standard error where it serves; standard output may be the record's."""
    settings = snapshot.settings
    places = ", ".join(_shown(listener) for listener in settings.listeners)
    counts = f"{_count(snapshot.routes, 'route')}, {_count(snapshot.bots, 'bot')}"
    click.echo(f"serving {counts} on {places}; metrics on {_shown(settings.admin)}", err=True)


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _shown(listener: Listener) -> str:
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    return f"{'https' if listener.certificate else 'http'}://{host}:{listener.port}"
