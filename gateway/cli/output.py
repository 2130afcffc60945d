"""Prints listings: a table for people at a terminal, plain columns in a pipe, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from gateway.core.model import Rule

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` under `columns`."""
    if sys.stdout.isatty():
        _rich_table(columns, rows)
        return
    lines = [[column.upper() for column in columns], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    kept = [number for number in range(len(columns)) if any(row[number] != "-" for row in rows)]
    for number in kept:
        shown.add_column(columns[number], overflow="fold", no_wrap=number == 0)
    for row in rows:
        shown.add_row(*(Text(row[number]) for number in kept))
    Console().print(shown)


def dump(value: object) -> None:
    """Print `value` as JSON."""
    click.echo(json.dumps(value, indent=2))


def moment(seconds: float | None) -> str | None:
    """Return a time as people and programs read it, in UTC; None for None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ruled(rule: Rule) -> str:
    """Return what a rule allows, as the configuration says it: `methods: GET; models: gpt-5-*`."""
    keys = {"presets": rule.presets, "methods": rule.methods, "paths": rule.paths}
    keys |= {f"{name}s": patterns for name, patterns in rule.subjects.items()}
    said = [f"{key}: {', '.join(values)}" for key, values in keys.items() if values]
    return "; ".join(said) or "everything"
