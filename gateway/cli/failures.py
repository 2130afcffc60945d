"""How a command ends when it cannot do what it was asked: the message, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from gateway.config import ConfigError
from gateway.core.errors import Refused


class Failed(click.ClickException):
    """It was refused, or it failed."""

    exit_code = 1


class Misconfigured(click.ClickException):
    """The configuration is wrong. The message has a line for each problem."""

    exit_code = 2

    def format_message(self) -> str:
        """Return the problems below a line of their own."""
        return f"the configuration is wrong\n{self.message}"


@contextmanager
def explained() -> Iterator[None]:
    """Turn what this product raises into messages without a traceback."""
    try:
        yield
    except ConfigError as exc:
        raise Misconfigured(str(exc)) from exc
    except Refused as exc:
        raise Failed(exc.deny.reason) from exc
