"""The demo provider alone, as its own tests use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from gateway.demo import process
from gateway.demo.process import DemoProcess


@pytest.fixture(scope="module")
def running() -> Iterator[DemoProcess]:
    with process.start() as demo:
        yield demo


@pytest.fixture
def demo(running: DemoProcess) -> DemoProcess:
    running.clear()
    return running


@pytest.fixture
async def http(demo: DemoProcess) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(demo.url) as session:
        yield session
