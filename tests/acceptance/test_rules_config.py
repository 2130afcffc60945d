"""A configuration with ten faults, as an operator sees it: ten lines, each at its place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """\
listen: 127.0.0.1:notaport
adresses: [10.0.0.0/8]
addresses: [10.0.0.1/8]
proxies: {trusted: [0.0.0.0/0]}
limits: [{requests: 60}]
routes:
  openai: {secret: sk-live-0123456789abcdef0123456789abcdef}
  telegram: {secret: "env:TELEGRAM_KEY", upstream: "http://telegram.example.com"}
bots:
  support:
    groups: [nobody]
    allow:
      - {route: telegram, models: [gpt-5-mini]}
      - {route: opneai}
"""

EXPECTED = [
    (1, 9, "listen", "an address is written"),
    (2, 1, "adresses", "did you mean addresses?"),
    (3, 13, "addresses[0]", "10.0.0.0/8"),
    (4, 21, "proxies.trusted[0]", "everybody"),
    (5, 10, "limits[0]", "`per`"),
    (7, 20, "routes.openai.secret", "never the key"),
    (8, 52, "routes.telegram.upstream", "insecure: true"),
    (11, 14, "bots.support.groups[0]", "unknown group"),
    (13, 27, "bots.support.allow[0].models", "telegram has no models"),
    (14, 17, "bots.support.allow[1].route", "did you mean openai?"),
]


def check(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "check", "--config", str(file), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(FAULTS)
    return path


def test_a_file_with_ten_faults_reports_ten(file: Path) -> None:
    done = check(file)
    assert done.returncode == 2
    said = re.findall(rf"(?m)^{re.escape(str(file))}:(\d+):(\d+): (\S+): (.*)$", done.stderr)
    found = [(int(line), int(column), place) for line, column, place, _ in said]
    assert found == [(line, column, place) for line, column, place, _ in EXPECTED]
    for (*_, message), (*_, words) in zip(said, EXPECTED, strict=True):
        assert words in message, message
    assert "sk-live" not in done.stderr + done.stdout


def test_the_same_ten_as_json(file: Path) -> None:
    done = check(file, "--json")
    assert done.returncode == 2
    problems = json.loads(done.stdout)["problems"]
    assert [(p["line"], p["column"], p["place"]) for p in problems] == [e[:3] for e in EXPECTED]
    assert "sk-live" not in done.stdout
