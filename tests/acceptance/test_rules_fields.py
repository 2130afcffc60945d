"""Field tricks through a gateway that runs: no reader of what arrives finds what was not judged.

The readers are in tests/support/lenient.py. What one field of one kind may hold is in the tables
of tests/core/test_fields*.py; here the whole way counts, content types and framing included.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.wire import Answer, Origin, provider
from tests.support import lenient
from tests.support.running import ENVIRONMENT, HEAD, Running, launch
from tests.support.volley import CASE, answers_all, case_of, volley

CONFIGURATION = """\
routes:
  openai: {{secret: "env:OPENAI_KEY", upstream: "http://127.0.0.1:{port}", private: true}}
  telegram: {{secret: "env:TELEGRAM_KEY", upstream: "http://127.0.0.1:{port}", private: true}}
bots:
  modest: {{allow: [{{route: openai, presets: [inference], models: [good]}},
                   {{route: telegram, presets: [send], chats: [777]}}]}}
"""
FUZZED = 2_400
JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"
END = b"--b--\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """A provider's field that a rule is about: one value is allowed, `BAD` never."""

    path: str
    field: str
    good: bytes
    bad: bytes


MODEL = Target("/openai/v1/chat/completions", "model", b"good", b"evil")
CHAT = Target("/telegram/bot@@/sendMessage", "chat_id", b"777", b"666")


@dataclass(frozen=True, slots=True)
class Body:
    """A request as far as its fields go. `chunk`: bytes in each chunk, 0 for a Content-Length."""

    target: Target
    kind: bytes
    body: bytes
    query: bytes = b""
    chunk: int = 0

    def request(self, number: int, token: str) -> bytes:
        path = self.target.path.replace("@@", token).encode()
        path += b"?" + self.query if self.query else b""
        lines = [
            b"POST %b HTTP/1.1" % path,
            b"Host: gateway.test",
            b"%b: %d" % (CASE.encode(), number),
        ]
        lines += [b"Authorization: Bearer " + token.encode()] if self.target is MODEL else []
        lines += [b"Content-Type: " + self.kind] if self.kind else []
        if not self.chunk:
            lines.append(b"Content-Length: %d" % len(self.body))
            return b"\r\n".join([*lines, b"\r\n"]) + self.body
        cut = range(0, len(self.body), self.chunk)
        pieces = [self.body[at : at + self.chunk] for at in cut]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        return (
            b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"\r\n"]) + chunks + b"0\r\n\r\n"
        )


class Scene:
    """A gateway between the tricks and a provider that keeps what it gets."""

    def __init__(self, running: Running, origin: Origin) -> None:
        self.running = running
        self.origin = origin

    async def arrived(self, bodies: Sequence[Body]) -> tuple[list[Answer], set[int]]:
        """Send all; assert that no reader finds a bad value in what arrived; return which did."""
        token = self.running.token("modest")
        requests = [one.request(number, token) for number, one in enumerate(bodies)]
        self.origin.requests.clear()
        answers = await volley(self.running.port, requests)
        got = set()
        for one in self.origin.requests:
            number = case_of(one.head)
            sent = bodies[number]
            assert one.body == sent.body, "the bytes judged are the bytes sent"
            start, _, rest = one.head.partition(b"\r\n")
            query = start.split(b" ")[1].partition(b"?")[2]
            kind = rest.lower().partition(b"content-type:")[2].partition(b"\r\n")[0].strip()
            found = lenient.values(sent.target.field, query, kind, one.body)
            assert found == {sent.target.good.decode()}, (sent, found)
            got.add(number)
        assert {number for number, one in enumerate(answers) if one.status == 200} == got
        assert {one.status for one in answers} <= {200, 400, 403, 413}
        return answers, got


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with provider(answers_all) as origin:
        text = HEAD + CONFIGURATION.format(port=origin.port)
        running = await asyncio.to_thread(launch, tmp_path, text, ENVIRONMENT)
        yield Scene(running, origin)
        await asyncio.to_thread(running.stop)


def part(name: bytes, value: bytes, more: bytes = b"", lines: bytes = b"") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n%b\r\n' % (name, more, lines)
    return head + value + b"\r\n"


