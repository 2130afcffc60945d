"""What the security tests share: a gateway in this process, on uvloop as in production."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway.config import load
from gateway.server import Gateway
from tests.security.table import TOKEN

KEY = "sk-the-real-key-of-the-provider"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the event loop that serves in production."""
    return {"uvloop": uvloop.new_event_loop}


Start = Callable[..., contextlib.AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`async with start(port) as gateway`: one route for the whole listener, one bot, one token."""

    @contextlib.asynccontextmanager
    async def started(port: int, **sections: Any) -> AsyncIterator[Gateway]:
        environ = {"REAL_KEY": KEY}
        gateway = Gateway(load(_write(tmp_path, port, sections), environ), environ)
        await gateway.start()
        try:
            yield gateway
        finally:
            await gateway.stop()

    return started


def _write(folder: Path, port: int, sections: dict[str, Any]) -> Path:
    route = {
        "provider": "openai",
        "prefix": "/",
        "upstream": f"http://127.0.0.1:{port}",
        "private": True,
        "secret": "env:REAL_KEY",
    }
    document = {
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "audit": "record.jsonl",
        "log": "error",
        **sections,
        "deadlines": {"drain": 0.1, **sections.get("deadlines", {})},
        "routes": {"all": route},
        "bots": {"tester": {"allow": ["all"], "tokens": ["sha256:" + sha256(TOKEN).hexdigest()]}},
    }
    path = folder / "routes.yaml"
    path.write_text(json.dumps(document))  # JSON is YAML
    return path
