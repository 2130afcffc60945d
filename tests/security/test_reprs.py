"""Neither a representation nor a defect of ours gives a key or a token away."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import gc
import json
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import pytest

from gateway.config import load
from gateway.core.model import Route, Snapshot
from gateway.core.places import Header, Outgoing, Place
from gateway.core.secret import Secret, SecretRef
from gateway.defects import handle
from gateway.server import Gateway
from tests.support.needles import traces
from tests.support.scripted import Scripted, says, scripted

KEY = "sk-canary-7Yq/2Lw+Ze5Rt=Ub8Pd1Kf"
TOKEN = "gwt_canary-4Mn9Xs6Jh3Gv0Qc7Ow2Ea"
NEEDLES = {"key": KEY, "token": TOKEN}
HEAD = "POST /raw/x HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\nAuthorization: Bearer "
Change = Callable[[Snapshot], Snapshot]


@contextlib.asynccontextmanager
async def gateway_to(
    provider: Scripted, folder: Path, change: Change = lambda it: it
) -> AsyncIterator[Gateway]:
    """A gateway in this process, to one provider, its snapshot changed by `change`."""
    route = {"provider": "generic", "secret": "env:CANARY", "upstream": provider.url}
    document = {
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "state": "state",
        "audit": "record.jsonl",
        "deadlines": {"drain": 0.1},
        "routes": {"raw": {**route, "private": True}},
        "bots": {
            "a": {"allow": ["raw"], "tokens": ["sha256:" + sha256(TOKEN.encode()).hexdigest()]}
        },
    }
    path = folder / "routes.yaml"
    path.write_text(json.dumps(document))
    environ = {"CANARY": KEY}
    asyncio.get_running_loop().set_exception_handler(handle)  # as the process does
    gateway = Gateway(change(load(path, environ)), environ)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


@contextlib.asynccontextmanager
async def asking(gateway: Gateway) -> AsyncIterator[asyncio.StreamReader]:
    """A request under way, for as long as the block runs."""
    port = gateway.listeners.addresses[0][2]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{HEAD}{TOKEN}\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ask(gateway: Gateway) -> bytes:
    async with asyncio.timeout(5), asking(gateway) as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        return head + await reader.read(1)


async def test_what_every_object_says_of_itself_in_mid_journey(tmp_path: Path) -> None:
    with scripted() as provider:
        reached, loop = asyncio.Event(), asyncio.get_running_loop()
        provider.play = lambda _: void(loop.call_soon_threadsafe(reached.set))
        async with gateway_to(provider, tmp_path) as gateway, asking(gateway):
            async with asyncio.timeout(5):
                await reached.wait()
            assert traces(provider.got[0], {"key": KEY})  # it was there to be seen
            ours = [it for it in gc.get_objects() if _module(it).startswith("gateway.")]
            assert {"Exchange", "Secret", "Keyring", "ProviderConnection", "BotConnection"} <= {
                type(one).__name__ for one in ours
            }
            for one in ours:
                for text in {repr(one), str(one), format(one)}:
                    assert traces(text.encode(), NEEDLES) == [], type(one)


def void(_: object) -> None:
    """Forget what a call gave."""


def _module(it: object) -> str:
    return str(type(it).__module__)


def test_a_secret_keeps_to_itself() -> None:
    secret = Secret(SecretRef("env", "CANARY"), KEY.encode(), "v1")
    for text in (repr(secret), str(secret), f"{secret:>50}", repr([secret]), secret.label):
        assert traces(text.encode(), NEEDLES) == []
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError) as caught:
            copied(secret)
        assert traces(str(caught.value).encode(), NEEDLES) == []
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert not hasattr(secret, "__dict__")
    with pytest.raises(ValueError, match="no header can carry") as refused:
        Secret(SecretRef("env", "CANARY"), KEY.encode() + b"\x01", "v1")
    told = "".join(traceback.format_exception(refused.value))
    assert traces(told.encode(), NEEDLES) == []


class Crashing:
    """A place with a defect: what it raises tells all it knows."""

    in_body = False

    def __init__(self, step: str) -> None:
        self.step = step

    def find(self, request: Outgoing) -> tuple[bytes, ...]:
        """Find the token, or fail."""
        self._crash("find", request.credentials)
        return (TOKEN.encode(),)

    def remove(self, request: Outgoing) -> None:
        """Fail, or do nothing."""
        self._crash("remove", request.credentials)

    def put(self, request: Outgoing, value: bytes) -> None:
        """Fail, or do nothing."""
        self._crash("put", value)

    def _crash(self, step: str, value: object) -> None:
        if step == self.step:
            raise RuntimeError(f"{TOKEN} {KEY} {value!r}")


class CrashingSource:
    """A source that tells the secret when it fails."""

    async def fetch(self, name: str) -> bytes:
        """Fail."""
        raise RuntimeError(f"{name} is {KEY}")


def with_route(**changes: object) -> Change:
    def change(snapshot: Snapshot) -> Snapshot:
        route: Route = dataclasses.replace(snapshot.routes["raw"], **changes)  # type: ignore[arg-type]
        return dataclasses.replace(snapshot, routes=MappingProxyType({"raw": route}))

    return change


@pytest.mark.parametrize("step", ["find", "remove", "put"])
async def test_a_crash_within_the_journey(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], step: str
) -> None:
    caplog.set_level(logging.DEBUG)
    place: Place = Crashing(step)
    inject = (place,) if step == "put" else (Header("Authorization", "Bearer"),)
    with scripted() as provider:
        change = with_route(tokens=(place,), inject=inject)
        async with gateway_to(provider, tmp_path, change) as gateway:
            answer = await ask(gateway)
        assert answer.startswith(b"HTTP/1.1 500 "), answer
        assert provider.got == []
    assert_told(tmp_path, caplog, capfd, answer, "defect")
    assert "RuntimeError at " in caplog.text


async def test_a_crash_within_a_source(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted() as provider:
        change = with_route(secret=SecretRef("crashing", "it"))
        async with gateway_to(provider, tmp_path, change) as gateway:
            gateway.keyring._sources = {"crashing": CrashingSource()}
            answer = await ask(gateway)
        assert answer.startswith(b"HTTP/1.1 503 "), answer
        assert provider.got == []
    assert_told(tmp_path, caplog, capfd, answer, "secret_unavailable")


class CrashingTap:
    """A tap with a defect."""

    def feed(self, chunk: bytes) -> bytes:
        """Fail."""
        raise RuntimeError(f"{KEY} {chunk!r}")

    def end(self) -> bytes:
        """Give nothing."""
        return b""


async def test_a_crash_within_the_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted() as provider:
        reached, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def play(sock: object) -> None:
            loop.call_soon_threadsafe(reached.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")(sock)  # type: ignore[arg-type]

        provider.play = play
        async with gateway_to(provider, tmp_path) as gateway:
            async with asyncio.timeout(5), asking(gateway) as reader:
                await reached.wait()
                (exchange,) = gateway.proxy.live
                exchange.taps = (CrashingTap(),)
                go_on.set()
                answer = await reader.read()
            assert not gateway.proxy.live
    assert b"ok" not in answer
    assert_told(tmp_path, caplog, capfd, answer, "defect")


def assert_told(
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    answer: bytes,
    code: str,
) -> None:
    """Assert one line in the record, with `code`, and no canary anywhere."""
    record = (folder / "record.jsonl").read_bytes()
    said = capfd.readouterr()
    for text in (record, answer, caplog.text.encode(), (said.out + said.err).encode()):
        assert traces(text, NEEDLES) == []
    assert [json.loads(line)["code"] for line in record.splitlines()] == [code]
