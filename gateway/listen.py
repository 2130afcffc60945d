"""Listeners for bots: plain or TLS, the certificate read again when its file changes."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Sequence

from gateway.core.errors import GatewayError
from gateway.core.model import Listener

_LOG = logging.getLogger("gateway.listen")
_BACKLOG = 4096
_POLL = 1.0

Accept = Callable[[Listener], asyncio.Protocol]
"""Makes the protocol of a connection that came in at a listener."""


class Certificate:
    """A listener's TLS context. New handshakes take a new certificate; open ones are not cut."""

    def __init__(self, certificate: str, key: str | None) -> None:
        self._certificate = certificate
        self._key = key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._stamp = self._stat()
        self.context.load_cert_chain(certificate, key)

    def refresh(self) -> bool:
        """Load the files again if they changed; return whether they did and are good."""
        try:
            stamp = self._stat()
            if stamp == self._stamp:
                return False
            # Tried on a context of its own first: a pair that does not match must not be served.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
            self.context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            _LOG.warning("certificate %s not reloaded: %s", self._certificate, error)
            return False
        self._stamp = stamp
        _LOG.info("certificate %s reloaded", self._certificate)
        return True

    def _stat(self) -> tuple[int, ...]:
        paths = [self._certificate, *([self._key] if self._key else [])]
        return tuple(n for p in paths for n in (os.stat(p).st_mtime_ns, os.stat(p).st_ino))


class Listeners:
    """The open listeners of one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._servers: dict[Listener, asyncio.Server] = {}
        self._certificates: dict[Listener, Certificate] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def addresses(self) -> list[tuple[str, str, int]]:
        """(scheme, host, port) of each, the port as bound."""
        return [
            (
                "https" if listener.certificate else "http",
                listener.host,
                server.sockets[0].getsockname()[1],
            )
            for listener, server in self._servers.items()
        ]

    async def use(self, wanted: Sequence[Listener], accept: Accept, handshake: float) -> None:
        """Accept at exactly the `wanted` addresses; those that stay are not touched.

        Raises GatewayError where one cannot be opened; then all is as it was.
        """
        before = list(self._servers)
        try:
            await self._change(wanted, accept, handshake)
        except GatewayError:
            await self._change(before, accept, handshake)
            raise

    async def _change(self, wanted: Sequence[Listener], accept: Accept, handshake: float) -> None:
        gone = [one for one in self._servers if one not in wanted]
        ports = {one.port for one in gone}
        # Where another port is wanted, nobody is turned away before it is had.
        for listener in [one for one in wanted if one.port not in ports]:
            await self._open(listener, accept, handshake)
        for listener in gone:
            self._servers.pop(listener).close()
            self._certificates.pop(listener, None)
        for listener in wanted:
            await self._open(listener, accept, handshake)

    async def _open(self, listener: Listener, accept: Accept, handshake: float) -> None:
        if listener in self._servers:
            return
        certificate = _loaded(listener)
        try:
            server = await self._loop.create_server(
                lambda: accept(listener),
                listener.host,
                listener.port,
                ssl=certificate.context if certificate is not None else None,
                ssl_handshake_timeout=handshake if certificate is not None else None,
                backlog=_BACKLOG,
                reuse_port=listener.reuse_port or None,
            )
        except OSError as error:
            where = f"{listener.host}:{listener.port}"
            raise GatewayError(
                500, "listen", f"cannot listen on {where}: {error.strerror}"
            ) from None
        self._servers[listener] = server
        if certificate is not None:
            self._certificates[listener] = certificate
            if self._timer is None:
                self._timer = self._loop.call_later(_POLL, self._refresh)

    def _refresh(self) -> None:
        for certificate in self._certificates.values():
            certificate.refresh()
        self._timer = self._loop.call_later(_POLL, self._refresh)

    def close(self) -> None:
        """Accept no more; what is open stays open."""
        for server in self._servers.values():
            server.close()
        if self._timer is not None:
            self._timer.cancel()


def _loaded(listener: Listener) -> Certificate | None:
    if listener.certificate is None:
        return None
    try:
        return Certificate(listener.certificate, listener.key)
    except (OSError, ssl.SSLError) as error:
        reason = f"certificate {listener.certificate} cannot be loaded: {error}"
        raise GatewayError(500, "certificate", reason) from None
