"""A generic route: wherever the token may stand, the key takes its place and nothing else moves."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, unquote

import pytest

from gateway.demo.process import DemoProcess
from gateway.demo.sighting import Sighting
from tests.support.raw import Answer, call, request
from tests.support.running import Running
from tests.support.trail import core

# All that some container would have to escape.
SECRET = 'a b+c/d%e&f"g\\h=i?j#k;l'
PATH_SECRET = "a:b+c=d@e"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=edge"
Far = Callable[[Sighting], object]


def header(name: str) -> Far:
    return lambda seen: seen.header(name)


def basic(seen: Sighting) -> object:
    (value,) = seen.header("Authorization")
    return b64decode(value.removeprefix("Basic ")).decode()


def query(seen: Sighting) -> object:
    return parse_qsl(seen.raw_path.partition("?")[2], keep_blank_values=True)


def in_json(seen: Sighting) -> object:
    return json.loads(seen.body)


def in_form(seen: Sighting) -> object:
    return parse_qsl(seen.body.decode())


def in_multipart(seen: Sighting) -> object:
    return seen.body.decode()


def part(name: str, value: str) -> str:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


# name -> (token places, inject places, request line, extra header, content type, body,
#          where to look at the provider, what must be there). @@ is the token.
CASES: dict[str, tuple[str, str, str, str, str, str, Far, object]] = {
    "header": (
        "[{header: X-Key-Of-Ours}]", "", "/x", "x-key-of-ours: @@", "", "",
        header("X-Key-Of-Ours"), [SECRET],
    ),
    "bearer": ("[bearer]", "", "/x", "Authorization: bearer @@", "", "",
               header("Authorization"), [f"Bearer {SECRET}"]),
    "bot": ("[bot]", "", "/x", "Authorization: Bot @@", "", "",
            header("Authorization"), [f"Bot {SECRET}"]),
    "token": ("[token]", "", "/x", "Authorization: token @@", "", "",
              header("Authorization"), [f"Token {SECRET}"]),
    "scheme": ("[{scheme: GenieKey}]", "", "/x", "Authorization: GenieKey @@", "", "",
               header("Authorization"), [f"GenieKey {SECRET}"]),
    "basic user": ("[{basic: user}]", "", "/x", "Authorization: Basic {@@:}", "", "",
                   basic, f"{SECRET}:"),
    "basic password": ("[{basic: password}]", "", "/x", "Authorization: Basic {sid:@@}", "", "",
                       basic, f"sid:{SECRET}"),
    "query": ("[{query: key}]", "", "/x?a=1&key=@@&b=%2F", "", "", "",
              query, [("a", "1"), ("key", SECRET), ("b", "/")]),
    "json": ("[{json: /clientKey}]", "", "/x", "", JSON, '{"clientKey": "@@", "n": {"m": 1.50}}',
             in_json, {"clientKey": SECRET, "n": {"m": 1.5}}),
    "form client_secret": (
        "[{form: client_secret}]", "", "/x", "", FORM, "grant_type=a+b&client_secret=@@&x=%2F",
        in_form, [("grant_type", "a b"), ("client_secret", SECRET), ("x", "/")],
    ),
    "form token": ("[{form: token}]", "", "/x", "", FORM, "token=@@", in_form, [("token", SECRET)]),
    "multipart": (
        "[{form: token}]", "", "/x", "", MULTIPART,
        part("a", "1") + part("token", "@@") + "--edge--\r\n",
        in_multipart, part("a", "1") + part("token", SECRET) + "--edge--\r\n",
    ),
    "from bearer to query": ("[bearer]", "[{query: api_key}]", "/x?a=1", "Authorization: Bearer @@",
                             "", "", query, [("a", "1"), ("api_key", SECRET)]),
    "from query to bearer": ("[{query: key}]", "[bearer]", "/x?key=@@&a=1", "", "", "",
                             header("Authorization"), [f"Bearer {SECRET}"]),
    "from bearer to json": ("[bearer]", "[{json: /clientKey}]", "/x", "Authorization: Bearer @@",
                            JSON, '{"task": 1}', in_json, {"clientKey": SECRET, "task": 1}),
    "from bearer to form": ("[bearer]", "[{form: client_secret}]", "/x", "Authorization: Bearer @@",
                            FORM, "a=1", in_form, [("a", "1"), ("client_secret", SECRET)]),
    "several at once": (
        "[bearer]", "[{header: X-Key}, {query: key}, {json: /clientKey}]", "/x",
        "Authorization: Bearer @@", JSON, "{}",
        lambda seen: [seen.header("X-Key"), query(seen), in_json(seen)],
        [[SECRET], [("key", SECRET)], {"clientKey": SECRET}],
    ),
    "shown in many places": (
        "[bearer, {header: X-Key}, {query: key}, {json: /clientKey}]", "[{header: X-Key}]",
        "/x?key=@@&a=1", "Authorization: Bearer @@\r\nX-Key: @@", JSON, '{"clientKey": "@@"}',
        lambda seen: [seen.header("X-Key"), query(seen), in_json(seen)],
        [[SECRET], [("a", "1")], {}],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def mapped(launcher: Callable[..., Running]) -> Running:
    """A gateway with a generic route for each case."""
    routes = ["routes:"]
    keys = 'provider: generic, upstream: "{demo}/echo", private: true'
    for number, (token, inject, *_) in enumerate(CASES.values()):
        put = f", inject: {inject}" if inject else ""
        routes.append(f'  r{number}: {{{keys}, secret: "env:ODD_KEY", token: {token}{put}}}')
    routes.append(f'  path: {{{keys}, secret: "env:PATH_KEY", token: [{{path: /key/}}]}}')
    routes.append(f'  to-path: {{{keys}, secret: "env:PATH_KEY", inject: [{{path: /key/}}]}}')
    names = [f"r{number}" for number in range(len(CASES))]
    return launcher(
        "\n".join(routes) + "\n",
        bots={"tester": [*names, "path", "to-path"]},
        environ={"ODD_KEY": SECRET, "PATH_KEY": PATH_SECRET},
        shapes=("plain", "telegram"),
    )


@pytest.fixture
def generic(mapped: Running) -> Running:
    mapped.since = time.time()
    return mapped


def filled(text: str, token: str) -> str:
    """Put the token in for @@, and base64 for what stands in braces after `Basic`."""
    start, basic, login = text.replace("@@", token).partition("Basic {")
    return start + (f"Basic {b64encode(login[:-1].encode()).decode()}" if basic else "")


def send(
    running: Running, route: str, line: str, more: str = "", kind: str = "", body: str = ""
) -> Answer:
    """Send a request of the bot called tester, its token where @@ stands."""
    token = running.token("tester")
    lines = [f"{'POST' if body else 'GET'} /{route}{line} HTTP/1.1", "Host: gateway"]
    lines += more.split("\r\n") + ([f"Content-Type: {kind}"] if kind else [])
    head = [filled(one, token) for one in [*lines, "Connection: close"] if one]
    return call(running.port, request("\n".join(head), body.replace("@@", token).encode()))


@pytest.mark.parametrize("name", CASES)
def test_the_key_takes_the_place_of_the_token(
    generic: Running, demo: DemoProcess, name: str
) -> None:
    number = list(CASES).index(name)
    _, _, line, more, kind, body, look, wanted = CASES[name]
    token = generic.token("tester")
    answer = send(generic, f"r{number}", line, more, kind, body)
    seen = demo.seen()
    assert len(seen) == 1, answer.raw
    assert look(seen[0]) == wanted
    assert not seen[0].holds(token)
    assert not seen[0].holds(core(token))
    record = generic.record(bot="tester")
    assert record["secret"] == "env:ODD_KEY v1"
    assert "=" not in record["path"]


def test_numbers_in_json_stay_as_they_are_written(generic: Running, demo: DemoProcess) -> None:
    number = list(CASES).index("json")
    body = '{ "n" : 1.50, "clientKey":"@@" , "big":12345678901234567890, "e": "\\u00e9"}'
    send(generic, f"r{number}", "/x", "", JSON, body)
    (one,) = demo.seen()
    assert one.body.decode() == body.replace('"@@"', json.dumps(SECRET))


@pytest.mark.parametrize("sent", ["raw", "quoted"])
def test_a_path_segment(generic: Running, demo: DemoProcess, sent: str) -> None:
    token = generic.token("tester", "telegram")
    shown = token if sent == "raw" else quote(token, safe="")
    assert ("%3A" in shown) == (sent == "quoted")
    head = f"GET /path/key/{shown}/things?a=1 HTTP/1.1\nHost: gateway\nConnection: close"
    assert call(generic.port, request(head)).status == 401  # the demo's own: it is not its key
    (one,) = demo.seen()
    prefix, _, rest = one.raw_path.removeprefix("/echo/key/").partition("/")
    assert (unquote(prefix), rest) == (PATH_SECRET, "things?a=1")
    assert not one.holds(core(token))
    assert generic.record()["path"] == "/key/.../things"


def test_from_a_header_into_the_path(generic: Running, demo: DemoProcess) -> None:
    token = generic.token("tester")
    head = f"""
        GET /to-path/key/anything/things HTTP/1.1
        Host: gateway
        Authorization: Bearer {token}
        Connection: close
    """
    call(generic.port, request(head))
    (one,) = demo.seen()
    assert unquote(one.raw_path) == f"/echo/key/{PATH_SECRET}/things"
    assert not one.header("Authorization")


def test_two_different_tokens_are_refused(generic: Running, demo: DemoProcess) -> None:
    number = list(CASES).index("shown in many places")
    answer = send(generic, f"r{number}", "/x?key=other", "Authorization: Bearer @@")
    assert answer.status == 401
    assert b"two_tokens" in answer.body
    assert demo.seen() == []


def test_a_token_elsewhere_than_the_route_looks_is_not_taken(
    generic: Running, demo: DemoProcess
) -> None:
    number = list(CASES).index("query")
    answer = send(generic, f"r{number}", "/x", "X-Api-Key: @@")
    assert answer.status == 401
    assert b"no_token" in answer.body
    assert demo.seen() == []
