"""Rows 29 to 34 of the scoreboard, against a gateway that runs: nobody talks a rule round.

Row 35 is in test_rules_canary.py. That a revoked token and a frozen bot stop within a second is
in test_rules_switch.py; that every address of a name is judged, in tests/faults/test_dialling.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import random
import string
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import fmean, variance
from time import perf_counter_ns

import pytest

from gateway.config import ConfigError, load
from gateway.core.globs import PathGlob
from gateway.core.guesses import FREE
from gateway.core.tokens import digest, mint
from tests.core.test_addresses import NEVER, PRIVATE
from tests.core.test_clients import ODD
from tests.core.test_path_tricks import ALLOWED, REAL, judge, targets
from tests.faults.wire import Answer, Origin, provider
from tests.support.running import ENVIRONMENT, HEAD, Running, launch
from tests.support.volley import answers_all, case_of, cases, volley

CONFIGURATION = """\
routes:
  whole: {{provider: generic, secret: "env:ECHO_KEY", upstream: "http://127.0.0.1:{port}",
          private: true, prefix: /}}
  own: {{provider: generic, secret: "env:ECHO_KEY", upstream: "http://127.0.0.1:{port}/base",
        private: true}}
bots:
  free: {{allow: [whole, own]}}
  denied: {{allow: [whole], addresses: [10.1.0.0/16, "fd00:1::/32"]}}
