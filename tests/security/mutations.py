"""A seed garden of heads that real SDKs send, and a seeded mutator over it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from tests.security.table import AUTH, CARRIED, DENIED, REFUSED

_LENGTH = re.compile(rb"(?im)^content-length: (\d+)")
_END = b"\r\n\r\n"

# What parsers have disagreed about.
_PIECES = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\n ", b"\r\n\t", b"\x00", b"\x0b", b"\x0c",
    b"\x7f", b"\x85", b"\xa0", b" ", b"\t", b":", b" :", b": ", b",", b";", b"_", b"#", b"?", b"//",
    b"%", b"%00", b"%2e", b"0", b"00", b"+", b"-", b"0x", b"1", b"9" * 20, b"chunked", b"identity",
    b"close", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length : 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Host: b\r\n",
    b"Transfer-Encoding:\tchunked\r\n", b"transfer-encoding: ChunKed \r\n", b"TE: trailers\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Upgrade: websocket\r\n",
    b"Connection: transfer-encoding, content-length\r\n", b"Expect: 100-continue\r\n",
    b"User-Agent: x\r\n", b"Content-Type: a/b\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n",
    b"5;x\r\nhello\r\n",
    b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
]  # fmt: skip


def garden() -> list[bytes]:
    """Return whole requests: each head of the garden, with the token and a body that fits."""
    text = (Path(__file__).parent / "garden.txt").read_bytes().strip()
    seeds = []
    for block in text.split(b"\n\n"):
        start, rest = block.replace(b"\n", b"\r\n").split(b"\r\n", 1)
        head = start + b"\r\n" + AUTH + rest + _END
        length = _LENGTH.search(rest)
        body = b"x" * int(length[1]) if length else b""
        if b"chunked" in rest:
            body = b"5\r\nhello\r\n6;e\r\n world\r\n0\r\n\r\n"
        seeds.append(head + body)
    return seeds


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` mutations, the same ones for the same seed."""
    rng = random.Random(seed)
    seeds = garden() + [case.raw for case in CARRIED + DENIED if len(case.raw) < 2000]
    broken = [case.raw for case in REFUSED if len(case.raw) < 2000]
    for _ in range(count):
        data = rng.choice(seeds if rng.random() < 0.8 else broken)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
            data = _mutate(rng, data, seeds)
        yield data


def _mutate(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    at = _somewhere(rng, data)
    end = at + rng.choice((1, 1, 2, 4, 16))
    match rng.randrange(8):
        case 0 | 1:
            return data[:at] + rng.choice(_PIECES) + data[at:]
        case 2:
            return data[:at] + rng.choice(_PIECES) + data[end:]
        case 3:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 4:
            return data[:at] + data[end:]
        case 5:  # a line twice, or elsewhere
            lines = data.split(b"\r\n")
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
            return b"\r\n".join(lines)
        case 6:
            return data + rng.choice(seeds)
        case _:
            other = rng.choice(seeds)
            return data[:at] + other[_somewhere(rng, other) :]


def _somewhere(rng: random.Random, data: bytes) -> int:
    """Return a place to change: more often next to something that means something."""
    if rng.random() < 0.5:
        marks = [m.start() for m in re.finditer(rb"[\r\n:; /,]", data)]
        if marks:
            return rng.choice(marks) + rng.randrange(2)
    return rng.randrange(len(data) + 1)
