"""A configuration that cannot be used: not one part of it is."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from gateway.config import load
from gateway.core.errors import Refused
from tests.faults.gateways import TOKEN, Inside, configure, inside
from tests.faults.wire import Origin, ProviderWire, bot, provider, request

_ROUTE = {"secret": "env:FILE_KEY"}


async def _answers(wire: ProviderWire) -> None:
    while await wire.request():
        await wire.ok()


async def _key(gateway: Inside, origin: Origin) -> bytes:
    """Return the key that the provider gets with a request of this moment."""
    async with bot(gateway.port) as wire:
        await wire.send(request(TOKEN))
        assert (await wire.answer()).status == 200
    return bytes(re.findall(rb"Bearer (\S+)", origin.requests[-1].head)[0])


@pytest.mark.asyncio
async def test_a_listener_that_cannot_be_had_changes_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("FILE_KEY=sk-of-a")
    (tmp_path / "b.env").write_text("FILE_KEY=sk-of-b")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with (
            provider(_answers) as origin,
            inside(tmp_path, origin.port, route=_ROUTE, env_file="a.env") as gateway,
        ):
            path = configure(
                tmp_path, origin.port, route=_ROUTE, env_file="b.env",
                listen=taken.getsockname()[1],
            )  # fmt: skip
            with pytest.raises(Refused, match="cannot listen"):
                await gateway.gateway.use(load(path, {}))
            assert await _key(gateway, origin) == b"sk-of-a"
            assert gateway.gateway.listeners.addresses == [("http", "127.0.0.1", gateway.port)]
            path = configure(tmp_path, origin.port, route=_ROUTE, env_file="b.env")
            await gateway.gateway.use(load(path, {}))
            assert await _key(gateway, origin) == b"sk-of-b"


@pytest.mark.asyncio
async def test_a_file_of_secrets_that_lacks_one_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("FILE_KEY=sk-of-a")
    (tmp_path / "b.env").write_text("OTHER_KEY=sk-of-b")
    async with (
        provider(_answers) as origin,
        inside(tmp_path, origin.port, route=_ROUTE, env_file="a.env") as gateway,
    ):
        path = configure(tmp_path, origin.port, route=_ROUTE, env_file="b.env")
        with pytest.raises(Refused, match="routes with env:FILE_KEY will refuse"):
            await gateway.gateway.use(load(path, {}))
        assert await _key(gateway, origin) == b"sk-of-a"