FILE = part(b"photo", b"\x89PNG" * 64, b'; filename="a.png"')


def honest(target: Target) -> list[Body]:
    """Return requests as SDKs send them."""
    name, good = target.field.encode(), target.good
    quoted = good if good.isdigit() else b'"%b"' % good
    return [
        Body(target, JSON, b'{"%b":%b,"text":"x"}' % (name, quoted)),
        Body(
            target, JSON, b'{"text":"%b=evil&%b=666","%b":%b}' % (name, name, name, quoted), b"", 7
        ),
        Body(target, JSON + b"; charset=utf-8", b'{"%b":"%b"}' % (name, good)),
        Body(target, FORM, b"%b=%b&text=x" % (name, good)),
        Body(target, FORM, b"text=%%7B%%22%b%%22%%3A6%%7D&%b=%b" % (name, name, good), b"", 5),
        Body(target, MULTIPART, part(name, good) + FILE + END),
        Body(
            target, MULTIPART, part(name, good) + part(b"text", b"x") + FILE + FILE + END, b"", 64
        ),
        Body(target, b"", b"", b"%b=%b" % (name, good)),
    ]


def tricks(target: Target) -> list[Body]:
    """Return requests that say the good value to some reader, and the bad one to another."""
    name, good, bad = target.field.encode(), target.good, target.bad
    upper, escaped = name.upper(), b"\\u%04x" % name[0] + name[1:]
    a, b = b'"%b":"%b"' % (name, good), b'"%b":"%b"' % (name, bad)
    json = [
        b"{%b,%b}" % (a, b), b"{%b,%b}" % (b, a), b'{%b,"%b":"%b"}' % (a, upper, bad),
        b'{%b,"%b":"%b"}' % (a, escaped, bad), b'{"%b":"%b",%b}' % (escaped, bad, a),
        b'{"%b":["%b","%b"]}' % (name, good, bad), b'{"%b":["%b"]}' % (name, bad),
        b'{"%b":{"x":"%b"}}' % (name, bad), b'{%b,"%b\\u0000":"%b"}' % (a, name, bad),
        b"{%b}{%b}" % (a, b), b"[{%b}]" % b,
        b"{/*%b,*/%b}" % (a, b), b"{%b}\0" % b, b"{%b" % b, f"{{{b.decode()}}}".encode("utf-16"),
        b"\xef\xbb\xbf{%b}" % b, b'{"%b":"%b\\ud800"}' % (name, good), b"%b=%b" % (name, good),
    ]  # fmt: skip
    form = [
        b"%b=%b&%b=%b" % (name, good, name, bad), b"%b=%b&%b=%b" % (name, bad, name, good),
        b"%b=%b&%b=%b" % (name, good, upper, bad), b"%b=%b&%b[]=%b" % (name, good, name, bad),
        b"%b=%b&%b[0]=%b" % (name, good, name, bad), b"%b=%b;%b=%b" % (name, good, name, bad),
        b"%b=%b&%%%02x%b=%b" % (name, good, name[0], name[1:], bad),
        b"%b=%b&x;%b=%b" % (name, good, name, bad),
        b"%b=%b&%b%%00=%b" % (name, good, name, bad), b"%b=%b&+%b=%b" % (name, good, name, bad),
        b'{"%b":"%b","x":"&%b=%b&"}' % (name, bad, name, good), b"{%b}" % b,
        b' \n{"%b":"%b","x":"&%b=%b&"}' % (name, bad, name, good),
    ]  # fmt: skip
    file = b'; filename="f"'
    multipart = [
        part(name, good) + part(name, bad) + END, part(name, bad) + part(name, good) + END,
        part(name, good) + FILE + part(name, bad) + END, FILE + part(name, bad) + END,
        part(name, good) + part(upper, bad) + END, part(name, good) + part(name + b"[]", bad) + END,
        part(name, good) + part(name, bad, file) + END, part(name, bad, file) + END,
        part(name, good) + END + part(name, bad) + END,
        part(name, bad) + END + part(name, good) + END,
        part(name, good) + part(b"x", bad, b"; name=%b" % name) + END,
        part(name, good) + part(b'x"; name="%b' % name, bad) + END,
        part(name, good) + part(b"x", bad, b"; name*=utf-8''%b" % name) + END,
        part(name, good) + part(name, bad).replace(b"\r\n", b"\n") + END,
        part(name, good, lines=b"Content-Transfer-Encoding: base64\r\n") + END,
        part(name, good) + part(b"x", b"y\n--b\n" + part(name, bad)) + END,
        b'{%b}\r\n' % b + part(name, good) + END, part(name, good),
    ]  # fmt: skip
    kinds = {JSON: json, FORM: form, MULTIPART: multipart}
    found = [Body(target, kind, body) for kind, bodies in kinds.items() for body in bodies]
    found += [Body(target, one.kind, one.body, b"", 3) for one in found]
    found += [Body(target, one.kind, one.body, b"%b=%b" % (name, bad)) for one in honest(target)]
    lies = [
        b"", b"text/plain", b"application/jsonx", b"text/json", b"*/*", b"multipart/form-data",
        b"multipart/mixed; boundary=b", JSON + b"; boundary=b, " + FORM, JSON + b";" + FORM,
        FORM + b"; charset=utf-16", JSON + b"; charset=utf-7", MULTIPART + b"; boundary=c",
    ]  # fmt: skip
    return found + [Body(target, lie, one.body) for lie in lies for one in honest(target)[:6]]


