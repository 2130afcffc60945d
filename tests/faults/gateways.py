"""The gateway under test: within this process, or as a process of its own to measure."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp

from gateway.config import load
from gateway.server import Gateway
from tests.faults.wire import HUNG, until

TOKEN = "sk-gwt-a-bots-token"
KEY = "sk-the-real-key"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def configure(
    folder: Path,
    upstream: str | int,
    *,
    listen: int = 0,
    admin: int = 0,
    log: str = "info",
    route: dict[str, Any] | None = None,
    rule: dict[str, Any] | None = None,
    **sections: Any,
) -> Path:
    """Write a configuration with one route to `upstream` (a URL or a port) and one bot."""
    if isinstance(upstream, int):
        upstream = f"http://127.0.0.1:{upstream}"
    keys = {"secret": "env:REAL_KEY", "upstream": upstream, "private": True, **(route or {})}
    document = {
        "listen": f"127.0.0.1:{listen}",
        "admin": f"127.0.0.1:{admin}",
        "state": "state",
        "audit": "record.jsonl",
        "log": log,
        **sections,
        "routes": {"openai": keys},
        "bots": {
            "tester": {
                "allow": [{"route": "openai", **(rule or {})}],
                "tokens": ["sha256:" + sha256(TOKEN.encode()).hexdigest()],
            }
        },
    }
    path = folder / "routes.yaml"
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


class Running:
    """A gateway that serves."""

    def __init__(self, port: int, admin: int, folder: Path) -> None:
        self.port = port
        self.admin = admin
        self._record = folder / "record.jsonl"

    def records(self) -> list[dict[str, Any]]:
        """Return the lines of the record so far."""
        if not self._record.exists():
            return []
        lines = self._record.read_bytes().split(b"\n")[:-1]
        return [{"code": "", "attempts": 0, **json.loads(line)} for line in lines]

    async def record(self, count: int = 1) -> dict[str, Any]:
        """Wait for the record's line number `count` and return it."""
        await until(lambda: len(self.records()) >= count)
        return self.records()[count - 1]

    async def readiness(self, session: aiohttp.ClientSession) -> tuple[int, dict[str, Any]]:
        """Return what /readyz says."""
        async with session.get(f"http://127.0.0.1:{self.admin}/readyz") as answer:
            return answer.status, await answer.json()


class Inside(Running):
    """A gateway within this process and event loop."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        super().__init__(gateway.listeners.addresses[0][2], gateway.admin.port, folder)
        self.gateway = gateway


@contextlib.asynccontextmanager
async def inside(folder: Path, upstream: str | int, **options: Any) -> AsyncIterator[Inside]:
    """Run a gateway in this event loop; see `configure` for the options."""
    options.setdefault("deadlines", {})
    options["deadlines"].setdefault("drain", 0.1)
    environ = {"REAL_KEY": KEY}
    gateway = Gateway(load(configure(folder, upstream, **options), environ), environ)
    await gateway.start()
    try:
        yield Inside(gateway, folder)
    finally:
        await gateway.stop()


class Apart(Running):
    """A gateway as a process of its own."""

    def __init__(
        self, process: asyncio.subprocess.Process, port: int, admin: int, folder: Path
    ) -> None:
        super().__init__(port, admin, folder)
        self.process = process
        self.said = folder / "stderr"

    @property
    def rss(self) -> int:
        """Bytes of memory resident now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE

    @property
    def peak(self) -> int:
        """The most bytes ever resident, or since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def forget_peak(self) -> None:
        """Count the peak from here on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)


@contextlib.asynccontextmanager
async def apart(
    folder: Path, upstream: str | int, *, files: int | None = None, **options: Any
) -> AsyncIterator[Apart]:
    """Run a gateway as a process, with at most `files` descriptors; for the rest `configure`."""
    port, admin = _free(), _free()
    path = configure(folder, upstream, listen=port, admin=admin, **options)
    with (folder / "stderr").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "run", "--config", str(path),
            env={**os.environ, "REAL_KEY": KEY}, stderr=said, stdout=said,
            preexec_fn=_limited(files),
        )  # fmt: skip
    running = Apart(process, port, admin, folder)
    try:
        await until(lambda: b"serving" in running.said.read_bytes() or process.returncode, 20)
        assert process.returncode is None, running.said.read_text()
        yield running
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        async with asyncio.timeout(HUNG):
            await process.wait()


def _limited(files: int | None) -> Callable[[], None] | None:
    if files is None:
        return None
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def _free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
