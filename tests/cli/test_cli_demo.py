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

from gateway.cli.demo import _greeting, prepare
from gateway.config import load
from gateway.core import tokens
from gateway.demo.keys import KEYS
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


def test_the_demo_writes_a_configuration_that_loads(tmp_path: Path) -> None:
    ready = prepare(tmp_path / ".gateway" / "demo", "http://127.0.0.1:4321")
    snapshot = load(ready.config, {})
    assert set(snapshot.routes) == set(snapshot.bots["demo"].allow)
    assert set(snapshot.routes) == set(KEYS)
    assert str(snapshot.routes["openai"].origin) == "http://127.0.0.1:4321"
    listed = {one.token.digest for one in ready.store.list_tokens()}
    assert listed == {tokens.digest(text.encode()) for text in ready.tokens.values()}
    assert snapshot.settings.listeners[0].port == ready.port
    for path in (tmp_path / ".gateway" / "demo").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    for name in snapshot.routes:
        secret = (ready.config.parent / "secrets" / name).read_text()
        assert secret == KEYS[name] + "\n"
    ready.close()
    assert all(one.token.revoked for one in ready.store.list_tokens())


def test_the_demo_can_be_prepared_again(tmp_path: Path) -> None:
    prepare(tmp_path, "http://127.0.0.1:4321")
    ready = prepare(tmp_path, "http://127.0.0.1:4322")
    assert load(ready.config, {}).routes["openai"].origin.port == 4322


def test_the_demo_says_what_to_do_in_commands_that_can_be_pasted(tmp_path: Path) -> None:
    ready = prepare(tmp_path, "http://127.0.0.1:4321")
    text = _greeting(ready, "http://127.0.0.1:4321")
    assert f"http://127.0.0.1:{ready.admin}/metrics" in text
    (curl,) = re.findall(r"^  curl (.*chat/completions .*)$", text, re.MULTILINE)
    body = re.search(r"-d '(.*)'$", curl)
    assert body is not None
    assert json.loads(body[1])["model"] == "gpt-5-mini"
    snippet = text.partition("changes:\n\n")[2].partition("\nFor your own")[0]
    compile(snippet.replace("\n  ", "\n").strip(), "snippet", "exec")
    assert f'api_key="{ready.tokens["plain"]}"' in snippet