async def test_tricks_by_table_reach_no_provider(scene: Scene) -> None:
    for target in (MODEL, CHAT):
        sent = tricks(target)
        answers, got = await scene.arrived(sent)
        assert not got, [sent[number] for number in got]
        assert {one.status for one in answers} == {400, 403}, "unclear, or plainly another one"


async def test_what_sdks_send_is_no_trick(scene: Scene) -> None:
    for target in (MODEL, CHAT):
        sent = honest(target)
        _, got = await scene.arrived(sent)
        assert got == set(range(len(sent)))
        answers, got = await scene.arrived([swapped(one) for one in sent])
        assert not got
        assert {one.status for one in answers} == {403}


def swapped(one: Body) -> Body:
    good, bad = one.target.good, one.target.bad
    body, query = one.body.replace(good, bad), one.query.replace(good, bad)
    return Body(one.target, one.kind, body, query, one.chunk)


async def test_fuzzed_bodies_show_no_reader_a_bad_value(scene: Scene) -> None:
    """Pieces of honest requests and of tricks, put together, cut, swapped and framed by chance."""
    chance = random.Random(29)
    sent = [fuzzed(chance, chance.choice([MODEL, CHAT])) for _ in range(FUZZED)]
    _, got = await scene.arrived(sent)
    assert len(got) > FUZZED / 50, "enough were let through that it says something"
    assert len(got) < FUZZED / 2


def fuzzed(chance: random.Random, target: Target) -> Body:
    known = chance.choice([honest(target), tricks(target)])
    one, other = chance.choice(known), chance.choice(honest(target) + tricks(target))
    body = one.body
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        body = mutated(chance, target, body, other.body)
    kind = one.kind if chance.random() < 0.8 else other.kind
    query = chance.choice([one.query, one.query, other.query])
    return Body(target, kind, body, query, chance.choice([0, 0, 1, 5, 40]))


def mutated(chance: random.Random, target: Target, body: bytes, other: bytes) -> bytes:
    at = chance.randint(0, len(body))
    name, good, bad = target.field.encode(), target.good, target.bad
    piece = chance.choice([
        b"", b"&", b";", b'"', b",", b"{", b"}", b"[]", b"\r\n", b"\n", b"\0", b"%00", b" ", b"\\",
        b"--b\r\n", b"--b", b":", b"=", b"\xef\xbb\xbf", b"\xff", b"\\u0000",
        name, good, bad, name.title(), b'"%b":"%b",' % (name, bad), b"&%b=%b&" % (name, bad),
        part(name, bad), b'"x":"",',
    ])  # fmt: skip
    kind = chance.random()
    if kind < 0.5:
        return body[:at] + piece + body[at:]
    if kind < 0.7:
        return body[:at] + piece + body[at + chance.randint(0, 12) :]
    if kind < 0.85:
        return body.replace(good, bad, 1) if chance.random() < 0.5 else body.replace(bad, good)
    return body[:at] + other[chance.randint(0, len(other)) :]
