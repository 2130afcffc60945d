"""`gateway run` without a configuration serves, and what it prints works as printed."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from gateway.cli.demo import prepare
from gateway.stores.embedded import Embedded

ROOT = Path(__file__).parents[2]
DEADLINE = 40.0


def greeting(child: subprocess.Popen[bytes]) -> str:
    """Return what the child printed up to the last line of its greeting."""
    assert child.stdout is not None
    text = b""
    end = time.monotonic() + DEADLINE
    while b"Ctrl-C ends the demo." not in text:
        ready, _, _ = select.select([child.stdout], [], [], max(end - time.monotonic(), 0))
        chunk = os.read(child.stdout.fileno(), 65_536) if ready else b""
        assert chunk, "the demo did not greet"
        text += chunk
    return text.decode()


def call(method: str, url: str, headers: dict[str, str], body: str | None) -> dict[str, object]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=DEADLINE)
    try:
        connection.request(method, parts.path, body, headers)
        answer: dict[str, object] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer


def test_the_demo_serves_what_it_prints_and_revokes_its_tokens_at_the_end(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "gateway", "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    try:
        text = greeting(child)
        url, token, body = re.findall(r'curl (\S+) .*Bearer (\S+)".* -d \'(.*)\'', text)[0]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        assert "You said: Hello" in json.dumps(call("POST", url, headers, body))
        (telegram,) = re.findall(r"curl (\S+/getMe)", text)
        assert call("GET", telegram, {}, None)["ok"] is True
        child.send_signal(signal.SIGTERM)
        assert child.wait(DEADLINE) == 0
    finally:
        child.kill()
        child.communicate()
    listed = Embedded(tmp_path / ".gateway/demo/state").list_tokens()
    assert len(listed) == 2
    assert all(one.token.revoked is not None for one in listed)


def test_a_store_beside_the_demo_is_not_open_to_the_group(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        prepare(tmp_path / ".gateway" / "demo", "http://127.0.0.1:1").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / ".gateway").stat().st_mode) == 0o700
