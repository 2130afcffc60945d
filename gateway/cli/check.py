"""`gateway check`: whether a configuration is sound, and what it lets whom do."""

from __future__ import annotations

import asyncio
import stat
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.cli.failures import Misconfigured, explained
from gateway.cli.output import as_json_option, dump, table
from gateway.cli.place import DEFAULT, State, base_url, is_valid
from gateway.config import ConfigError, environment, load
from gateway.core.errors import SecretUnavailable
from gateway.core.model import Bot, Route, Snapshot
from gateway.core.secret import SecretRef
from gateway.sources import Source
from gateway.sources.env import Env
from gateway.sources.file import File

_COLUMNS = ("bot", "route", "base_url", "upstream", "secret", "tokens")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=DEFAULT)
@as_json_option
def check(file: Path, as_json: bool) -> None:
    """Check the configuration FILE, ./routes.yaml by default.

    Prints every problem with its line, or what each bot may use. Warns about secrets that are
    missing, or that other users of this machine can read. The exit code is 2 for problems.
    """
    try:
        snapshot = load(file, environment())
    except ConfigError as exc:
        if not as_json:
            raise Misconfigured(str(exc)) from exc
        _dump_problems(exc)
        raise click.exceptions.Exit(2) from exc
    with explained():
        policy = list(_policy(snapshot))
    warnings = list(_warnings(snapshot))
    if as_json:
        dump({"problems": [], "warnings": warnings, "policy": policy})
        return
    table(_COLUMNS, [[str(one[column]) for column in _COLUMNS] for one in policy])
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{file} is sound", err=True)


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


def _policy(snapshot: Snapshot) -> Iterator[dict[str, str | int]]:
    now = time.time()
    stored = State(Path(snapshot.settings.state), snapshot).listed()
    tokens = [*(one.token for one in stored), *snapshot.tokens]
    valid = Counter(token.bot for token in tokens if is_valid(token, now))
    for bot in snapshot.bots.values():
        yield from _lines(snapshot, bot, valid[bot.name])


def _lines(snapshot: Snapshot, bot: Bot, tokens: int) -> Iterator[dict[str, str | int]]:
    for name in bot.allow:
        route = snapshot.routes[name]
        yield {
            "bot": bot.name,
            "route": name,
            "base_url": base_url(snapshot, route),
            "upstream": f"{route.origin}{route.base.decode('ascii')}",
            "secret": str(route.secret or "none"),
            "tokens": tokens,
        }


def _warnings(snapshot: Snapshot) -> Iterator[str]:
    env_file = snapshot.settings.env_file
    if env_file and _is_open_to_all(Path(env_file)):
        yield f"{env_file} can be read by every user of this machine; run: chmod 600 {env_file}"
    for route in snapshot.routes.values():
        if route.secret is not None:
            yield from _secret_warnings(snapshot, route, route.secret)
    for bot in snapshot.bots.values():
        if not bot.allow:
            yield f"bot {bot.name} may use nothing: its `allow` is empty"


def _secret_warnings(snapshot: Snapshot, route: Route, ref: SecretRef) -> Iterator[str]:
    directory = snapshot.settings.secrets_dir
    if ref.source == "file" and _is_open_to_all(Path(directory or "/") / ref.name):
        yield f"route {route.name}: every user of this machine can read {ref}"
    if why := asyncio.run(_missing(snapshot, ref)):
        yield f"route {route.name}: {why}"


async def _missing(snapshot: Snapshot, ref: SecretRef) -> str | None:
    settings = snapshot.settings
    env_file = Path(settings.env_file) if settings.env_file else None
    directory = Path(settings.secrets_dir) if settings.secrets_dir else None
    sources: dict[str, Source] = {"env": Env(environment(), env_file), "file": File(directory)}
    try:
        await sources[ref.source].fetch(ref.name)
    except SecretUnavailable as exc:
        return exc.deny.reason
    return None


def _is_open_to_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
