"""One request taken through the journey's own steps, with nobody at either side."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import CoroutineType, SimpleNamespace
from typing import Any, cast
from urllib.parse import SplitResult

from gateway.admission import Admission
from gateway.bodies import Bodies
from gateway.cli.place import State
from gateway.core import jsontext
from gateway.core.errors import Deny, Refused
from gateway.core.model import Route, Snapshot
from gateway.core.places import FormField, JsonField, Outgoing
from gateway.core.request import RequestHead, read_request, unread
from gateway.core.secret import Secret
from gateway.exchange import Exchange
from gateway.policy import Policy
from gateway.stepping import step
from gateway.steps import Steps

_MASK = b"SECRET"
_WITH_BODY = frozenset((b"POST", b"PUT", b"PATCH"))
_FORM = re.compile(rb"[^=&\s]+=")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is asked about. `url` is whole, or a path alone."""

    method: bytes
    url: SplitResult
    lines: tuple[bytes, ...]
    """Header lines."""
    body: bytes | None
    peer: str
    """Address that the connection comes from."""
    token: str = ""
    """The token to put where the route looks for it; "" where the request holds it already."""

    @property
    def target(self) -> bytes:
        """What stands in the request line."""
        query = f"?{self.url.query}" if self.url.query else ""
        return f"{self.url.path or '/'}{query}".encode("ascii")

    @property
    def authority(self) -> bytes:
        """What the Host header says where it is not given."""
        return (self.url.netloc.rpartition("@")[2] or "explain").encode("ascii")

    def has(self, name: bytes) -> bool:
        """Whether a header is given; `name` in lower case."""
        return any(line.partition(b":")[0].strip().lower() == name for line in self.lines)


class Known:
    """What the store and the configuration know, as the steps look at it. Nothing is counted."""

    def __init__(self, state: State) -> None:
        assert state.snapshot is not None
        self.snapshot = state.snapshot
        self.every = [*(one.token for one in state.listed()), *state.pinned()]
        self.since = state.freezes()
        self.tokens = {one.digest: one for one in self.every if one.revoked is None}
        self.freezes = frozenset(self.since)

    def used(self, token_id: str, address: str, now: float) -> None:
        """Note nothing: this was no use."""


class Rehearsal:
    """Takes a request through the steps 2, 3, 4 and 7.

    `x` holds what was found on the way, `denied` the refusal if there was one, `sent` the target
    that would go to the provider, and `guessed` the Content-Type that the request did not give.
    `strict` enforces where the configuration says to observe.
    """

    def __init__(self, known: Known, request: Request, now: float, *, strict: bool = False) -> None:
        nobody: Any = None
        store: Any = known
        self.request = request
        self._bodies = Bodies(None)
        self._admission = Admission(store, self._bodies)
        self._steps = Steps(store, nobody, nobody, nobody, self._bodies)
        self._policy = Policy(_enforcing(known.snapshot) if strict else known.snapshot)
        self._now = now
        self.x = self._exchange(unread(), "")
        self.denied: Deny | None = None
        self.sent = ""
        self.guessed = ""
        try:
            step(cast("CoroutineType[Any, Any, None]", self._play()))
        except Refused as refused:
            self.denied = refused.deny

    @property
    def lacks_body(self) -> bool:
        """Whether it was refused for naming nothing, where its body could have named it."""
        x, deny = self.x, self.denied
        subjects = {f"{one.name}_not_allowed" for one in x.route.provider.subjects}
        silent = not x.subject and self.request.body is None and x.head.method in _WITH_BODY
        return silent and deny is not None and deny.code in subjects

    async def _play(self) -> None:
        steps = self._steps
        x = self.x = self._arrived()
        outgoing = steps.route(x)
        if x.route.reads_body:
            outgoing.body = await self._bodies.whole(x)
        steps.identify(x, outgoing)
        if self._admission.admit(x):
            await self._admission.judge(x, outgoing)
        ref = x.route.secret
        head = steps.prepare(x, outgoing, Secret(ref, _MASK, "") if ref is not None else None)
        self.sent = head.split(b" ", 2)[1].decode("latin-1")

    def _arrived(self) -> Exchange:
        """Return the exchange that begins with the request, the token put where it belongs."""
        request = self.request
        listener = _listener(self._policy.snapshot, request.url)
        head = self._head(request.target)
        found = self._policy.router.find(head.target, head.host, listener)
        if isinstance(found, Deny):
            return self._exchange(head, listener)
        route, path, query = found
        sent = Outgoing(path, query, (), [], head.content_type, request.body)
        if sent.body is None:
            sent.content_type, sent.body = _least_body(route)
        elif not sent.content_type:
            self.guessed = _guess(sent.body)
            sent.content_type = self.guessed.encode("latin-1")
        _put(sent, route, request.token)
        target = route.prefix + sent.path + (b"" if sent.query is None else b"?" + sent.query)
        x = self._exchange(self._head(target, _more(request, sent)), listener)
        body = sent.body or b""
        x.parts, x.received, x.complete = [body], len(body), True
        return x

    def _head(self, target: bytes, more: Sequence[bytes] = ()) -> RequestHead:
        request = self.request
        lines = [*request.lines, *more]
        if not request.has(b"host"):
            lines.append(b"Host: " + request.authority)
        raw = [b"%b %b HTTP/1.1" % (request.method, target), *lines, b"\r\n"]
        most = self._policy.snapshot.sizes.headers
        head = read_request(b"\r\n".join(raw), self._policy.kinds, most)
        if isinstance(head, Deny):
            raise Refused(head)
        return head

    def _exchange(self, head: RequestHead, listener: str) -> Exchange:
        side: Any = SimpleNamespace(address=self.request.peer, listener=listener)
        return Exchange("explain", self._policy, head, side, 0.0, self._now)


