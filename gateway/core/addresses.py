"""Which addresses a connection to a provider may go to (the rules of Stripe's smokescreen)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from gateway.core.errors import GatewayError

# IANA special-purpose registries. `is_global` of the standard library lets several pass.
_NEVER = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "100.100.100.200/32",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_PRIVATE = tuple(
    IPv4Network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",
    )
)
_NEVER6 = tuple(
    IPv6Network(network)
    for network in (
        "::/128",
        "2001:db8::/32",
        "3fff::/20",
        "fd00:ec2::254/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_PRIVATE6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
# An IPv4 address hides in these: NAT64, its local form, 6to4, Teredo, mapped and compatible.
_EMBEDDED = tuple(
    IPv6Network(network)
    for network in (
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
    )
)
_GLOBAL6 = IPv6Network("2000::/3")


def refusal(address: str, private: bool) -> str | None:
    """Return why `address` may not be dialled, None where it may.

    `private` allows loopback, RFC 1918, CGNAT, benchmarking and unique local addresses; never
    link-local, metadata, multicast, reserved or IPv4-embedding ones.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return _judge(ip, private)
    return _judge6(ip, private)


def _judge(ip: IPv4Address, private: bool) -> str | None:
    if any(ip in net for net in _NEVER):
        return "link-local, metadata, multicast or reserved"
    if not private and any(ip in net for net in _PRIVATE):
        return "private"
    return None


def _judge6(ip: IPv6Address, private: bool) -> str | None:
    if any(ip in net for net in _NEVER6):
        return "link-local, metadata, multicast or reserved"
    if any(ip in net for net in _PRIVATE6):
        return None if private else "private"
    if any(ip in net for net in _EMBEDDED):
        return "an IPv6 form that embeds an IPv4 address"
    if ip not in _GLOBAL6:
        return "not global unicast"
    return None


def judged(host: str, addresses: Sequence[str], private: bool) -> list[str]:
    """Return those of `host`'s addresses that may be dialled.

    Raises GatewayError (502) where none may.
    """
    reasons = {address: refusal(address, private) for address in addresses}
    safe = [address for address, reason in reasons.items() if reason is None]
    if not safe:
        why = ", ".join(sorted({reason for reason in reasons.values() if reason})) or "missing"
        raise GatewayError(502, "upstream_address", f"The address of {host} is {why}")
    return safe
