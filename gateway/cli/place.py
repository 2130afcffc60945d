"""Where a command finds the configuration and the state: its options, and what they lead to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from gateway.cli.failures import explained
from gateway.config import environment, load
from gateway.core.model import Freeze, Listener, Route, Snapshot, Token
from gateway.stores.embedded import Embedded, ListedToken

DEFAULT = Path("routes.yaml")

_URL = re.compile(r"https?://[A-Za-z0-9._\[\]:-]+(/[A-Za-z0-9._~/-]*)?")


class PublicUrl(click.ParamType[str]):
    """`https://gateway.example.com`: where bots reach the gateway."""

    name = "url"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the URL without a slash at its end."""
        if not _URL.fullmatch(str(value)):
            self.fail("write a URL such as https://gateway.example.com", param, ctx)
        return str(value).rstrip("/")


config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT,
    show_default=True,
    help="The configuration file.",
)
state_option = click.option(
    "--state",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="The state directory, instead of the one that the configuration names.",
)
url_option = click.option(
    "--url",
    type=PublicUrl(),
    help="Public URL of this gateway, where it is not the first listener's.",
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

    def exists(self) -> bool:
        """Whether the store was ever written to; reading does not make one."""
        return (self.directory / "store.sqlite").exists()

    def store(self) -> Embedded:
        """Return the store, whose file is made where there is none."""
        return Embedded(self.directory)

    def listed(self) -> list[ListedToken]:
        """Return the store's tokens, oldest first."""
        return self.store().list_tokens() if self.exists() else []

    def freezes(self) -> dict[Freeze, float]:
        """Return what is frozen, and since when."""
        return dict(self.store().list_freezes()) if self.exists() else {}

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
    @state_option
    @wraps(command)
    def wrapped(*args: Any, config: Path, directory: Path | None, **options: Any) -> None:  # noqa: ANN401 -- click's
        command(*args, state=state_of(config, directory), **options)

    return wrapped


def is_valid(token: Token, now: float) -> bool:
    """Whether the token opens anything at this moment."""
    return token.revoked is None and (token.expires is None or token.expires > now)


def base_url(snapshot: Snapshot, route: Route, public: str | None = None) -> str:
    """Return where bots reach a route: at `public`, else at the first listener.

    A route's own host name stands in its URL; so do the scheme and port of its own listener.
    """
    listener = next(one for one in snapshot.settings.listeners if one.name == route.listener)
    local = urlsplit(_listener_url(listener))
    shown = urlsplit(public) if public else local
    host = route.host.decode("ascii").strip("[]") or shown.hostname or ""
    at = local if route.listener else shown
    port = f":{at.port}" if at.port else ""
    return f"{at.scheme}://{_bracketed(host)}{port}{at.path}{route.prefix.decode('ascii')}"


def _listener_url(listener: Listener) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104 -- compared, not bound
    return f"{'https' if listener.certificate else 'http'}://{_bracketed(host)}:{listener.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
