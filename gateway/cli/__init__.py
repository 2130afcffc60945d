"""The command `gateway`: one file per command group."""

from __future__ import annotations

import click

from gateway import __version__
from gateway.cli.bot import bot
from gateway.cli.check import check
from gateway.cli.demo import demo
from gateway.cli.explain import explain
from gateway.cli.routes import routes
from gateway.cli.run import run
from gateway.cli.token import token

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def cli() -> None:
    """Give bots access to APIs without giving them the keys.

    A bot holds a token of this gateway; the gateway swaps it for the provider's real key.

    \b
    Exit codes:
      0  it worked
      1  it was refused, or it failed
      2  the command line or the configuration is wrong
    """


for command in (run, check, token, bot, routes, explain, demo):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit with its code."""
    cli.main(prog_name="gateway")
