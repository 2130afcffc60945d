"""Files of environment variables: what a bot needs to talk to the gateway, in one file."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gateway.cli.failures import Failed
from gateway.cli.place import base_url
from gateway.core import sdks
from gateway.core.model import Route, Snapshot

_TOKEN = "GATEWAY_TOKEN"  # noqa: S105 -- a variable's name


def of_bot(bot: str, text: str, snapshot: Snapshot | None, url: str | None) -> str:
    """Return the file of one bot: its token, and for each of its routes what the SDKs read."""
    lines = [f"# Bot {bot}. Whoever can read this file can use its token.", f"{_TOKEN}={text}"]
    if snapshot is not None:
        lines += _of_routes(snapshot, bot, text, url)
    return "".join(f"{line}\n" for line in lines)


def of_bots(texts: Sequence[tuple[str, str]]) -> str:
    """Return one file for several bots, given with their tokens: a variable for each."""
    lines = {variable(bot): text for bot, text in texts}
    if len(lines) != len(texts):
        raise Failed("two of these tokens would have the same variable in the file")
    return "".join(f"{name}={text}\n" for name, text in lines.items())


def variable(bot: str) -> str:
    """Return the variable of a bot's token among others': `GATEWAY_TOKEN_SUPPORT`."""
    return f"{_TOKEN}_" + re.sub(r"[^A-Z0-9]", "_", bot.upper())


@contextlib.contextmanager
def written(files: Mapping[Path, str]) -> Iterator[None]:
    """Write new files of their owner's alone: all, or none where that or what follows fails."""
    made: list[Path] = []
    try:
        for path, text in files.items():
            _write_new(path, text)
            made.append(path)
        yield
    except BaseException:
        for path in made:
            path.unlink()
        raise


def _write_new(path: Path, text: str) -> None:
    """Let the file appear whole, and never in the place of another."""
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)  # a rename would replace what is there
        finally:
            os.unlink(draft)
    except OSError as exc:
        raise Failed(f"{path} cannot be written: {exc.strerror}") from exc


def _of_routes(snapshot: Snapshot, bot: str, text: str, url: str | None) -> Iterator[str]:
    taken: dict[str, str] = {}
    for name in snapshot.bots[bot].allow:
        route = snapshot.routes[name]
        yield ""
        yield from _of_route(route, base_url(snapshot, route, url), text, taken)


def _of_route(route: Route, base: str, text: str, taken: dict[str, str]) -> Iterator[str]:
    """Say the route's base URL, then its variables; where its SDKs read none, what to write."""
    places = " or ".join(str(place) for place in route.tokens)
    yield f"# {route.name}: {base}, token in {places}"
    rows = sdks.lines(route.provider.name, base, text)
    env = dict(pair for row in rows for pair in row.env)
    if not env:
        yield from _code(route, base)
    for name, value in env.items():
        if name not in taken:
            taken[name] = value
            yield f"{name}={value}"
        elif taken[name] != value:
            yield f"# another route has this variable already: {name}={value}"


def _code(route: Route, base: str) -> Iterator[str]:
    for sdk in sdks.lines(route.provider.name, base, f"${_TOKEN}"):
        if sdk.language != "shell":
            yield f"# {sdk.name} ({sdk.language}):"
            yield from (f"#   {line}" for line in sdk.change.splitlines())
