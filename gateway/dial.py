"""Dial a provider: resolve, judge every address, connect to the address that was judged."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from socket import SOCK_STREAM, gaierror
from typing import TypeVar

from gateway.core.addresses import judged
from gateway.core.errors import GatewayError
from gateway.core.model import Origin

P = TypeVar("P", bound=asyncio.Protocol)


class Dialler:
    """Opens connections, with TLS verified against the route's own host name.

    Proxies named in the environment play no part, and nothing is ever looked up twice: the
    address that was judged is the address that is dialled.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._context = lru_cache(maxsize=64)(_context)

    async def dial(
        self,
        factory: Callable[[], P],
        origin: Origin,
        private: bool,
        ca: str | None,
        seconds: float,
    ) -> P:
        """Connect to `origin` within `seconds`, trying every address that may be dialled.

        Raises GatewayError: 504 where time ran out, 502 for all else. No byte of a request
        has been sent then, so the request may be repeated.
        """
        try:
            async with asyncio.timeout(seconds):
                addresses = judged(origin.host, await self._resolve(origin), private)
                return await self._any(factory, origin, addresses, ca, seconds)
        except TimeoutError:
            raise GatewayError(
                504,
                "upstream_connect_timeout",
                f"{origin.host} did not accept a connection in time",
                repeatable=True,
            ) from None

    async def _resolve(self, origin: Origin) -> list[str]:
        try:
            return [str(ip_address(origin.host))]
        except ValueError:
            pass
        try:
            found = await self._loop.getaddrinfo(origin.host, origin.port, type=SOCK_STREAM)
        except gaierror:
            raise _unreachable(origin, "its name cannot be resolved") from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _trusting(self, origin: Origin, ca: str | None) -> ssl.SSLContext:
        try:
            return self._context(ca)
        except OSError:  # ssl.SSLError too: the file was good to read when the gateway started
            raise _unreachable(origin, "the route's `ca` file cannot be used") from None

    async def _any(
        self,
        factory: Callable[[], P],
        origin: Origin,
        addresses: Sequence[str],
        ca: str | None,
        seconds: float,
    ) -> P:
        tls = self._trusting(origin, ca) if origin.scheme == "https" else None
        why = ""
        for address in addresses:
            try:
                async with asyncio.timeout(seconds / len(addresses)):
                    _, protocol = await self._loop.create_connection(
                        factory,
                        address,
                        origin.port,
                        ssl=tls,
                        server_hostname=origin.host if tls else None,
                    )
                return protocol
            except TimeoutError:
                why = "it did not answer in time"
            except ssl.SSLCertVerificationError as error:
                why = f"its certificate is not valid for it: {error.verify_message}"
            except ssl.SSLError:
                why = "the TLS handshake failed"
            except OSError as error:
                why = error.strerror or "the connection failed"
        if why == "it did not answer in time":
            raise TimeoutError
        raise _unreachable(origin, why)


def _context(ca: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _unreachable(origin: Origin, why: str) -> GatewayError:
    reason = f"The provider at {origin.host} cannot be reached: {why}"
    return GatewayError(502, "upstream_unreachable", reason, repeatable=True)