def _enforcing(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot in which nothing is only observed."""
    routes = {name: replace(one, observe=False) for name, one in snapshot.routes.items()}
    bots = {name: replace(one, observe=False) for name, one in snapshot.bots.items()}
    return replace(snapshot, routes=routes, bots=bots)


def _guess(body: bytes) -> str:
    """Return the Content-Type that a body looks like; "" where it could be anything."""
    if body.lstrip()[:1] in (b"{", b"["):
        return "application/json"
    if body.startswith(b"--"):
        boundary = body[2:].partition(b"\r\n")[0].decode("latin-1")
        return f'multipart/form-data; boundary="{boundary}"'
    return "application/x-www-form-urlencoded" if _FORM.match(body) else ""


def _listener(snapshot: Snapshot, url: SplitResult) -> str:
    """Return the name of the listener that a URL's port leads to; "" for those of all routes."""
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    fitting = [one for one in snapshot.settings.listeners if one.port == port]
    exact = [one for one in fitting if one.host == url.hostname]
    return next((one.name for one in exact or fitting), "")


def _put(sent: Outgoing, route: Route, text: str) -> None:
    """Put the token into the first place of the route that fits."""
    token = text.encode("utf-8", "surrogateescape")
    for place in route.tokens if token else ():
        with suppress(Refused):  # a path without the place's prefix, say
            place.put(sent, token)
            return


def _more(request: Request, sent: Outgoing) -> list[bytes]:
    """Return the header lines that the request did not give itself."""
    lines = list(sent.lines)
    if sent.content_type and not request.has(b"content-type"):
        lines.append(b"Content-Type: " + sent.content_type)
    framed = request.has(b"content-length") or request.has(b"transfer-encoding")
    if sent.body and not framed:
        lines.append(b"Content-Length: %d" % len(sent.body))
    return lines


def _least_body(route: Route) -> tuple[bytes, bytes | None]:
    """Return the type and text of the least body that has room for the route's places."""
    for place in route.tokens + route.inject:
        if isinstance(place, JsonField):
            above = jsontext.steps(place.pointer)[:-1]
            text = "".join(f"{{{json.dumps(step)}:" for step in above)
            return b"application/json", (text + "{}" + "}" * len(above)).encode()
        if isinstance(place, FormField):
            return b"application/x-www-form-urlencoded", b""
    return b"", None
