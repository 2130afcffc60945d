"""Where a command finds the configuration and the state: its options, and what they lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from gateway.cli.failures import explained
from gateway.config import environment, load
from gateway.core.model import Snapshot, Token
from gateway.stores.embedded import Embedded, ListedToken

DEFAULT = Path("routes.yaml")

config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT,
    show_default=True,
    help="The configuration file.",
)
_state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="The state directory, instead of the one that the configuration names.",
)


def configured(config: Path) -> Snapshot:
    """Return the configuration, or end the command with its problems."""
    with explained():
        return load(config, environment())


@dataclass(frozen=True, slots=True)
class State:
    """The store, and the configuration unless only a directory was given."""

    directory: Path
    snapshot: Snapshot | None

    def store(self) -> Embedded:
        """Return the store, whose file is made where there is none."""
        return Embedded(self.directory)

    def listed(self) -> list[ListedToken]:
        """Return the tokens; a store that was never written to is not made for that."""
        if not (self.directory / "store.sqlite").exists():
            return []
        return self.store().list_tokens()

    def pinned(self) -> tuple[Token, ...]:
        """Return the tokens that stand in the configuration."""
        return self.snapshot.tokens if self.snapshot else ()


def state_of(config: Path, directory: Path | None) -> State:
    """Return what `--state` names, else what the configuration does."""
    if directory is not None:
        return State(directory, None)
    snapshot = configured(config)
    return State(Path(snapshot.settings.state), snapshot)


def with_state(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--config` and `--state`, and pass it the `state` that they lead to."""

    @config_option
    @_state_option
    @wraps(command)
    def wrapped(*args: Any, config: Path, state: Path | None, **options: Any) -> None:  # noqa: ANN401 -- click's
        command(*args, state=state_of(config, state), **options)

    return wrapped


def is_valid(token: Token, now: float) -> bool:
    """Whether the token opens anything at this moment."""
    return token.revoked is None and (token.expires is None or token.expires > now)


def base_url(snapshot: Snapshot, prefix: bytes, public: str | None = None) -> str:
    """Return where bots reach a route: at `public`, else at the first listener."""
    return (public.rstrip("/") if public else _listener_url(snapshot)) + prefix.decode("ascii")


def _listener_url(snapshot: Snapshot) -> str:
    listener = snapshot.settings.listeners[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104 -- compared, not bound
    scheme = "https" if listener.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listener.port}"
