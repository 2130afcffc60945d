"""What the fault tests share: uvloop as in production, and a way to tell figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

Figure = Callable[[str, object], None]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the event loop that serves in production."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Tell a measured figure: `pytest -s` shows it, and it is a property of the test's report."""

    def tell(name: str, value: object) -> None:
        record_property(name, value)
        print(f"\n    {name}: {value}", end="")  # noqa: T201

    return tell
