"""What its operator does: mistakes in the configuration, tokens, certificates, the end."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from gateway.demo.process import DemoProcess
from tests.support.raw import connected, parse, read_all, request
from tests.support.running import DEADLINE, ENVIRONMENT, HEAD, Running, eventually

WITHIN = 1.0
"""Seconds in which a running gateway takes notice."""


@pytest.fixture(scope="module")
def served(launcher: Callable[..., Running]) -> Running:
    return launcher(bots={"alice": ["openai"], "bob": ["echo"]})


@pytest.fixture
def running(served: Running) -> Running:
    served.since = time.time()
    return served


def test_a_mistake_in_the_configuration_is_named_with_its_place(tmp_path: Path) -> None:
    text = HEAD.replace("{port}", "1").replace("{admin}", "2") + (
        'routes:\n  openai: {secret: "env:OPENAI_KEY"}\n'
        "  telegram: {secrte: x}\n"
        "bots:\n  alice: {allow: [opnai]}\n"
    )
    running = Running(tmp_path, {**os.environ, **ENVIRONMENT})
    running.config.write_text(text)
    done = running.try_cli("run")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert re.search(r"routes\.yaml:8:14: .*secrte", said), said
    assert re.search(r"routes\.yaml:10:19: .*opnai", said), said
    assert ENVIRONMENT["OPENAI_KEY"] not in said


def test_tokens_take_effect_in_a_running_gateway(running: Running, demo: DemoProcess) -> None:
    first = running.token("alice")

    def status(token: str) -> int:
        return running.get("/openai/v1/models", f"Bearer {token}")[0]

    assert status(first) == 200
    running.issue(["alice"])
    second = running.token("alice")
    eventually(lambda: status(second) == 200, "effect of the new token", WITHIN)
    assert status(first) == 200  # both at once, so that a bot can be moved over

    listed = {one["id"]: one for one in json.loads(running.cli("token", "list", "--json"))}
    identity = running.ids["alice", "plain"]
    assert listed[identity]["status"] == "valid"
    assert first not in json.dumps(listed)
    assert second not in json.dumps(listed)

    running.cli("token", "revoke", identity)
    eventually(lambda: status(second) == 401, "effect of the revocation", WITHIN)
    assert status(first) == 200
    listed = {one["id"]: one for one in json.loads(running.cli("token", "list", "--json"))}
    assert listed[identity]["status"] == "revoked"

    before = len(demo.seen())
    assert status(second) == 401
    assert len(demo.seen()) == before


def test_a_revoked_token_loses_the_stream_under_way(running: Running, demo: DemoProcess) -> None:
    head = f"""
        GET /echo/sse?events=100000&interval=0.05 HTTP/1.1
        Host: gateway
        Authorization: Bearer {running.token("bob")}
    """
    with connected(running.port) as sock:
        sock.sendall(request(head))
        assert parse(sock.recv(65_536)).status == 200
        running.cli("token", "revoke", "--bot", "bob")
        began = time.monotonic()
        read_all(sock)
        assert time.monotonic() - began < WITHIN
    record = running.record(bot="bob")
    assert (record["outcome"], record["code"]) == ("cut", "token_revoked")
    eventually(lambda: demo.seen()[0].ended == "cut", "end of the provider's side")


def test_what_is_under_way_ends_before_the_gateway_does(
    gateway: Callable[..., Running], demo: DemoProcess
) -> None:
    running = gateway(bots={"alice": ["echo"]})
    head = f"""
        GET /echo/slow?seconds=0.4 HTTP/1.1
        Host: gateway
        Authorization: Bearer {running.token("alice")}
    """
    with connected(running.port) as sock:
        sock.sendall(request(head))
        eventually(demo.seen, "request at the provider")
        assert running.stop() == 0
        assert parse(read_all(sock)).status == 200
    assert running.record(bot="alice")["outcome"] == "answered"


def test_an_unusable_place_to_listen_is_named(running: Running, tmp_path: Path) -> None:
    second = Running(tmp_path, running.environ)
    second.config.write_text(running.config.read_text())
    done = second.try_cli("run")
    assert done.returncode == 2
    assert f"{running.port}" in done.stderr or f"{running.admin_port}" in done.stderr


class Tls:
    """A certificate on disk that can be replaced, as certbot does."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.chain = folder / "chain.pem"
        self.key = folder / "key.pem"
        self.context = ssl.create_default_context()
        self.authority.configure_trust(self.context)
        self.context.set_alpn_protocols(["http/1.1"])

    def replace(self) -> None:
        fresh = self.authority.issue_cert("gateway.example")
        for path, pems in (
            (self.key, [fresh.private_key_pem]),
            (self.chain, fresh.cert_chain_pems),
        ):
            temporary = path.with_suffix(".new")
            temporary.write_bytes(b"".join(pem.bytes() for pem in pems))
            temporary.replace(path)

    def context_of(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """Return one that speaks this version only."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        return context

    def connect(self, port: int) -> ssl.SSLSocket:
        sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        try:
            return self.context.wrap_socket(sock, server_hostname="gateway.example")
        except BaseException:
            sock.close()
            raise

    def serial(self, port: int) -> object:
        with self.connect(port) as sock:
            return _serial(sock)


def _serial(sock: ssl.SSLSocket) -> object:
    return (sock.getpeercert() or {})["serialNumber"]


def _ask(sock: ssl.SSLSocket, running: Running) -> int:
    head = f"""
        GET /openai/v1/models HTTP/1.1
        Host: gateway.example
        Authorization: Bearer {running.token("alice")}
    """
    sock.sendall(request(head))
    got = b""
    while b"\r\n\r\n" not in got or not got.endswith(b"}"):
        data = sock.recv(65_536)
        assert data, got
        got += data
    return parse(got).status


def test_a_certificate_is_replaced_while_it_serves(
    gateway: Callable[..., Running], tmp_path: Path
) -> None:
    tls = Tls(tmp_path)
    tls.replace()
    head = HEAD.replace(
        "listen: 127.0.0.1:{port}",
        f'listen: {{address: "127.0.0.1:{{port}}", certificate: "{tls.chain}", key: "{tls.key}"}}',
    )
    running = gateway(bots={"alice": ["openai"]}, head=head, scheme="https")
    with tls.connect(running.port) as sock:
        old = _serial(sock)
        assert sock.selected_alpn_protocol() == "http/1.1"
        assert _ask(sock, running) == 200
        tls.replace()
        new = eventually(
            lambda: {tls.serial(running.port)} - {old}, "new certificate in new handshakes"
        )
        assert new != {old}
        assert _ask(sock, running) == 200, "the open connection lives on"
        tls.chain.write_text("rubbish")
        assert tls.serial(running.port) in new
        eventually(lambda: "not reloaded" in running.stderr(), "warning about the bad certificate")
        assert {tls.serial(running.port)} == new
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        tls.context = tls.context_of(version)
        with pytest.raises(ssl.SSLError):
            tls.connect(running.port)
