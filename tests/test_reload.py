"""The configuration file: seen when it changes, in whatever way, and used only when good."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.errors import GatewayError
from gateway.core.model import Snapshot
from gateway.reload import Reload
from tests.support.running import eventually

POLL = 0.02


class Desk:
    """Takes what a Reload hands over. `bad` in a file makes it wrong, `unusable` unusable."""

    def __init__(self, path: Path) -> None:
        self.read: list[bytes] = []
        self.used: list[Snapshot] = []
        self.reload = Reload(path, path.read_bytes(), self.load, self.use, POLL)

    def load(self, raw: bytes) -> Snapshot:
        self.read.append(raw)
        if b"defect" in raw:
            raise KeyError("sk-a-secret")
        if b"bad" in raw or not raw:
            raise GatewayError(500, "configuration", "routes.yaml:1:1: this is bad")
        return Snapshot(tokens=(), labels={"unusable": ()} if b"unusable" in raw else {})

    async def use(self, snapshot: Snapshot) -> None:
        if "unusable" in snapshot.labels:
            raise GatewayError(500, "listen", "cannot listen on 127.0.0.1:1")
        self.used.append(snapshot)


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Desk]:
    desk = Desk(path)
    task = asyncio.get_running_loop().create_task(desk.reload.watch(), name="reload")
    try:
        yield desk
    finally:
        task.cancel()


async def until(look: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, look, "reload")


def write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text("first")
    return path


def test_a_file_written_over_is_loaded(file: Path) -> None:
    async def scene() -> None:
        async with watching(file) as desk:
            write(file, "second")
            await until(lambda: desk.used)
            assert desk.read == [b"second"]
            assert desk.reload.good == 1

    asyncio.run(scene())


def test_a_file_replaced_by_another_is_loaded(file: Path) -> None:
    async def scene() -> None:
        async with watching(file) as desk:
            other = file.with_name("other")
            other.write_text("other")
            other.replace(file)
            await until(lambda: desk.used)
            assert desk.read == [b"other"]

    asyncio.run(scene())


def test_a_defect_ends_no_reload(file: Path) -> None:
    async def scene() -> None:
        async with watching(file) as desk:
            write(file, "defect")
            await until(lambda: desk.reload.bad)
            assert "KeyError at" in str(desk.reload.problem)
            assert "sk-a-secret" not in str(desk.reload.problem)
            write(file, "good again")
            await until(lambda: desk.reload.good)
            assert desk.reload.problem is None

    asyncio.run(scene())


def test_kubernetes_swap_of_data_is_seen(tmp_path: Path) -> None:
    """A mounted ConfigMap is a link to `..data/FILE`, and `..data` a link that is replaced."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "routes.yaml").write_text(version)
    os.utime(tmp_path / "v2" / "routes.yaml", ns=(1, 1))
    os.utime(tmp_path / "v1" / "routes.yaml", ns=(1, 1))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "routes.yaml").symlink_to("..data/routes.yaml")

    async def scene() -> None:
        async with watching(tmp_path / "routes.yaml") as desk:
            (tmp_path / "..data_tmp").symlink_to("v2")
            (tmp_path / "..data_tmp").replace(tmp_path / "..data")
            await until(lambda: desk.used)
            assert desk.read == [b"v2"]

    asyncio.run(scene())


def test_a_file_that_was_only_touched_is_not_loaded(file: Path) -> None:
    async def scene() -> None:
        async with watching(file) as desk:
            os.utime(file, ns=(5, 5))
            await asyncio.sleep(POLL * 5)
            write(file, "second")
            await until(lambda: desk.used)
            assert desk.read == [b"second"]

    asyncio.run(scene())


def test_who_asks_gets_the_same_file_loaded_again(file: Path) -> None:
    async def scene() -> None:
        async with watching(file) as desk:
            desk.reload.ask()
            await until(lambda: desk.used)
            assert desk.read == [b"first"]

    asyncio.run(scene())


@pytest.mark.parametrize("text", ["bad", "unusable", ""])
def test_what_is_not_good_is_told_and_not_used(file: Path, text: str) -> None:
    async def scene() -> None:
        async with watching(file) as desk:
            write(file, text)
            await until(lambda: desk.reload.bad)
            assert desk.used == []
            assert desk.reload.problem
            write(file, "good again")
            await until(lambda: desk.used)
            assert desk.reload.problem is None

    asyncio.run(scene())


def test_a_file_taken_away_changes_nothing(file: Path) -> None:
    async def scene() -> None:
        async with watching(file) as desk:
            os.unlink(file)
            await until(lambda: desk.reload.bad)
            assert desk.used == []
            assert desk.reload.problem

    asyncio.run(scene())
