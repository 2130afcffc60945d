"""Where a request comes from, and whether it may: believed is the socket, and who it vouches for.

The address of a client behind load balancers is found from right to left: each trusted proxy
vouches for the element it added, and for nothing to the left of it (RFC 7239 8.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from gateway.core.errors import Deny
from gateway.core.model import Network, Networks, Proxies

_MOST = 64  # elements of a header that are walked; beyond these none can be read
_LONGEST = 128  # bytes of one element, which holds an address and a port
_REMEMBERED = 4096
_LINK_LOCAL = IPv6Network("fe80::/10")
_MAPPED = IPv6Network("::ffff:0:0/96")
# An address as proxies write it, with or without a port (RFC 7239 6). IPv6 may go bare only
# without one, since nothing else tells where it ends.
_NODE = re.compile(
    r"(?:([0-9.]+)|\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\])(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?"
    r"|([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)"
)
# One pair of an element, and what ends it (RFC 7239 4). Some proxies put a space after `;`, or
# leave out the quotes that a colon asks for.
_PAIR = re.compile(
    rb"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\",;\\]+))[ \t]*([;,]|\Z)"
)


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from."""

    address: str
    """Canonical text; IPv4 also where it came mapped into IPv6."""
    found: str
    """How it was found: `X-Forwarded-For, by way of 10.0.0.5`; "" for the peer itself."""


class Allowlist:
    """Networks, for the question whether an address lies in one of them."""

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: Networks) -> None:
        # By version and length of the host part: as many look-ups as there are lengths.
        self._networks: dict[tuple[int, int], set[int]] = {}
        for network in map(_folded, networks):
            bits = network.max_prefixlen - network.prefixlen
            found = self._networks.setdefault((network.version, bits), set())
            found.add(int(network.network_address) >> bits)
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        """Whether `address` lies in one of the networks; never where it cannot be read."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[address] = self._holds(address)
        return known

    def _holds(self, address: str) -> bool:
        try:
            ip = _ip(address)
        except ValueError:
            return False
        value = int(ip)
        return any(
            version == ip.version and value >> bits in prefixes
            for (version, bits), prefixes in self._networks.items()
        )


def plain(address: str) -> str:
    """Return `address` as it is compared: IPv4-mapped folded, a link-local zone dropped.

    Raises ValueError for what is no address: also 127.1, 0x7f.1, 010.0.0.1 and 2130706433.
    """
    return str(_ip(address))


def client(peer: str, forwarded: Sequence[bytes], proxies: Proxies) -> Client | Deny:
    """Return where a request comes from that `peer` brought.

    `forwarded` is the values of `proxies.header`'s lines, in order. It is only looked at where
    the peer is trusted; what a trusted proxy vouches for and cannot be read is refused.
    """
    try:
        address = plain(peer)
    except ValueError:
        return Deny(403, "address_unreadable", "The address of the connection cannot be read")
    if not proxies.trusted or not forwarded or not _is_trusted(address, proxies):
        return Client(address, "")
    header = proxies.header.decode("latin-1").title()
    found = ""
    for walked, element in enumerate(_elements(forwarded, proxies.header)):
        if element is None or walked == _MOST:
            return _unreadable(header, address)
        address, found = element, f"{header}, by way of {address}"
        if not _is_trusted(address, proxies):
            break
    return Client(address, found)


def denied(client: Client, everybody: Allowlist, own: Allowlist) -> Deny | None:
    """Return why a bot may not call from where it does: both lists must hold it, if not empty."""
    if everybody and client.address not in everybody:
        return _not_among(client, "this gateway may be called from")
    if own and client.address not in own:
        return _not_among(client, "this bot may call from")
    return None


def _not_among(client: Client, those: str) -> Deny:
    found = f"from {client.found}" if client.found else "the connection's own"
    reason = f"Address {client.address} ({found}) is not among those {those}"
    return Deny(403, "address_not_allowed", reason)


def _unreadable(header: str, vouching: str) -> Deny:
    reason = f"{header} holds no readable address where {vouching} vouches for one"
    return Deny(403, "address_unreadable", reason)


def _ip(text: str) -> IPv4Address | IPv6Address:
    bare, mark, zone = text.partition("%")
    ip = ip_address(bare)
    if mark and not (zone and ip in _LINK_LOCAL):
        raise ValueError("only a link-local address has a zone")
    return getattr(ip, "ipv4_mapped", None) or ip


def _folded(network: Network) -> Network:
    """Return an IPv4-mapped network as the IPv4 network that it is."""
    if isinstance(network, IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))


def _is_trusted(address: str, proxies: Proxies) -> bool:
    ip = ip_address(address)
    return any(ip in _folded(network) for network in proxies.trusted)


def _elements(lines: Sequence[bytes], header: bytes) -> Iterator[str | None]:
    """Yield the addresses in a header from the last to the first, None for an unreadable one."""
    for line in reversed(lines):
        nodes = _forwarded(line) if header == b"forwarded" else line.split(b",")
        yield from map(_node, reversed(nodes))


def _forwarded(line: bytes) -> list[bytes]:
    """Return the `for` of each element of a line (RFC 7239 4), b"" where it has not just one.

    Of a malformed line nothing can be told apart, so it is one element that cannot be read.
    """
    elements: list[list[bytes]] = [[]]
    at, end = 0, b","
    while end:
        pair = _PAIR.match(line, at)
        if pair is None:
            return [b""]
        name, quoted, token, end = pair.groups()
        if name.lower() == b"for":
            elements[-1].append(token if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted))
        if end == b",":
            elements.append([])
        at = pair.end()
    return [values[0] if len(values) == 1 else b"" for values in elements]


def _node(raw: bytes) -> str | None:
    text = raw.strip(b" \t")
    match = _NODE.fullmatch(text.decode("latin-1")) if len(text) <= _LONGEST else None
    if match is None:
        return None
    try:
        return plain(match[1] or match[2] or match[3])
    except ValueError:
        return None
