"""Framing corpora of other projects, as bytes that a bot sends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "corpora"
needs_corpora = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the corpora are not here: ../shared/corpora"
)

_CASE = re.compile(
    r"<!-- meta=(\{[^\n]*\}) -->\s*^```http\n(.*?)^```$[^`]*^```log\n(.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_TITLE = re.compile(r"^#+ (.*)$", re.MULTILINE)
_ERROR = re.compile(r"error code=\d+ reason=\"([^\"]*)\"")
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}
# llhttp stops here for reasons of its own, not because the message is wrong.
_STOPS = ("Pause on CONNECT/Upgrade", "Span callback error", "on_")


@dataclass(frozen=True)
class Sample:
    """One case of a corpus. `label` is the corpus's own judgement."""

    name: str
    raw: bytes
    label: str
    messages: int = 1
    """How many messages it begins."""


@cache
def llhttp() -> list[Sample]:
    """llhttp's request cases: `accepted` and `rejected`; `lenient` is accepted with checks off."""
    samples: list[Sample] = []
    for path in sorted((FOLDER / "llhttp" / "request").glob("*.md")):
        text = path.read_text()
        for match in _CASE.finditer(text):
            title = (_TITLE.findall(text, 0, match.start()) or [path.stem])[-1]
            meta, source, log = match.groups()
            reasons = [r for r in _ERROR.findall(log) if not r.startswith(_STOPS)]
            label = "rejected" if reasons else "accepted"
            if "lenient" in meta and not reasons:
                label = "lenient"
            name = f"{path.stem}: {title} #{len(samples)}"
            begun = log.count(" message begin")
            if any(r.startswith("Data after") for r in reasons):  # all but a message after the last
                begun += 1
            samples.append(Sample(name, _bytes(source), label, begun))
    return samples


def _bytes(source: str) -> bytes:
    """Undo what llhttp's own test runner undoes: line ends are CRLF, escapes are C's."""
    source = source.removesuffix("\n")
    source = re.sub(r"\\\n", "", source).replace("\n", "\r\n")
    source = re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), source)
    source = re.sub(r"\\([0-3][0-7]{1,2})", lambda m: chr(int(m[1], 8)), source)
    source = re.sub(r"\\([rntf])", lambda m: _ESCAPES[m[1]], source)
    return source.encode("latin-1", "replace")


@cache
def desync() -> list[Sample]:
    """http-desync-guardian's cases; `label` is the tier it expects."""
    samples = []
    for path in sorted((FOLDER / "desync-guardian").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            lines = [f"{case['method']} {case['uri']} {case['version']}"]
            for header in case["headers"] or ():
                name, value = (
                    str(header[k] if header[k] is not None else "") for k in ("name", "value")
                )
                lines.append(f"{name}:{value}" if value[:1] in " \t" else f"{name}: {value}")
            raw = "\r\n".join([*lines, "\r\n"]).encode("latin-1", "replace")
            samples.append(Sample(f"{path.stem}: {case['name']}", raw, case["expected"]["tier"]))
    return samples


_LINE = re.compile(rb"^([^\r\n]*HTTP/[^\r\n]*)\r\n")
_EACH = re.compile(rb"([A-Z]+ [^\r\n]* HTTP/[0-9.]+)\r\n")


def with_lines(raw: bytes, lines: bytes, every: bool) -> bytes:
    """Return `raw` with header lines of ours after its request line, or after `every` one.

    A Host is added where the first head has none: most of the cases were made without.
    """
    if not re.search(rb"\nhost\s*:", raw.partition(b"\r\n\r\n")[0], re.IGNORECASE):
        lines = b"Host: a\r\n" + lines
    return (_EACH if every else _LINE).sub(lambda m: m[0] + lines, raw)
