"""Keys and tokens that must show up nowhere, sent through every path there is."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from gateway.config import ConfigError, load
from tests.support.needles import traces
from tests.support.raw import call, connected, request
from tests.support.running import Running, eventually, free_port
from tests.support.scripted import Play, Scripted, says, says_and_closes, scripted
from tests.support.trail import core

KEYS = {
    "env key": "sk-canary-ENV/8Qw+z7Lr2VtXn5Yp3Kd9",
    "file key": "canary-FILE=4Hs6Jf1Mb8Wc0Zx7Gv2Tq5",
    "unusable key": "canary-ODD-3Rk7Pn9Dl1Sy6\x01Bw4Fh8Uj2",
    "large file key": "canary-LARGE-5Cv9Xm3Qz7Nt1Lk8Hg4Wp6",
}
HEAD = """\
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
state: state
audit: record.jsonl
log: debug
secrets_dir: secrets
deadlines: {head: 0.3, body: 0.3, first_byte: 0.3, stream: 0.3, connect: 0.5, linger: 0.1}
sizes: {peek: 2KiB}
"""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"

# name -> (places of the token, secret, how a request carries the token: target, header, body)
ROUTES = {
    "bearer": ("[bearer]", "env:CANARY", "/x", "Authorization: Bearer @@", ""),
    "header": ("[{header: X-Key}]", "file:canary", "/x", "X-Key: @@", ""),
    "path": ("[{path: /bot}]", "file:canary", "/bot@@/x", "X: 1", ""),
    "query": ("[{query: key}]", "env:CANARY", "/x?key=@@", "X: 1", ""),
    "json": ("[{json: /clientKey}]", "env:CANARY", "/x", JSON, '{"clientKey": "@@"}'),
    "form": ("[{form: secret}]", "file:canary", "/x", FORM, "secret=@@"),
}
OTHERS = ("down", "unknown-name", "unknown-ca", "wrong-name", "odd", "large", "missing", "no-file")


@dataclass
class Scene:
    """A gateway with canaries in it, and all that came out of it."""

    running: Running
    provider: Scripted
    answers: list[bytes] = field(default_factory=list)

    @property
    def token(self) -> str:
        return self.running.token("tester")

    def build(self, route: str, token: str | None = None) -> bytes:
        _, _, target, header, body = ROUTES[route if route in ROUTES else "bearer"]
        head = f"""
            POST /{route}{target} HTTP/1.1
            Host: gateway
            {header}
            Connection: close
        """
        shown = token or self.token
        return request(head.replace("@@", shown), body.replace("@@", shown).encode())

    def send(self, data: bytes) -> bytes:
        answer = call(self.running.port, data).raw
        self.answers.append(answer)
        return answer


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Scripted]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    with scripted(context) as provider:
        yield provider


@pytest.fixture(scope="module")
def scene(
    launcher: Callable[..., Running],
    secure: Scripted,
    authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("canary")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "canary").write_text(KEYS["file key"] + "\n")
    (folder / "secrets" / "large").write_text(KEYS["large file key"] * 3000)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with scripted() as provider:
        lines = ["routes:"]
        common = "provider: generic, private: true"
        for name, (places, secret, *_) in ROUTES.items():
            lines.append(
                f'  {name}: {{{common}, secret: "{secret}", token: {places}, '
                f'upstream: "{provider.url}"}}'
            )
        env, here = 'secret: "env:CANARY"', f'upstream: "{provider.url}"'
        lines += [
            f'  down: {{{common}, {env}, upstream: "http://127.0.0.1:{free_port()}"}}',
            f'  unknown-name: {{{common}, {env}, upstream: "https://nothing.invalid"}}',
            f'  unknown-ca: {{{common}, {env}, upstream: "{secure.url}"}}',
            f'  wrong-name: {{{common}, {env}, upstream: "{secure.url}", ca: ca.pem}}',
            f'  odd: {{{common}, secret: "env:ODD", {here}}}',
            f'  large: {{{common}, secret: "file:large", {here}}}',
            f'  missing: {{{common}, secret: "env:NOT_THERE", {here}}}',
            f'  no-file: {{{common}, secret: "file:nothing", {here}}}',
        ]
        running = launcher(
            "\n".join(lines) + "\n",
            bots={"tester": [*ROUTES, *OTHERS], "idle": []},
            head=HEAD,
            environ={"CANARY": KEYS["env key"], "ODD": KEYS["unusable key"]},
            folder=folder,
        )
        yield Scene(running, provider)


def cut_short(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.shutdown(socket.SHUT_RDWR)


PLAYS: dict[str, tuple[int, Play]] = {
    "answers": (200, says(OK)),
    "refuses the key": (401, says(b"HTTP/1.1 401 No\r\n" + EMPTY)),
    "redirects": (307, says(b"HTTP/1.1 307 X\r\nLocation: http://x.invalid/\r\n" + EMPTY)),
    "is not HTTP": (502, says_and_closes(b"nonsense\r\n\r\n")),
    "has a bad status line": (502, says_and_closes(b"HTTP/1.1 2000 OK\r\n\r\n")),
    "has a bad header": (502, says_and_closes(b"HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n")),
    "has a control character": (502, says_and_closes(b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n")),
    "sends too large a head": (502, says_and_closes(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000)),
    "closes at once": (502, says_and_closes(b"")),
    "closes within its head": (502, says_and_closes(b"HTTP/1.1 200")),
    "is silent": (504, lambda _: None),
    "falls silent": (200, says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")),
    "is cut": (200, cut_short),
    "breaks its chunks": (502, says(CHUNKED + b"1\r\nxnonsense")),
    "says too much": (200, says(OK + b"HTTP/1.1 200 OK\r\n\r\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAYS)
def test_a_provider_that(scene: Scene, name: str) -> None:
    status, scene.provider.play = PLAYS[name]
    slow = status == 504 or "silent" in name
    for route in ("bearer",) if slow else ROUTES:
        raw = scene.send(scene.build(route))
        assert raw.startswith(b"HTTP/1.1 %d " % status), raw
    assert_clean(scene)


@pytest.mark.parametrize("route", OTHERS)
def test_a_route_that_leads_nowhere(scene: Scene, route: str) -> None:
    raw = scene.send(scene.build(route))
    assert raw.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 503 ", b"HTTP/1.1 504 ")), raw
    assert_clean(scene)


@pytest.mark.parametrize("route", ROUTES)
def test_a_bot_that_is_wrong(scene: Scene, route: str) -> None:
    scene.provider.play = says(OK)
    good = scene.build(route)
    wrong = scene.token[:-1] + ("a" if scene.token[-1] != "a" else "b")
    token = scene.token.encode()
    for data in (
        scene.build(route, wrong),
        scene.build(route, scene.running.token("idle")),
        good.replace(b"/" + route.encode(), b"/nowhere", 1),
        good.replace(b"/" + route.encode(), b"/bearer", 1),
        good.replace(b"Host: gateway", b"Authorization: Bearer other\r\nX-Key: other\r\nHost: a b"),
        good.replace(b"HTTP/1.1", b"HTTP/2.0", 1),
        good.replace(b"Host: gateway", b"Host: gateway\r\nX:" + b"x" * 70_000),
        good.replace(b"Connection: close", b"Connection: close\r\nbad header: " + token),
        good.replace(b"Connection: close", b"Connection: close\r\nX: \x00" + token),
        good.replace(b"Connection: close", b"Connection: close\r\nTransfer-Encoding: " + token),
        good.replace(b"Connection: close", b"Connection: close\r\nExpect: " + token),
        good.replace(b"Connection: close", b"Connection: upgrade\r\nUpgrade: " + token),
        good.replace(b"POST ", token + b" ", 1),
        good.replace(b" HTTP/1.1", b"?" + token + b"\x7f HTTP/1.1", 1),
        good[: len(good) // 2],
    ):
        with connected(scene.running.port) as sock:
            sock.sendall(data)
            answer = sock.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 "), data
        scene.answers.append(answer)
    assert_clean(scene)


def test_a_bot_that_leaves(scene: Scene) -> None:
    scene.provider.play = says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    for route in ROUTES:
        with connected(scene.running.port) as sock:
            sock.sendall(scene.build(route))
            assert sock.recv(65_536).startswith(b"HTTP/1.1 200 ")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    scene.running.records(len(ROUTES), code="client_gone")
    assert_clean(scene)


def test_the_keys_reach_their_provider(scene: Scene) -> None:
    """Or none of the other tests would say anything."""
    scene.provider.play = says(OK)
    scene.provider.got.clear()
    for route in ROUTES:
        scene.send(scene.build(route))
    for name in ("env key", "file key"):
        assert traces(b"".join(scene.provider.got), {name: KEYS[name]})
    assert not traces(b"".join(scene.provider.got), {"token": core(scene.token)})
    assert_clean(scene)


def test_the_command_line_shows_no_key(scene: Scene) -> None:
    for words in (("token", "list", "--json"), ("routes",)):
        done = scene.running.try_cli(*words)
        assert not traces((done.stdout + done.stderr).encode(), KEYS | tokens(scene)), words


def tokens(scene: Scene) -> dict[str, str]:
    return {f"token of {bot}": core(scene.running.token(bot)) for bot in ("tester", "idle")}


def assert_clean(scene: Scene) -> None:
    """Assert that neither keys nor tokens are in anything that the gateway gave away."""
    running = scene.running
    eventually(lambda: not running.metrics()["gateway_open_exchanges"], "end of every exchange")
    everything = {
        "stderr": running.stderr().encode(),
        "the record": (running.folder / "record.jsonl").read_bytes(),
        "metrics": running.ask("/metrics")[1],
        "readiness": running.ask("/readyz")[1],
        "answers": b"\n".join(scene.answers),
    }
    for place, text in everything.items():
        assert traces(text, KEYS | tokens(scene)) == [], place
    for path in (running.folder / "state").iterdir():
        assert traces(path.read_bytes(), KEYS | tokens(scene)) == [], path.name


PASTED = [
    'routes: {openai: {secret: "@@"}}',
    'routes: {openai: {secret: "env:@@"}}',
    "routes: {openai: {secret: @@ : x}}",
    'routes: {openai: {secret: null, upstream: "http://user:@@@x.invalid"}}',
    'routes: {openai: {secret: null, upstream: "https://x.invalid/?key=@@"}}',
    'routes: {openai: {secret: null, token: ["@@"]}}',
    'routes: {openai: {secret: null, inject: [{header: "@@ "}]}}',
    'routes: {openai: {secret: null, "@@": 1}}',
    'routes: {openai: {secret: null}}\nbots: {a: {tokens: ["@@"]}}',
    'routes: {openai: {secret: null}}\nlog: "@@"',
    'routes: {openai: {secret: null}}\nlisten: "@@"',
    'routes: {openai: {secret: null}}\n"@@": 1',
    "routes: {openai: {secret: *@@}}",
    "routes: [@@",
    'routes: {openai: {secret: null, upstream: "${CANARY}"}}',
    'routes: {openai: {secret: null}}\nlisten: "${CANARY}"',
]


@pytest.mark.parametrize("text", PASTED)
def test_a_key_pasted_into_the_configuration_is_not_repeated(tmp_path: Path, text: str) -> None:
    key = KEYS["env key"]
    path = tmp_path / "routes.yaml"
    path.write_text(text.replace("@@", key))
    with pytest.raises(ConfigError) as caught:
        load(path, {"CANARY": key})
    told = "".join(traceback.format_exception(caught.value))
    assert traces(f"{told}{caught.value!r}".encode(), {"key": key}) == []


def test_a_line_of_the_record_is_json(scene: Scene) -> None:
    for line in (scene.running.folder / "record.jsonl").read_text().splitlines():
        assert isinstance(json.loads(line), dict)
