"""`gateway routes`: what to change in a bot so that it talks to the gateway."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.failures import Failed
from gateway.cli.output import as_json_option, dump
from gateway.cli.place import base_url, config_option, configured, url_option
from gateway.core import sdks
from gateway.core.model import Route

_TOKEN = "YOUR_TOKEN"  # noqa: S105 -- what people replace by theirs


@click.command()
@click.argument("name", required=False, metavar="[ROUTE]")
@url_option
@as_json_option
@config_option
def routes(name: str | None, url: str | None, as_json: bool, config: Path) -> None:
    """Show each route's base URL, and per SDK the lines to change."""
    snapshot = configured(config)
    if name is not None and name not in snapshot.routes:
        known = ", ".join(sorted(snapshot.routes))
        raise Failed(f"there is no route {name!r} in the configuration; routes are: {known}")
    shown = [route for route in snapshot.routes.values() if name in (None, route.name)]
    records = [_record(route, base_url(snapshot, route, url)) for route in shown]
    if as_json:
        dump(records)
        return
    for route, record in zip(shown, records, strict=True):
        _show(route, str(record["base_url"]))


def _record(route: Route, base: str) -> dict[str, object]:
    lines = [
        {"sdk": sdk.name, "language": sdk.language, "change": sdk.change, "env": dict(sdk.env)}
        for sdk in sdks.lines(route.provider.name, base, _TOKEN)
    ]
    return {
        "route": route.name,
        "provider": route.provider.name,
        "base_url": base,
        "upstream": f"{route.origin}{route.base.decode('ascii')}",
        "token": [str(place) for place in route.tokens],
        "sdks": lines,
    }


def _show(route: Route, base: str) -> None:
    click.secho(f"{route.name}  {base}", bold=True)
    places = ", ".join(str(place) for place in route.tokens)
    click.echo(f"  {route.provider.name} at {route.origin}; token in: {places}\n")
    for sdk in sdks.lines(route.provider.name, base, _TOKEN):
        click.echo(f"  {sdk.name} ({sdk.language})")
        for line in sdk.change.splitlines():
            click.echo(f"    {line}")
        if sdk.env:
            click.echo("    or " + " ".join(f"{name}={value}" for name, value in sdk.env))
        click.echo()
