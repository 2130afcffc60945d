"""Reaching the provider (row 17): every address is tried, and no key leaves before TLS is sure."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.dial import Dialler
from tests.faults.conftest import Figure
from tests.faults.gateways import KEY, TOKEN, inside
from tests.faults.wire import Origin, ProviderWire, bot, provider, request, until

_NAME = "provider.test"
_GOOD, _DEAD, _HOLE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


async def _answers(wire: ProviderWire) -> None:
    while await wire.request():
        await wire.ok()


async def _answers_once(wire: ProviderWire) -> None:
    """So that every request needs a connection of its own."""
    await wire.request()
    await wire.ok(b"ok", "Connection: close")


Resolver = Callable[[str, int], list[str]]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolver], None]:
    """Have the event loop's resolver answer for `provider.test`."""
    loop = asyncio.get_running_loop()

    def use(resolve: Resolver) -> None:
        async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            assert host == _NAME
            kinds = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kinds, (address, port)) for address in resolve(host, port)]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)

    return use


@pytest.fixture
async def hole() -> AsyncIterator[Callable[[int], None]]:
    """A port on `_HOLE` that accepts nothing: its queue is full already."""
    held: list[socket.socket] = []

    def dig(port: int) -> None:
        listening = socket.socket()
        listening.bind((_HOLE, port))
        listening.listen(0)
        held.append(listening)
        for _ in range(3):
            knocking = socket.socket()
            knocking.setblocking(False)
            knocking.connect_ex((_HOLE, port))
            held.append(knocking)

    yield dig
    for one in held:
        one.close()


def _url(origin: Origin, scheme: str = "http") -> str:
    return f"{scheme}://{_NAME}:{origin.port}"


async def test_every_address_is_tried(
    names: Callable[[Resolver], None], tmp_path: Path, figure: Figure
) -> None:
    """Half of the addresses refuse, in any order."""

    def resolve(_: str, __: int) -> list[str]:
        return random.sample([_GOOD, _DEAD], 2)

    names(resolve)
    async with (
        provider(_answers_once) as origin,
        inside(tmp_path, _url(origin), route={"insecure": True}) as gateway,
        bot(gateway.port) as wire,
    ):
        good = 0
        for _ in range(100):
            await wire.send(request(TOKEN))
            good += (await wire.answer()).status == 200
        assert len(origin.requests) == 100
    figure("17 half of the addresses refuse: answered", f"{good} of 100")
    assert good == 100


async def test_an_address_that_swallows_connects_does_not_use_up_the_time(
    names: Callable[[Resolver], None], hole: Callable[[int], None], tmp_path: Path
) -> None:
    names(lambda *_: [_HOLE, _GOOD])
    async with provider(_answers_once) as origin:
        hole(origin.port)
        deadlines = {"connect": 1.0}
        async with (
            inside(tmp_path, _url(origin), route={"insecure": True}, deadlines=deadlines) as it,
            bot(it.port) as wire,
        ):
            await wire.send(request(TOKEN))
            assert (await wire.answer()).status == 200


async def test_no_address_answers(
    names: Callable[[Resolver], None], hole: Callable[[int], None], tmp_path: Path
) -> None:
    async with provider(_answers_once) as origin:
        hole(origin.port)
        for addresses, status in (([_DEAD], 502), ([_HOLE], 504), ([_HOLE, _HOLE], 504)):
            names(lambda *_, found=addresses: found)
            folder = tmp_path / f"{len(addresses)}-{status}"
            folder.mkdir()
            options: dict[str, Any] = {"route": {"insecure": True}, "deadlines": {"connect": 0.5}}
            async with (
                inside(folder, _url(origin), **options) as gateway,
                bot(gateway.port) as wire,
            ):
                await wire.send(request(TOKEN))
                answer = await wire.answer()
                assert answer.status == status
                assert answer.header("x-should-retry") == "true"  # nothing was sent
        assert origin.requests == []


async def test_a_name_that_does_not_resolve(
    names: Callable[[Resolver], None], tmp_path: Path
) -> None:
    def resolve(*_: object) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    names(resolve)
    async with (
        inside(tmp_path, f"http://{_NAME}:1", route={"insecure": True}) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")


async def test_a_resolver_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    options: dict[str, Any] = {"route": {"insecure": True}, "deadlines": {"connect": 0.4}}
    async with (
        inside(tmp_path, f"http://{_NAME}:1", **options) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN))
        assert (await wire.answer()).status == 504


# TLS

_AGO = datetime.now(UTC) - timedelta(days=1)


