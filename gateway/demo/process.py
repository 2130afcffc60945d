"""Starts the demo provider in a process of its own; needs nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import urlsplit

from gateway.demo.sighting import Sighting, from_json

START_SECONDS = 15.0
STOP_SECONDS = 3.0
CALL_SECONDS = 10.0
ANNOUNCEMENT = "demo provider on "


class DemoProcess:
    """A running demo provider; leaving its ``with`` block stops it."""

    def __init__(self, child: subprocess.Popen[bytes], url: str) -> None:
        self._child = child
        self.url = url
        self.port = int(urlsplit(url).port or 0)
        self.host = str(urlsplit(url).hostname)

    @property
    def pid(self) -> int:
        return self._child.pid

    def seen(self) -> list[Sighting]:
        """The requests that it received, oldest first."""
        return [from_json(record) for record in json.loads(self._call("GET", "/_seen"))]

    def clear(self) -> None:
        """Forget the requests received so far."""
        self._call("DELETE", "/_seen")

    def push(self, text: str, chat_id: int = 1) -> int:
        """A person writes to the Telegram bot; gives the number of the update."""
        said = json.dumps({"text": text, "chat_id": chat_id})
        return int(json.loads(self._call("POST", "/_updates", said))["update_id"])

    def is_running(self) -> bool:
        return self._child.poll() is None

    def stop(self) -> None:
        """End the process: ask by closing its input, and insist where that does not help."""
        _stop(self._child)

    def __enter__(self) -> DemoProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _call(self, method: str, path: str, body: str | None = None) -> bytes:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=CALL_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise RuntimeError(f"demo provider: {method} {path} gave {response.status}")
        return answer


def start(keys: Mapping[str, str] | None = None, *, port: int = 0) -> DemoProcess:
    """Start a demo provider and wait until it accepts connections; it dies with this process."""
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
        command(keys or {}, port),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # An interrupt typed at the terminal is for the parent; this one ends when that one has.
        start_new_session=True,
        # The package is then found even where it is not installed.
        cwd=Path(__file__).parents[2],
    )
    try:
        return DemoProcess(child, _announced(child))
    except BaseException:
        _stop(child)
        raise


def command(keys: Mapping[str, str], port: int) -> list[str]:
    """The command line of the child."""
    pairs = [part for name, value in keys.items() for part in ("--key", f"{name}={value}")]
    module = [sys.executable, "-m", "gateway.demo"]
    return [*module, "--port", str(port), "--until-stdin-closes", *pairs]


def _announced(child: subprocess.Popen[bytes]) -> str:
    line = _first_line(_pipe(child.stdout), time.monotonic() + START_SECONDS)
    if not line.startswith(ANNOUNCEMENT):
        raise RuntimeError("the demo provider did not start; its messages are on standard error")
    return line.removeprefix(ANNOUNCEMENT).strip()


def _first_line(pipe: IO[bytes], deadline: float) -> str:
    """What the child wrote up to a line end, its own end or the deadline."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
        chunk = os.read(pipe.fileno(), 1024) if ready else b""
        if not chunk:
            break
        line += chunk
    return line.decode(errors="replace")


def _stop(child: subprocess.Popen[bytes]) -> None:
    _pipe(child.stdin).close()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    _pipe(child.stdout).close()


def _pipe(pipe: IO[Any] | None) -> IO[Any]:
    if pipe is None:
        raise RuntimeError("the child was started without this pipe")
    return pipe
