"""`gateway explain`: what the gateway would decide about a request, by the journey's own steps."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import click

from gateway.cli.failures import Failed, explained
from gateway.cli.output import as_json_option, dump, moment
from gateway.cli.place import State, config_option, state_of
from gateway.core import jsontext
from gateway.core.errors import Deny, Refused
from gateway.core.model import Route, Token
from gateway.core.places import FormField, JsonField, Outgoing
from gateway.core.request import RequestHead, read_request, unread
from gateway.core.secret import Secret
from gateway.exchange import NOWHERE, Exchange
from gateway.policy import Policy
from gateway.steps import Steps

_MASK = b"SECRET"


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

    URL is a whole one, or a path such as /openai/v1/models. The token counts as standing in the
    first place that the route looks in. The exit code is 1 where the request would be refused.
    Limits, and whether the secret and the provider can be reached, are not looked at.
    """
    if text == "-":
        text = sys.stdin.readline().strip()
    state = state_of(config, None)
    with explained():
        rehearsal = Rehearsal(state, time.time())
    rehearsal.play(method.upper().encode(), _target(url), text)
    report = rehearsal.report()
    if as_json:
        dump(report)
    else:
        for line in _lines(report):
            click.echo(line)
    if rehearsal.denied is not None:
        raise Failed(f"this {method.upper()} would be refused")


def _target(url: str) -> bytes:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    try:
        return f"{parts.path or '/'}{query}".encode("ascii")
    except UnicodeEncodeError:
        raise click.UsageError("a URL holds ASCII only; escape the rest with %") from None


class Rehearsal:
    """Takes one request through the steps 2, 3, 4 and 7, with nobody at either side."""

    def __init__(self, state: State, now: float) -> None:
        assert state.snapshot is not None
        self._policy = Policy(state.snapshot)
        self._known = [*(one.token for one in state.listed()), *state.pinned()]
        self._now = now
        valid = {one.digest: one for one in self._known if one.revoked is None}
        store: Any = SimpleNamespace(tokens=valid, used=lambda *_: None)
        nobody: Any = None
        self._steps = Steps(nobody, store, nobody, nobody, nobody)
        self._x = self._exchange(unread())
        self.denied: Deny | None = None
        self._sent = ""

    def play(self, method: bytes, target: bytes, text: str | None) -> None:
        """Go as far as the request gets."""
        try:
            self._play(method, target, text)
        except Refused as refused:
            self.denied = refused.deny

    def _play(self, method: bytes, target: bytes, text: str | None) -> None:
        self._head(method, target, ())  # what no route would ever see is refused first
        found = self._policy.router.find(target)
        if isinstance(found, Deny):
            raise Refused(found)
        route, path, query = found
        request = _request(route, path, query, text)
        whole = route.prefix + request.path
        if request.query is not None:
            whole += b"?" + request.query
        lines = request.lines
        if request.content_type:
            lines = [*lines, b"Content-Type: " + request.content_type]
        x = self._x = self._exchange(self._head(method, whole, lines))
        outgoing = self._steps.route(x)
        if route.reads_body:
            outgoing.body = request.body
        self._steps.identify(x, outgoing)
        self._steps.admit(x)
        secret = Secret(route.secret, _MASK, "") if route.secret is not None else None
        head = self._steps.prepare(x, outgoing, secret)
        self._sent = head.split(b" ", 2)[1].decode("latin-1")

    def _head(self, method: bytes, target: bytes, lines: Sequence[bytes]) -> RequestHead:
        raw = [b"%b %b HTTP/1.1" % (method, target), b"Host: explain", *lines, b"\r\n"]
        most = self._policy.snapshot.sizes.headers
        head = read_request(b"\r\n".join(raw), self._policy.kinds, most)
        if isinstance(head, Deny):
            raise Refused(head)
        return head

    def _exchange(self, head: RequestHead) -> Exchange:
        nobody: Any = SimpleNamespace(address="")
        return Exchange("explain", self._policy, head, nobody, 0.0, self._now)

    def report(self) -> dict[str, object]:
        """Return what was found, in the journey's order; None where it did not get so far."""
        x, route = self._x, self._x.route
        found = route is not NOWHERE
        token = next((one for one in self._known if one.digest == x.head.learnt.token), None)
        where = [str(place) for place in x.inject] if self._sent and route.secret else None
        return {
            "allowed": self.denied is None,
            "route": route.name if found else None,
            "provider": route.provider.name if found else None,
            "token_places": [str(place) for place in route.tokens] if found else None,
            "token": _token(token, self._now) if token is not None else None,
            "bot": token.bot if token is not None else None,
            "rule": x.rule or None,
            "secret": str(route.secret) if x.rule and route.secret else None,
            "secret_places": where,
            "upstream": f"{route.origin}{self._sent}" if self._sent else None,
            "refusal": self._refusal(route, token) if self.denied is not None else None,
        }

    def _refusal(self, route: Route, token: Token | None) -> dict[str, object]:
        deny = self.denied
        assert deny is not None
        shape = route.provider.refuse(deny, self._x.id)
        hint = _hint(deny, token)
        return {"status": shape.status, "code": deny.code, "reason": deny.reason, "hint": hint}


def _request(route: Route, path: bytes, query: bytes | None, text: str | None) -> Outgoing:
    """Return the request as a bot would send it, with its token in the first place that fits."""
    kind, body = _body(route)
    request = Outgoing(path, query, (), [], kind, body)
    token = (text or "").encode("utf-8", "surrogateescape")
    for place in route.tokens if token else ():
        with suppress(Refused):  # a path without the place's prefix, say
            place.put(request, token)
            break
    return request


def _body(route: Route) -> tuple[bytes, bytes]:
    """Return the type and text of the least body that has room for the route's places."""
    for place in route.tokens + route.inject:
        if isinstance(place, JsonField):
            above = jsontext.steps(place.pointer)[:-1]
            text = "".join(f"{{{json.dumps(step)}:" for step in above)
            return b"application/json", (text + "{}" + "}" * len(above)).encode()
        if isinstance(place, FormField):
            return b"application/x-www-form-urlencoded", b""
    return b"", b""


def _token(token: Token, now: float) -> dict[str, object]:
    status = "valid"
    if token.revoked is not None:
        status = "revoked"
    elif token.expires is not None and token.expires <= now:
        status = "expired"
    expires = moment(token.expires)
    return {"id": token.id, "status": status, "expires": expires, "origin": token.origin}


def _hint(deny: Deny, token: Token | None) -> str | None:
    if deny.code == "unknown_token":
        return f"token {token.id} was revoked" if token else "it was mistyped, or never issued here"
    return None


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Tell the report line by line, up to the refusal if there is one."""
    if report["route"]:
        yield f"route: {report['route']}, provider {report['provider']}"
        yield f"token in: {', '.join(report['token_places'])}"
    if report["token"]:
        token = report["token"]
        ends = f", expires {token['expires']}" if token["expires"] else ""
        yield f"token: {token['id']} of bot {report['bot']}, {token['status']}{ends}"
    if report["rule"]:
        yield f"rule: {report['rule']}"
        yield f"secret: {report['secret'] or 'none'}"
    if report["upstream"]:
        if report["secret_places"]:
            yield f"secret in: {', '.join(report['secret_places'])}"
        yield f"upstream: {report['upstream']}"
    if report["refusal"]:
        no = report["refusal"]
        hint = f" ({no['hint']})" if no["hint"] else ""
        yield f"refused: {no['status']} {no['code']}: {no['reason']}{hint}"