def _server(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def _issued(ca: trustme.CA, *names: str, until: datetime | None = None) -> ssl.SSLContext:
    return _server(ca.issue_cert(*names, not_after=until))


def _obsolete(ca: trustme.CA) -> ssl.SSLContext:
    context = _issued(ca, _NAME)
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


_BAD: dict[str, Callable[[trustme.CA], ssl.SSLContext | None]] = {
    "untrusted": lambda _: _issued(trustme.CA(), _NAME),
    "another name": lambda ca: _issued(ca, "other.test"),
    "the address only": lambda ca: _issued(ca, _GOOD),
    "wildcard of another level": lambda ca: _issued(ca, "*.provider.test"),
    "expired": lambda ca: _issued(ca, _NAME, until=_AGO),
    "TLS 1.1": _obsolete,
    "no TLS": lambda _: None,
}


@pytest.mark.parametrize("fault", _BAD)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
async def test_nothing_is_sent_where_tls_is_in_doubt(
    fault: str, names: Callable[[Resolver], None], tmp_path: Path, figure: Figure
) -> None:
    seen: list[bytes] = []

    async def listens(wire: ProviderWire) -> None:
        while data := await wire.reader.read(65_536):
            seen.append(data)

    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    names(lambda *_: [_GOOD])
    options: dict[str, Any] = {"route": {"ca": "ca.pem"}, "deadlines": {"connect": 2.0}}
    async with (
        provider(listens, tls=_BAD[fault](ca)) as origin,
        inside(tmp_path, _url(origin, "https"), **options) as gateway,
        bot(gateway.port) as wire,
    ):
        if fault == "no TLS":  # what it gets is the beginning of a handshake
            asyncio.get_running_loop().call_later(0.1, lambda: [t.cancel() for t in origin.tasks])
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        assert answer.status in (502, 504)
        assert answer.error["code"].startswith("upstream_")
        assert (await gateway.record())["secret"].startswith("env:REAL_KEY")
    sent = b"".join(seen)
    assert KEY.encode() not in sent
    assert b"POST" not in sent
    if fault != "no TLS":
        assert sent == b""
        figure(f"17 {fault}: bytes after the handshake", len(sent))


async def test_a_good_certificate_works(names: Callable[[Resolver], None], tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    names(lambda *_: [_DEAD, _GOOD])
    async with (
        provider(_answers, tls=_issued(ca, _NAME)) as origin,
        inside(tmp_path, _url(origin, "https"), route={"ca": "ca.pem"}) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN))
        assert (await wire.answer()).body == b"ok"
        assert b"Bearer " + KEY.encode() in origin.requests[0].head


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_breaks_before_it_is_used(
    scheme: str,
    names: Callable[[Resolver], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It is lost between the end of its dialling and the request's first byte."""

    async def closes(wire: ProviderWire) -> None:
        wire.close()

    real = Dialler.dial

    async def slow(*arguments: Any) -> Any:
        connection = await real(*arguments)
        await asyncio.sleep(0.1)
        return connection

    monkeypatch.setattr(Dialler, "dial", slow)
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    names(lambda *_: [_GOOD])
    tls = _issued(ca, _NAME) if scheme == "https" else None
    route = {"ca": "ca.pem"} if scheme == "https" else {"insecure": True}
    async with (
        provider(closes, tls=tls) as origin,
        inside(tmp_path, _url(origin, scheme), route=route) as gateway,
        bot(gateway.port) as wire,
    ):
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        assert (answer.status, answer.error["code"]) == (502, "upstream_closed")


async def test_a_ca_file_that_was_spoiled_since_the_start(
    names: Callable[[Resolver], None], tmp_path: Path
) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    names(lambda *_: [_GOOD])
    async with (
        provider(_answers, tls=_issued(ca, _NAME)) as origin,
        inside(tmp_path, _url(origin, "https"), route={"ca": "ca.pem"}) as gateway,
        bot(gateway.port) as wire,
    ):
        (tmp_path / "ca.pem").write_text("no certificate")
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
        ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        await wire.send(request(TOKEN))
        assert (await wire.answer()).body == b"ok"


async def test_a_defect_while_dialling_ends_the_exchange(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def fails(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(Dialler, "dial", fails)
    async with inside(tmp_path, 1) as gateway, bot(gateway.port) as wire:
        await wire.send(request(TOKEN))
        answer = await wire.answer()
        assert (answer.status, answer.error["code"]) == (500, "defect")


async def test_a_bot_that_leaves_as_the_connection_opens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The connection was promised to nobody any more; it is not kept open for ever."""

    async def waits(wire: ProviderWire) -> None:
        await wire.ended()

    real = Dialler.dial
    leaving: list[Callable[[], None]] = []

    async def dial(*arguments: Any) -> Any:
        connection = await real(*arguments)
        asyncio.get_running_loop().call_soon(leaving[0])
        return connection

    monkeypatch.setattr(Dialler, "dial", dial)
    async with (
        provider(waits) as origin,
        inside(tmp_path, origin.port, deadlines={"pool": 0.3}) as gateway,
        bot(gateway.port) as wire,
    ):
        proxy, pool = gateway.gateway.proxy, gateway.gateway.pool

        def leave() -> None:
            (x,) = proxy.live
            x.bot_side.connection_lost(None)  # type: ignore[attr-defined]

        leaving.append(leave)
        await wire.send(request(TOKEN))
        await gateway.record()
        assert pool.busy == 1
        await until(lambda: pool.busy == 0)
