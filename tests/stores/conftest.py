"""A store that runs, and what it announces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.stores.embedded import Embedded
from tests.support.stored import POLL, Changes


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
async def store(directory: Path, changes: Changes) -> AsyncIterator[Embedded]:
    store = Embedded(directory, POLL)
    await store.start(changes)
    yield store
    await store.stop()
