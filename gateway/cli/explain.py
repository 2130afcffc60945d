"""`gateway explain`: what the gateway would decide about a request, by the journey's own steps."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

from gateway.cli.effective import worded
from gateway.cli.failures import Failed, explained
from gateway.cli.freezing import words
from gateway.cli.output import as_json_option, dump, moment
from gateway.cli.place import config_option, state_of
from gateway.cli.rehearsal import Known, Rehearsal, Request
from gateway.cli.token import status
from gateway.core.clients import plain
from gateway.core.errors import Deny
from gateway.core.model import Token
from gateway.core.tokens import looks_minted
from gateway.exchange import NOWHERE
from gateway.standing import Standing

_HEADER = re.compile(r"[^:\s]+:[^\r\n]*")


class Header(click.ParamType[bytes]):
    """A header line."""

    name = "header"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Return the line as it is sent."""
        if not _HEADER.fullmatch(str(value)):
            self.fail("write a header as 'Name: value'", param, ctx)
        return str(value).encode("utf-8", "surrogateescape")


class Address(click.ParamType[str]):
    """An IP address."""

    name = "ip"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the address in its canonical form."""
        try:
            return plain(str(value))
        except ValueError:
            self.fail("write an IP address such as 10.0.0.7", param, ctx)


@click.command()
@click.option(
    "--token",
    "text",
    help="The bot's token, `-` to read it from standard input. In a URL that holds it: not needed.",
)
@click.option(
    "--body",
    type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True),
    metavar="FILE",
    help="The request's body, `-` for standard input.",
)
@click.option("--header", "lines", type=Header(), multiple=True, help="A header: 'Name: value'.")
@click.option(
    "--from",
    "peer",
    type=Address(),
    default="127.0.0.1",
    show_default=True,
    help="Where the connection comes from.",
)
@click.argument("method")
@click.argument("url")
@as_json_option
@config_option
def explain(  # noqa: PLR0913 -- a request has many parts
    text: str | None,
    body: str | None,
    lines: tuple[bytes, ...],
    peer: str,
    method: str,
    url: str,
    as_json: bool,
    config: Path,
) -> None:
    """Explain what would happen to METHOD URL, step by step. Nothing is sent or counted.

    URL is a whole one, whose host name and port may lead to a route of their own, or a path such
    as /openai/v1/models. The token counts as standing in the first place that the route looks
    in. The exit code is 1 where the request would be refused.

    Of limits only the ceilings are known here, and whether the secret and the provider can be
    reached is not looked at.
    """
    if text == "-":
        if body == "-":
            raise click.UsageError("only one of --token and --body can be read from there")
        text = sys.stdin.readline().strip()
    state = state_of(config, None)
    with explained():
        known = Known(state)
    verb = method.upper().encode("utf-8", "surrogateescape")
    request = Request(verb, _split(url), lines, _read(body), peer, text or "")
    report = _report(known, request, time.time())
    if as_json:
        dump(report)
    else:
        for line in _told(report):
            click.echo(line)
    if not report["allowed"]:
        raise Failed(f"this {method.upper()} would be refused")


def _read(body: str | None) -> bytes | None:
    if body is None:
        return None
    with click.open_file(body, "rb") as file:
        content: bytes = file.read()
    return content


def _split(url: str) -> SplitResult:
    """Take a URL apart; one that begins with a slash is a path, also with a second slash."""
    try:
        url.encode("ascii")
        parts = urlsplit(f"http://path{url}" if url.startswith("/") else url)
        _ = parts.port
    except UnicodeEncodeError:
        raise click.UsageError("a URL holds ASCII only; escape the rest with %") from None
    except ValueError:
        raise click.UsageError("this is no URL") from None
    return parts._replace(scheme="", netloc="") if url.startswith("/") else parts


def _report(known: Known, request: Request, now: float) -> dict[str, object]:
    """Return what was found, in the journey's order; None where it did not get so far."""
    played = Rehearsal(known, request, now)
    x, route = played.x, played.x.route
    found = route is not NOWHERE
    token = next((one for one in known.every if one.digest == x.head.learnt.token), None)
    strict = Rehearsal(known, request, now, strict=True) if x.observed else None
    where = [str(place) for place in x.inject] if played.sent and route.secret else None
    return {
        "allowed": played.denied is None,
        "route": route.name if found else None,
        "provider": route.provider.name if found else None,
        "token_places": [str(place) for place in route.tokens] if found else None,
        "client": {"address": x.address, "found": x.found or None} if found else None,
        "guessed_type": played.guessed or None,
        "token": _token(token, now) if token is not None else None,
        "bot": token.bot if token is not None else None,
        "rule": x.rule or None,
        "subject": x.subject or None,
        "observed": _refusal(strict, known) if strict else None,
        "limits": _limits(x.standing) if x.standing is not None else None,
        "secret": str(route.secret) if played.sent and route.secret else None,
        "secret_places": where,
        "upstream": f"{route.origin}{played.sent}" if played.sent else None,
        "refusal": _refusal(played, known),
    }


