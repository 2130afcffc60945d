"""What all tests share."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from gateway.demo import process
from gateway.demo.process import DemoProcess
from tests.support.running import ENVIRONMENT, HEAD, ROUTES, Running, allowing, launch

Launch = Callable[..., Running]

settings.register_profile("gateway", deadline=None)  # a shared machine may pause at any moment
settings.load_profile("gateway")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the full tier, unless `./dev test --all` asks for it."""
    if os.environ.get("GATEWAY_TEST_ALL") == "1":
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="full tier: ./dev test --all"))


@pytest.fixture(scope="session")
def demo_process() -> Iterator[DemoProcess]:
    """The demo provider, a process of its own."""
    with process.start() as demo:
        yield demo


@pytest.fixture
def demo(demo_process: DemoProcess) -> DemoProcess:
    """The demo provider, which has seen nothing yet."""
    demo_process.clear()
    return demo_process


@pytest.fixture(scope="session")
def launcher(
    demo_process: DemoProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Launch]:
    """Start gateways, as processes, by the CLI; see `gateway` for the arguments."""
    started: list[Running] = []
    numbers = itertools.count(1)

    def start(
        routes: str = ROUTES,
        *,
        bots: Mapping[str, Sequence[str]] | None = None,
        head: str = HEAD,
        more: str = "",
        environ: Mapping[str, str] = ENVIRONMENT,
        shapes: Sequence[str] = ("plain",),
        scheme: str = "http",
        folder: Path | None = None,
    ) -> Running:
        folder = folder or tmp_path_factory.mktemp(f"gateway-{next(numbers)}")
        text = head + more + routes.replace("{demo}", demo_process.url) + allowing(bots or {})
        started.append(launch(folder, text, environ, shapes, scheme))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def gateway(launcher: Launch) -> Iterator[Launch]:
    """Start a gateway for one test: `gateway(routes, bots={"alice": ["openai"]}, more="...")`.

    `routes` defaults to the demo's openai, anthropic, telegram and echo; `more` goes into the
    configuration as it is; `environ` holds the keys; `shapes` are those of the bots' tokens.
    """
    started: list[Running] = []

    def start(*args: object, **options: object) -> Running:
        started.append(launcher(*args, **options))
        return started[-1]

    yield start
    for running in started:
        running.stop()
