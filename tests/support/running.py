"""The gateway as an operator runs it: a process started, and given tokens, by the real CLI."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from gateway.demo.keys import KEYS

ROOT = Path(__file__).parents[2]
DEADLINE = 20.0
"""Seconds after which a test says that something never came."""

Found = TypeVar("Found")

ENVIRONMENT = {
    "OPENAI_KEY": KEYS["openai"],
    "ANTHROPIC_KEY": KEYS["anthropic"],
    "TELEGRAM_KEY": KEYS["telegram"],
    "GEMINI_KEY": KEYS["gemini"],
    "DISCORD_KEY": KEYS["discord"],
    "SLACK_KEY": KEYS["slack"],
    "ECHO_KEY": KEYS["echo"],
}

ROUTES = """\
routes:
  openai: {secret: "env:OPENAI_KEY", upstream: "{demo}", private: true}
  anthropic: {secret: "env:ANTHROPIC_KEY", upstream: "{demo}", private: true}
  telegram: {secret: "env:TELEGRAM_KEY", upstream: "{demo}", private: true}
  gemini: {secret: "env:GEMINI_KEY", upstream: "{demo}", private: true}
  discord: {secret: "env:DISCORD_KEY", upstream: "{demo}", private: true}
  slack: {secret: "env:SLACK_KEY", upstream: "{demo}", private: true}
  echo: {provider: generic, secret: "env:ECHO_KEY", upstream: "{demo}/echo", private: true}
"""

HEAD = """\
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
state: state
audit: record.jsonl
log: debug
"""


def eventually(look: Callable[[], Found], what: str, seconds: float = DEADLINE) -> Found:
    """Return the first truthy thing that `look` finds; fail when the deadline is over."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"in {seconds:g} s there was no {what}"
        time.sleep(0.01)
    return found


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def allowing(bots: Mapping[str, Sequence[str]]) -> str:
    """Return the `bots` section in which each bot may use the routes named."""
    lines = [f"  {bot}: {{allow: [{', '.join(routes)}]}}\n" for bot, routes in bots.items()]
    return "".join(["bots:\n", *lines]) if lines else ""


class Running:
    """A gateway that serves, in a folder of its own."""

    def __init__(self, folder: Path, environ: Mapping[str, str], scheme: str = "http") -> None:
        self.folder = folder
        self.config = folder / "routes.yaml"
        self.scheme = scheme
        self.environ = environ
        self.port = self.admin_port = 0
        self.since = 0.0
        """Records of exchanges that arrived earlier are not looked at."""
        self.child: subprocess.Popen[bytes] | None = None
        self._tokens: dict[tuple[str, str], str] = {}
        self.ids: dict[tuple[str, str], str] = {}
        """What each token is called, by bot and shape."""

    def start(self, text: str, shapes: Sequence[str]) -> None:
        """Serve `text`, its {port} and {admin} filled in; every bot has a token of each shape."""
        for _ in range(3):  # somebody else may take a free port first
            self.port, self.admin_port = free_port(), free_port()
            ports = text.replace("{port}", str(self.port))
            self.config.write_text(ports.replace("{admin}", str(self.admin_port)))
            if not self._tokens:
                self._issue_all(shapes)
            if self._serve():
                return
        raise AssertionError(f"the gateway did not start:\n{self.stderr()}")

    def _issue_all(self, shapes: Sequence[str]) -> None:
        bots = list(yaml.safe_load(self.config.read_text()).get("bots", {}))
        for shape in shapes if bots else ():
            self.issue(bots, shape)

    def _serve(self) -> bool:
        with (self.folder / "stderr").open("wb") as said:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "gateway", "run", "--config", str(self.config)],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        child = self.child
        is_up = lambda: child.poll() is not None or self.readiness() == 200  # noqa: E731
        eventually(is_up, "readiness")
        return child.poll() is None

    @property
    def url(self) -> str:
        """Where bots connect."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def admin(self) -> str:
        """Where operators look."""
        return f"http://127.0.0.1:{self.admin_port}"

    def base(self, route: str) -> str:
        """Return the base URL of a route, as a bot is told."""
        return f"{self.url}/{route}"

    def cli(self, *words: str) -> str:
        """Run a command of the CLI on this gateway's configuration; return what it printed."""
        done = self.try_cli(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        return subprocess.run(
            [sys.executable, "-m", "gateway", *words, "--config", str(self.config)],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def issue(self, bots: Sequence[str], shape: str = "plain") -> None:
        """Issue a token to each bot through the CLI; one that runs sees them within a second."""
        for one in json.loads(self.cli("token", "issue", *bots, "--shape", shape, "--json")):
            self._tokens[one["bot"], shape] = one["token"]
            self.ids[one["bot"], shape] = one["id"]

    def token(self, bot: str, shape: str = "plain") -> str:
        """Return the newest token of `bot` in this shape."""
        return self._tokens[bot, shape]

    def get(self, path: str, authorization: str | None = None) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a GET to the bots' listener, plain HTTP only."""
        headers = {} if authorization is None else {"Authorization": authorization}
        return fetch(self.port, "GET", path, headers)

    def ask(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a GET to the admin listener."""
        status, _, body = fetch(self.admin_port, "GET", path, {})
        return status, body

    def readiness(self) -> int:
        """Return the status of /readyz, 0 where nobody answers."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("/readyz")[0]
        return 0

    def metrics(self) -> dict[str, float]:
        """Return every sample of /metrics, as `name{label="value"}` -> value."""
        lines = self.ask("/metrics")[1].decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def recorded(self) -> list[dict[str, Any]]:
        """Return the whole lines of the record so far, from `since` on."""
        path = self.folder / "record.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        found = [json.loads(line) for line in lines]
        return [record for record in found if record["time"] >= self.since]

    def records(self, count: int = 1, **wanted: object) -> list[dict[str, Any]]:
        """Wait for `count` records whose fields are as `wanted`; return all there are then."""

        def look() -> list[dict[str, Any]]:
            found = [r for r in self.recorded() if wanted.items() <= r.items()]
            return found if len(found) >= count else []

        return eventually(look, f"{count} records with {wanted}")

    def record(self, **wanted: object) -> dict[str, Any]:
        """Wait for the one record whose fields are as `wanted`."""
        (found,) = self.records(1, **wanted)
        return found

    def hang_up(self) -> None:
        """Send SIGHUP: the configuration is loaded again, the record opened again."""
        assert self.child is not None
        self.child.send_signal(signal.SIGHUP)

    def reloads(self) -> tuple[int, int]:
        """Return how many configurations were good, and how many bad, since the start."""
        found = self.metrics()
        name = 'gateway_config_reloads_total{result="%s"}'
        return int(found[name % "good"]), int(found[name % "bad"])

    def stderr(self) -> str:
        """Return all that the process has said."""
        return (self.folder / "stderr").read_text(errors="replace")

    def stop(self) -> int:
        """End it as an operator does; return its exit code."""
        child = self.child
        if child is None:
            return 0
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            return child.wait(DEADLINE)
        finally:
            child.kill()
            child.wait()


def fetch(
    port: int, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (names in lower case) and body of one plain request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def launch(
    folder: Path,
    text: str,
    environ: Mapping[str, str],
    shapes: Sequence[str] = ("plain",),
    scheme: str = "http",
) -> Running:
    """Start a gateway in `folder` with `text` as its configuration, `environ` added to ours."""
    inherited = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}
    running = Running(folder, {**inherited, **environ}, scheme)
    try:
        running.start(text, shapes)
    except BaseException:
        running.stop()
        raise
    return running
