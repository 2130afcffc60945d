"""`gateway explain`: what the gateway would decide about a request, and by which rule."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.cli.failures import Failed, explained
from gateway.cli.output import as_json_option, dump
from gateway.cli.place import State, config_option, state_of
from gateway.core import tokens
from gateway.core.errors import Deny
from gateway.core.model import Bot, Route, Snapshot, Token
from gateway.core.places import Outgoing
from gateway.core.routing import Router


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was decided. `is_refusal` ends the request there."""

    what: str
    why: str
    is_refusal: bool = False


@click.command()
@click.option(
    "--token",
    "text",
    help="The bot's token, `-` to read it from standard input. In a URL that holds it: not needed.",
)
@click.argument("method")
@click.argument("url")
@as_json_option
@config_option
def explain(text: str | None, method: str, url: str, as_json: bool, config: Path) -> None:
    """Explain what would happen to METHOD URL, step by step. Nothing is sent.

    URL is a whole one, or a path such as /openai/v1/models. The exit code is 1 where the
    request would be refused.
    """
    if text == "-":
        text = sys.stdin.readline().strip()
    state = state_of(config, None)
    assert state.snapshot is not None
    with explained():
        steps = list(_decide(state, state.snapshot, _target(url), text))
    if as_json:
        dump([{"step": one.what, "why": one.why, "refused": one.is_refusal} for one in steps])
    else:
        for step in steps:
            click.echo(f"{step.what}: {step.why}")
    if steps[-1].is_refusal:
        raise Failed(f"this {method.upper()} would be refused")


def _target(url: str) -> bytes:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    try:
        return f"{parts.path or '/'}{query}".encode("ascii")
    except UnicodeEncodeError:
        raise click.UsageError("a URL holds ASCII only; escape the rest with %") from None


def _decide(state: State, snapshot: Snapshot, target: bytes, text: str | None) -> Iterator[Step]:
    found = Router(snapshot.routes.values()).find(target)
    if isinstance(found, Deny):
        yield Step("route", f"{found.status} {found.code}: {found.reason}", is_refusal=True)
        return
    route, path, query = found
    yield Step("route", f"{route.name}, {route.provider.name} at {route.origin}")
    candidates = [text.encode()] if text else _in_url(route, path, query)
    token = _token(state, route, candidates)
    if isinstance(token, Step):
        yield token
        return
    yield Step("token", f"{token.id} of bot {token.bot}, from {token.origin}")
    bot = snapshot.bots.get(token.bot)
    yield from _admit(bot, token, route)


def _admit(bot: Bot | None, token: Token, route: Route) -> Iterator[Step]:
    if bot is None:
        yield Step("bot", f"401: bot {token.bot} is not in the configuration", is_refusal=True)
    elif route.name not in bot.allow:
        allowed = ", ".join(bot.allow) or "nothing"
        why = f"403: no rule of bot {bot.name} allows {route.name}; it may use: {allowed}"
        yield Step("rule", why, is_refusal=True)
    else:
        yield Step("rule", f"allowed by {bot.allow[route.name].place}")
        yield Step("secret", str(route.secret or "none; sent without a key"))


def _token(state: State, route: Route, candidates: list[bytes]) -> Token | Step:
    if not candidates:
        places = ", ".join(str(place) for place in route.tokens)
        return Step("token", f"401: none was given; it goes into: {places}", is_refusal=True)
    digests = {tokens.digest(candidate) for candidate in candidates}
    known = [*(one.token for one in state.listed()), *state.pinned()]
    token = next((one for one in known if one.digest in digests), None)
    if token is None:
        typed = tokens.looks_minted(candidates[0].decode("utf-8", "replace"))
        hint = "was never issued here" if typed else "is not one of ours, or was mistyped"
        return Step("token", f"401: it {hint}", is_refusal=True)
    if token.revoked is not None:
        return Step("token", f"401: {token.id} was revoked", is_refusal=True)
    if token.expires is not None and token.expires <= time.time():
        return Step("token", f"401: {token.id} has expired", is_refusal=True)
    return token


def _in_url(route: Route, path: bytes, query: bytes | None) -> list[bytes]:
    request = Outgoing(path, query, [], [])
    places = (place for place in route.tokens if not place.in_body)
    return [candidate for place in places for candidate in place.find(request)]