def _token(token: Token, now: float) -> dict[str, object]:
    ends = moment(token.expires)
    return {"id": token.id, "status": status(token, now), "expires": ends, "origin": token.origin}


def _limits(standing: Standing) -> list[dict[str, str]]:
    return [
        {"scope": one.scope, "limit": worded(one.limit), "place": one.limit.place}
        for one in standing.claims
    ]


def _refusal(played: Rehearsal, known: Known) -> dict[str, object] | None:
    deny = played.denied
    if deny is None:
        return None
    shape = played.x.route.provider.refuse(deny, played.x.id)
    hint = _hint(deny, played, known)
    return {"status": shape.status, "code": deny.code, "reason": deny.reason, "hint": hint}


def _hint(deny: Deny, played: Rehearsal, known: Known) -> str | None:
    """Return what an operator may know, and a bot not."""
    if deny.code == "unknown_token":
        return _stranger(played, known)
    if deny.code == "frozen" and played.x.standing is not None:
        since = {one: known.since[one] for one in played.x.standing.freezes & known.freezes}
        return ", ".join(f"{words(one)} since {moment(since[one])}" for one in sorted(since))
    if deny.code == "no_route" and not played.request.url.netloc and _is_hidden(known):
        return "a route with a host name or a port of its own needs a whole URL"
    if played.lacks_body:
        return "it looks into the body, which was not given: --body"
    return None


def _is_hidden(known: Known) -> bool:
    return any(route.host or route.listener for route in known.snapshot.routes.values())


def _stranger(played: Rehearsal, known: Known) -> str:
    digest = played.x.head.learnt.token
    revoked = [one for one in known.every if one.digest == digest]
    if revoked:
        return f"token {revoked[0].id} was revoked"
    if looks_minted(played.request.token):
        return "it is whole, but was never issued here"
    return "it was mistyped, or never issued here"


def _told(report: Mapping[str, Any]) -> Iterator[str]:
    """Tell the report line by line, up to the refusal if there is one."""
    yield from _who(report)
    yield from _what(report)
    if report["upstream"]:
        yield f"secret: {report['secret'] or 'none'}"
        if report["secret_places"]:
            yield f"secret in: {', '.join(report['secret_places'])}"
        yield f"upstream: {report['upstream']}"
    if report["observed"]:
        yield f"let pass by mode observe, would be refused: {_why(report['observed'])}"
    if report["refusal"]:
        yield f"refused: {_why(report['refusal'])}"


def _who(report: Mapping[str, Any]) -> Iterator[str]:
    if report["route"]:
        client = report["client"]
        yield f"route: {report['route']}, provider {report['provider']}"
        yield f"client: {client['address']}, {client['found'] or 'the connection itself'}"
        yield f"token in: {', '.join(report['token_places'])}"
    if report["token"]:
        token = report["token"]
        ends = f", expires {token['expires']}" if token["expires"] else ""
        yield f"token: {token['id']} of bot {report['bot']}, {token['status']}{ends}"


def _what(report: Mapping[str, Any]) -> Iterator[str]:
    if report["guessed_type"]:
        yield f"content type: {report['guessed_type']}, guessed from the body"
    if report["rule"]:
        fits = report["upstream"] and not report["observed"]
        yield f"{'rule' if fits else 'nearest rule'}: {report['rule']}"
    if report["subject"]:
        yield f"subject: {report['subject']}"
    for limit in report["limits"] if report["upstream"] else ():
        yield f"limit: {limit['scope']}, {limit['limit']} ({limit['place']})"


def _why(no: Mapping[str, Any]) -> str:
    hint = f" ({no['hint']})" if no["hint"] else ""
    return f"{no['status']} {no['code']}: {no['reason']}{hint}"