"""
RULED = "".join(
    f"  ruled{number}: {{{{allow: [{{{{route: whole, paths: [{path!r}]}}}}, "
    f"{{{{route: own, paths: [{path!r}]}}}}]}}}}\n"
    for number, path in enumerate(ALLOWED)
)


class Scene:
    """A gateway, and the provider behind it that keeps every byte of what it gets."""

    def __init__(self, running: Running, origin: Origin) -> None:
        self.running = running
        self.origin = origin

    async def fire(
        self, heads: Sequence[bytes], source: str = "127.0.0.1"
    ) -> tuple[list[Answer], dict[int, bytes]]:
        """Send these heads; return the answers, and what reached the provider, by case."""
        self.origin.requests.clear()
        answers = await volley(self.running.port, cases(heads), source=source)
        return answers, {case_of(one.head): one.head for one in self.origin.requests}

    def head(self, bot: str, target: bytes, *lines: str, method: bytes = b"GET") -> bytes:
        """Return a head without its end."""
        shown = [f"Authorization: Bearer {self.running.token(bot)}", *lines]
        if not any(line.lower().startswith("host") for line in lines):
            shown.insert(0, "Host: gateway.test")
        start = b"%b %b HTTP/1.1\r\n" % (method, target)
        return start + "\r\n".join(shown).encode("latin-1")


@pytest.fixture
def more() -> str:
    """What stands in the configuration besides."""
    return ""


@pytest.fixture
async def scene(tmp_path: Path, more: str) -> AsyncIterator[Scene]:
    async with provider(answers_all) as origin:
        text = HEAD + more + (CONFIGURATION + RULED).format(port=origin.port)
        running = await asyncio.to_thread(launch, tmp_path, text, ENVIRONMENT)
        yield Scene(running, origin)
        await asyncio.to_thread(running.stop)


def target_of(head: bytes) -> bytes:
    return head.split(b" ", 2)[1]


# Row 29


async def test_29_path_tricks_over_the_wire_pass_no_rule(scene: Scene) -> None:
    """The path judged is the path sent, and whoever reads it after us reads it alike."""
    tricks = list(targets(b""))
    through = Counter[str]()
    for number, allowed in enumerate(ALLOWED):
        rule = PathGlob(allowed)
        sent = [prefix + one for one in tricks for prefix in (b"", b"/own")]
        _, got = await scene.fire([scene.head(f"ruled{number}", one) for one in sent])
        for case, head in got.items():
            went, came = (one.partition(b"?")[0] for one in (target_of(head), sent[case]))
            if went.startswith(b"/base"):
                assert came.startswith(b"/own")
                went, came = went[5:], came[4:]
            assert went == came, "the string judged is the string sent"
            judge(rule, went or b"/")
            through[allowed] += 1
    assert set(through) == set(ALLOWED), "some that are no tricks pass each rule"


async def test_29_no_real_path_is_refused(scene: Scene) -> None:
    for prefix, base in ((b"", b""), (b"/own", b"/base")):
        heads = [scene.head("ruled5", prefix + one) for one in REAL]
        answers, got = await scene.fire(heads)
        assert {answer.status for answer in answers} == {200}
        assert [target_of(got[case]) for case in range(len(REAL))] == [base + one for one in REAL]


# Row 30

ODD_TARGETS = [
    b"http://evil.example/files/x", b"https://evil.example/files/x", b"http:/files/x",
    b"http:///files/x", b"HTTP://evil.example/", b"evil.example:443", b"127.0.0.1:80", b"*",
    b"//evil.example/files/x", b"///evil.example/x", b"/\\evil.example/x", b"\\\\evil.example\\x",
    b"@evil.example/x", b"/x#@evil.example", b"?x", b"files/x", b".", b"..", b"",
]  # fmt: skip
ODD_METHODS = [
    b"CONNECT",
    b"TRACE",
    b"TRACK",
    b"get",
    b"Get",
    b"PRI",
    b"DEBUG",
    b"PROPFIND",
    b"G ET",
]
ODD_HOSTS = [
    "evil.example", "evil.example:443", "127.0.0.1", "[::1]:80", "localhost", "own", "a.b-c_d.e",
]  # fmt: skip
WRONG_HOSTS = [
    "evil.example/x", "user@evil.example", "evil.example, gateway.test", "", "evil.example:x",
    "a b", "evil.example?x", "evil.example#x", "http://evil.example", "gateway.test:99999999",
]  # fmt: skip
OVERRIDES = {
    name: value
    for names, value in (
        (("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"), "DELETE"),
        (("X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Uri"), "/admin"),
        (("X-Forwarded-Path", "X-Forwarded-Prefix"), "/admin"),
        (("X-Original-Host", "X-Host", "X-Forwarded-Host", "X-Forwarded-Server"), "evil.example"),
        (("X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Scheme"), "DELETE"),
        (("Forwarded",), "for=1.2.3.4;host=evil.example;proto=http"),
        (("Via", "X-Forwarded-Port", "X-Forwarded-Ssl"), "1.1 evil.example"),
        (("Proxy-Connection", "Proxy-Authorization", "TE", "Keep-Alive"), "x"),
    )
    for name in names
}


def plain(scene: Scene, head: bytes) -> None:
    """Assert that a head at the provider is the one that the configuration and the path make."""
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0] == "GET /base/files/x HTTP/1.1"
    assert [one for one in lines if one.lower().startswith("host:")] == [
        f"Host: 127.0.0.1:{scene.origin.port}"
    ]
    names = {one.partition(":")[0].lower() for one in lines[1:] if one}
    assert not names & {name.lower() for name in OVERRIDES}
    assert b"evil" not in head
    assert ENVIRONMENT["ECHO_KEY"].encode() in head


async def test_30_no_header_changes_host_method_or_path(scene: Scene) -> None:
    lines = [f"{name}: {value}" for name, value in OVERRIDES.items()]
    lines += [f"{name.lower()}:{value}" for name, value in OVERRIDES.items()]
    sets = [(line,) for line in lines] + [tuple(lines[:12]), tuple(lines[12:24])]
    sets += [(f"Host: {host}",) for host in ODD_HOSTS]
    sets += [(f"Connection: {name}", f"{name}: {value}") for name, value in OVERRIDES.items()]
    sets += [("Connection: host", "X: 1"), ("Connection: Authorization, close",)]
    answers, got = await scene.fire([scene.head("free", b"/own/files/x", *one) for one in sets])
    for number in range(len(sets)):
        assert answers[number].status == 200, sets[number]
        plain(scene, got[number])


async def test_30_no_odd_request_reaches_the_provider(scene: Scene) -> None:
    heads = [scene.head("free", target) for target in ODD_TARGETS]
    heads += [scene.head("free", b"/own/files/x", method=method) for method in ODD_METHODS]
    heads += [scene.head("free", b"evil.example:443", method=b"CONNECT")]
    heads += [scene.head("free", b"/own/files/x", f"Host: {host}") for host in WRONG_HOSTS]
    heads += [scene.head("free", b"/own/files/x", "Host: a.test", "Host: evil.example")]
    heads += [scene.head("free", b"/own/files/x", f"X_Http_Method_Override: {n}") for n in "DE"]
    answers, got = await scene.fire(heads)
    assert not got
    assert {one.status // 100 for one in answers} <= {4, 5}
    assert {one.status for one in answers} <= {400, 404, 501}


# Row 31

NAMES = [
    "X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP", "Forwarded-For",
    "CF-Connecting-IP", "Fastly-Client-IP", "X-Cluster-Client-IP", "X-Remote-IP", "X-Remote-Addr",
    "X-Originating-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-ProxyUser-Ip", "Remote-Addr",
    "X-Forwarded", "X-Envoy-External-Address", "X-Forwarded-Host", "X-Host", "X-Custom-IP-Auth",
    "X-Original-Forwarded-For", "Via", "Forwarded", "From", "X-Trusted-IP", "Incap-Client-IP",
]  # fmt: skip
ALLOWED_IPS = ["10.1.0.1", "10.1.255.254", "fd00:1::1", "::ffff:10.1.0.1"]
SHAPES = [
    "{0}", "{0}:80", "[{0}]", "[{0}]:80", '"{0}"', "for={0}", 'for="{0}"', 'for="[{0}]:1"',
    "{0}, 127.0.0.1", "127.0.0.1, {0}", "{0},{0},{0}", "unknown, {0}", "{0} ", "\t{0}", "{0}%lo",
    "for={0};by={0}",
]  # fmt: skip
SPOOFED = [
    f"{name}: {shape.format(ip)}" for name in NAMES for ip in ALLOWED_IPS for shape in SHAPES
]
HOP = "127.0.0.2"
NOT_BELIEVED = [f"{name}: 10.1.0.1" for name in NAMES if name != "X-Forwarded-For"]
PROXIED = "proxies: {trusted: [127.0.0.2, 127.0.0.3]}\n"


async def test_31_no_spoofed_header_opens_for_a_denied_peer(scene: Scene) -> None:
    assert len(SPOOFED) >= 1_717
    answers, got = await scene.fire([scene.head("denied", b"/x", line) for line in SPOOFED])
    assert not got
    assert {one.status for one in answers} == {403}
    assert {one.error["code"] for one in answers} == {"address_not_allowed"}


@pytest.mark.parametrize("more", [PROXIED])
async def test_31_spoofed_to_a_gateway_that_trusts_others(scene: Scene) -> None:
    """The peer is none of the trusted ones, so nothing that it says counts."""
    answers, got = await scene.fire([scene.head("denied", b"/x", line) for line in SPOOFED])
    assert not got
    assert {one.error["code"] for one in answers} == {"address_not_allowed"}


def right_most_untrusted(elements: Sequence[str]) -> str:
    """Return whom a walk from right to left finds, where 127.0.0.2 and .3 are trusted."""
    for element in reversed(elements):
        if element not in (HOP, "127.0.0.3"):
            return element
    return elements[0]


@pytest.mark.parametrize("more", [PROXIED])
async def test_31_a_trusted_hop_vouches_for_the_right_most_untrusted_only(scene: Scene) -> None:
    chance = random.Random(31)
    pool = [HOP, "127.0.0.3", "10.1.0.1", "10.1.2.3", "fd00:1::7", "8.8.8.8", "10.2.0.1", "::1"]
    lists = [chance.choices(pool, k=chance.randint(1, 6)) for _ in range(1_000)]
    heads = []
    for one in lists:
        cut = chance.randint(0, len(one))
        lines = [f"X-Forwarded-For: {', '.join(part)}" for part in (one[:cut], one[cut:]) if part]
        heads.append(scene.head("denied", b"/x", *lines, *chance.sample(NOT_BELIEVED, 2)))
    answers, got = await scene.fire(heads, source=HOP)
    for number, one in enumerate(lists):
        client = right_most_untrusted(one)
        good = client.startswith(("10.1.", "fd00:1:"))
        assert (answers[number].status == 200) is (number in got) is good, (one, answers[number])
        if not good:
            assert f"Address {client} (" in answers[number].error["message"]
    found = {record["found"] for record in scene.running.records(len(lists), bot="denied")}
    assert "X-Forwarded-For, by way of 127.0.0.2" in found
    assert "X-Forwarded-For, by way of 127.0.0.3" in found


# Row 32

WRITTEN = {
    "10.1.0.1": "10.1.0.1", "10.1.0.1:443": "10.1.0.1", "[::ffff:10.1.0.1]": "10.1.0.1",
    "::ffff:10.1.0.1": "10.1.0.1", "::FFFF:0a01:1": "10.1.0.1", '[::ffff:10.1.0.1]:9': "10.1.0.1",
    "fd00:1::1": "fd00:1::1", "[FD00:0001::0001]:80": "fd00:1::1", "fd00:1:0:0::1": "fd00:1::1",
    "10.2.0.1": "", "::10.1.0.1": "", "64:ff9b::10.1.0.1": "", "2002:a01:1::": "",
    "fd00:2::1": "", "[::1]:80": "", "0.0.0.0": "", "255.255.255.255": "",
}  # fmt: skip
PLAIN = ("10.0.0.1 ", "[::1]")  # in a header these are
UNREADABLE = [
    *(one for one in ODD if one.isascii() and one.isprintable() and one not in PLAIN),
    "10.1.0.1:", "10.1.0.1:123456", "[10.1.0.1]", "fd00:1::1%eth0", "[fd00:1::1%25lo]", "unknown",
    "10.1.0.1;10.1.0.1", "10.1.0.1 10.1.0.1", "'10.1.0.1'", "10.1.0.1/16", "_hidden",
]  # fmt: skip


@pytest.mark.parametrize("more", [PROXIED])
async def test_32_every_way_to_write_an_address_is_read_alike(scene: Scene) -> None:
    forms = [*WRITTEN, *UNREADABLE]
    heads = [scene.head("denied", b"/x", f"X-Forwarded-For: {one}") for one in forms]
    answers, _ = await scene.fire(heads, source=HOP)
    for one, answer in zip(forms, answers, strict=True):
        if WRITTEN.get(one):
            assert answer.status == 200, one
        else:
            code = "address_not_allowed" if one in WRITTEN else "address_unreadable"
            assert (answer.status, answer.error["code"]) == (403, code), one
    shown = {
        record["address"] for record in scene.running.records(len(forms)) if not record["code"]
    }
    assert shown == {"10.1.0.1", "fd00:1::1"}


async def test_32_listeners_of_both_families_see_plain_addresses(tmp_path: Path) -> None:
    """`[::]` is IPv6 alone, so an IPv4 client is never seen as an IPv6 one."""
    async with provider(answers_all) as origin:
        head = HEAD.replace("127.0.0.1:{port}", '["0.0.0.0:{port}", "[::]:{port}"]')
        bots = "  four: {{allow: [own], addresses: [127.0.0.1]}}\n"
        bots += '  six: {{allow: [own], addresses: ["::1"]}}\n'
        text = head + (CONFIGURATION + bots).format(port=origin.port)
        running = await asyncio.to_thread(launch, tmp_path, text, ENVIRONMENT)
        try:
            for host, good, bad in (("127.0.0.1", "four", "six"), ("::1", "six", "four")):
                for name, status in ((good, 200), (bad, 403)):
                    assert await asyncio.to_thread(_status, running, host, name) == status
                record = await asyncio.to_thread(running.record, bot=good, outcome="answered")
                assert record["address"] == host
        finally:
            await asyncio.to_thread(running.stop)


def _status(running: Running, host: str, name: str) -> int:
    connection = http.client.HTTPConnection(host, running.port, timeout=20)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {running.token(name)}"}
        connection.request("GET", "/own/x", headers=headers)
        return connection.getresponse().status


@pytest.mark.parametrize(
    "network",
    [
        "10.0.0.0/33", "10.0.0.1/8", "10.0.0", "127.1", "0x7f.0.0.1", "2130706433", "010.0.0.1",
        "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.0/255.0.0.0", "10.0.0.*", "10.0.0.0-9",
        "localhost", "", "::/129", "[::1]", "10.0.0.1:80",
    ],
)  # fmt: skip
def test_32_an_allowlist_holds_nothing_that_can_be_read_in_two_ways(
    tmp_path: Path, network: str
) -> None:
    path = tmp_path / "routes.yaml"
    route = "routes: {openai: {secret: null}}"
    path.write_text(f"addresses: [{network!r}]\n{route}\n")
    with pytest.raises(ConfigError, match=r"routes\.yaml:1:13: addresses\[0\]: "):
        load(path, {})


# Row 33

GUESSES = 10_000
SLOWED = 0.05
SAMPLES = 100_000


@pytest.mark.parametrize("more", [f"deadlines: {{wrong_token: {SLOWED}}}\n"])
async def test_33_ten_thousand_guesses_are_slowed_and_lock_nobody_out(scene: Scene) -> None:
    running = scene.running
    right = scene.head("free", b"/x")
    token = running.token("free").encode()
    guesses = [right.replace(token, token[:-8] + b"%08d" % number) for number in range(GUESSES)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    flood = loop.create_task(volley(running.port, cases(guesses), wires=500), name="flood")
    statuses = []
    while not flood.done():
        statuses += [one.status for one in (await volley(running.port, cases([right]), wires=1))]
        await asyncio.sleep(0)
    answers = await flood
    assert loop.time() - began >= GUESSES / 500 * SLOWED * 0.9
    assert Counter(one.status for one in answers) == {401: FREE, 429: GUESSES - FREE}
    assert len(statuses) >= 5
    assert set(statuses) == {200}, "from the very address that guesses"
    assert len(scene.origin.requests) == len(statuses)
    metrics = await asyncio.to_thread(running.metrics)
    refused = 'gateway_refusals_total{code="too_many_wrong_tokens",route="whole"}'
    assert metrics[refused] == GUESSES - FREE


def test_33_looking_a_token_up_tells_nothing_by_its_time() -> None:
    """Welch's t-test, as dudect does it: right up to the last characters, or wrong from the first.

    Every token is looked up once, so that nothing but what it holds makes a difference.
    """
    chance = random.Random(33)
    right = mint(chance.randbytes(32)).encode()
    known = {digest(mint(chance.randbytes(32)).encode()): 1 for _ in range(1_000)}
    known[digest(right)] = 1
    alphabet = string.ascii_letters + string.digits

    def wrong(count: int) -> bytes:
        return right[: len(right) - count] + "".join(chance.choices(alphabet, k=count)).encode()

    near = [wrong(8) for _ in range(SAMPLES // 2)]
    far = [wrong(len(right) - 8) for _ in range(SAMPLES // 2)]
    samples = [(0, one) for one in near] + [(1, one) for one in far]
    chance.shuffle(samples)
    times: tuple[list[int], list[int]] = ([], [])
    clock = perf_counter_ns
    for kind, token in samples:
        before = clock()
        known.get(digest(token))
        times[kind].append(clock() - before)
    cut = sorted(times[0] + times[1])[int(SAMPLES * 0.95)]  # what the machine did meanwhile
    one, other = ([time for time in taken if time <= cut] for taken in times)
    spread = variance(one) / len(one) + variance(other) / len(other)
    assert abs(fmean(one) - fmean(other)) / spread**0.5 < 4.5


# Row 34

WRONG_URLS = [
    "https://2130706433", "https://2130706433/v1", "https://127.1", "https://0177.0.0.1",
    "https://0x7f.0.0.1", "https://0x7f000001", "https://127.0.0.1.", "https://[::1%25lo]",
    "https://[::ffff:127.0.0.1%lo]", "https://127.0.0.1:99999", "https://1.2.3", "https://1.2.3.4.5",
    "https://256.1.1.1", "ftp://api.example", "file:///etc/passwd", "https://", "https:///x",
    "https://user@api.example", "https://api.example@127.0.0.1", "https://api.example#@127.0.0.1",
    "https://api.example?x", "https://api.example\\@127.0.0.1", "https://[::1", "https://a b",
    "https://api.example/../x", "https://api.example/%2e%2e/x", "https://1.2.3.4:0",
    "https://\u2460\u2461\u2466.0.0.1", "https://127\u30020.0.1", "gopher://127.0.0.1:6379/",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG_URLS)
def test_34_an_upstream_is_a_plain_url(tmp_path: Path, url: str) -> None:
    assert "routes.r.upstream" in refused(tmp_path, url, "private: true, ")


@pytest.mark.parametrize("address", [*NEVER, *PRIVATE])
def test_34_a_private_address_needs_leave(tmp_path: Path, address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    said = refused(tmp_path, f"https://{host}", "")
    assert "private or loopback" in said or "zone" in said


def refused(folder: Path, url: str, keys: str) -> str:
    """Return why a configuration with this upstream is refused."""
    route = f"{{provider: generic, secret: null, {keys}upstream: {json.dumps(url)}}}"
    (folder / "routes.yaml").write_text(f"routes: {{r: {route}}}\n")
    with pytest.raises(ConfigError) as caught:
        load(folder / "routes.yaml", {})
    return str(caught.value)


async def test_34_what_is_never_dialled_is_not_dialled_with_leave_either(tmp_path: Path) -> None:
    """Refused without a connection: by what the address says, before anything is sent."""
    hosts = [f"[{one}]" if ":" in one else one for one in NEVER if "%" not in one]
    keys = 'provider: generic, secret: "env:ECHO_KEY", private: true, insecure: true'
    routes = "".join(
        f'  r{n}: {{{keys}, upstream: "http://{host}:9"}}\n' for n, host in enumerate(hosts)
    )
    bots = f"bots: {{free: {{allow: [{', '.join(f'r{n}' for n in range(len(hosts)))}]}}}}\n"
    text = HEAD + "deadlines: {connect: 3}\nroutes:\n" + routes + bots
    running = await asyncio.to_thread(launch, tmp_path, text, ENVIRONMENT)
    try:
        shown = f"Host: gateway.test\r\nAuthorization: Bearer {running.token('free')}"
        heads = [f"GET /r{n}/x HTTP/1.1\r\n{shown}".encode() for n in range(len(hosts))]
        answers = await volley(running.port, cases(heads))
        for host, answer in zip(hosts, answers, strict=True):
            assert (answer.status, answer.error["code"]) == (502, "upstream_address"), host
    finally:
        await asyncio.to_thread(running.stop)
