"""Reads the single values of a configuration: an address, a URL, a size, a reference to a secret.

Every function raises ValueError with a sentence that does not repeat the value it was given.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gateway.core import globs
from gateway.core.addresses import refusal
from gateway.core.model import Network, Origin
from gateway.core.secret import SecretRef

SOURCES = ("env", "file")

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_SIZE = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB)?")
_UNITS = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~-]+")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NETWORK = re.compile(r"[0-9a-fA-F:.]+(/[0-9]{1,3})?")
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


@dataclass(frozen=True, slots=True)
class Upstream:
    """An upstream URL, taken apart. `is_loopback` and `is_private` are what its text says."""

    origin: Origin
    base: bytes
    is_loopback: bool
    is_private: bool


def name(text: str) -> str:
    """Return a name of a route or a bot, or a label, as it is."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            "a name is 1 to 64 of a-z, 0-9, `_`, `.` and `-`, and starts with a letter or a digit"
        )
    return text


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with each `${NAME}` replaced from the environment."""

    def value(match: re.Match[str]) -> str:
        variable = match[1]
        if not _VARIABLE.fullmatch(variable) or not match[0].endswith("}"):
            raise ValueError("an environment reference is written `${NAME}`")
        if variable not in environ:
            raise ValueError(f"the environment variable {variable} is not set")
        return environ[variable]

    return _REFERENCE.sub(value, text)


def address(text: str) -> tuple[str, int]:
    """Return the host and port of `127.0.0.1:8080` or `[::]:8080`."""
    match = _ADDRESS.fullmatch(text)
    if not match or int(match["port"]) > 65_535:
        raise ValueError("an address is written `127.0.0.1:8080`, or for IPv6 `[::1]:8080`")
    if match["six"]:
        return str(_ip6(match["six"])), int(match["port"])
    if not _is_host(match["host"]):
        raise ValueError("this is neither an IP address nor a host name")
    return match["host"], int(match["port"])


def host(text: str) -> bytes:
    """Return a name of a Host header, in lower case."""
    if not _is_host(text) or text.endswith("."):
        raise ValueError("a host is a name such as `openai.example.com`, without scheme or port")
    return text.lower().encode("ascii")


def network(text: str) -> Network:
    """Return the network of `10.0.0.0/8`, or of one address such as `10.0.0.7`."""
    try:
        if not _NETWORK.fullmatch(text):
            raise ValueError
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            "a network is written `10.0.0.0/8` or `fd00::/8`, a single address without the `/`"
        ) from None
    if isinstance(found, ipaddress.IPv6Network) and found.network_address.ipv4_mapped:
        plain = f"{found.network_address.ipv4_mapped}/{found.prefixlen - 96}"
        raise ValueError(f"IPv4 addresses are compared as such; write {plain}")
    if found.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(
            f"this is an address within a network; write {found} for the network, "
            "or the address without what follows the `/`"
        )
    return found


def trusted_network(text: str) -> Network:
    """As `network`, but never every address there is."""
    found = network(text)
    if found.prefixlen == 0:
        raise ValueError(
            "if every address were trusted, everybody could claim any address; name the proxies"
        )
    return found


def path_pattern(text: str) -> str:
    """Return a pattern for paths as it is."""
    globs.path_pattern(text)
    return text


def opaque_pattern(text: str) -> str:
    """Return a pattern for paths as it is; its `*` are the segments that are opaque."""
    globs.path_pattern(text)
    if "*" not in text:
        raise ValueError("a `*` is needed, for the part of the path that may hold `%2F`")
    return text


def value_pattern(text: str) -> str:
    """Return a pattern for models, chats and the like as it is."""
    globs.value_pattern(text)
    return text


def size(value: int | str) -> int:
    """Return the bytes of `65536` or `64KiB`."""
    match = _SIZE.fullmatch(str(value))
    if not match:
        raise ValueError("a size is a number of bytes, or a number with KiB, MiB or GiB: `64KiB`")
    return int(match[1]) * _UNITS[match[2]]


def secret(text: str) -> SecretRef:
    """Return the reference; what it names is not looked up."""
    source, colon, reference = text.partition(":")
    if not colon:
        raise ValueError(
            "this is not a reference to a secret; write `env:NAME` or `file:PATH`, never the key"
        )
    if source not in SOURCES:
        raise ValueError(f"unknown source of secrets; sources are: {', '.join(SOURCES)}")
    if source == "env" and not _VARIABLE.fullmatch(reference):
        raise ValueError("what follows `env:` is the name of an environment variable")
    if source == "file" and (not reference or "\0" in reference or ".." in reference.split("/")):
        raise ValueError("what follows `file:` is a path without `..`")
    return SecretRef(source, reference)


def prefix(text: str) -> bytes:
    """Return a path prefix without its trailing slash: `b""` for the whole listener."""
    if text == "/":
        return b""
    segments = text[1:].removesuffix("/").split("/")
    if not text.startswith("/") or not all(_SEGMENT.fullmatch(one) for one in segments):
        raise ValueError(
            "a prefix is a path such as `/openai`, of letters, digits and `-._~`, or `/`"
        )
    return "/".join(["", *segments]).encode("ascii")


def digest(text: str) -> bytes:
    """Return the 32 bytes of a pinned token's digest."""
    match = _DIGEST.fullmatch(text)
    if not match:
        raise ValueError("a pinned token is written `sha256:` and 64 digits 0-9a-f, never itself")
    return bytes.fromhex(match[1])


def upstream(text: str) -> Upstream:
    """Return the parts of an http or https URL."""
    parts, port = _split(text)
    host = (parts.hostname or "").lower()
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials cannot stand in an upstream; name them with `secret`")
    if "?" in text or "#" in text:
        raise ValueError("an upstream has no `?` query and no `#` fragment")
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or any(one in (".", "..") for one in path.split("/")):
        raise ValueError("the upstream's path must be plain: no `//`, no `.` or `..`, no escapes")
    ip = _host_ip(host, bracketed="[" in parts.netloc)
    origin = Origin(parts.scheme, str(ip) if ip else host, port)
    is_loopback = ip.is_loopback if ip else _is_localhost(host)
    is_private = _is_private(ip) if ip else is_loopback
    return Upstream(origin, path.encode("ascii"), is_loopback, is_private)


def _split(text: str) -> tuple[SplitResult, int]:
    wrong = "an upstream is a URL such as `https://api.example.com`"
    if not text.isascii() or not text.isprintable() or set(text) & set(' \\"<>^`{|}'):
        raise ValueError(f"{wrong}, in plain ASCII without spaces")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(wrong) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{wrong}; its scheme is https or http")
    return parts, port or (443 if parts.scheme == "https" else 80)


def _host_ip(host: str, *, bracketed: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if bracketed:
        return _ip6(host)
    if not _is_host(host):
        raise ValueError("the upstream's host is neither a name nor an IP address")
    return ipaddress.IPv4Address(host) if _NUMERIC.fullmatch(host.rsplit(".", 1)[-1]) else None


def _ip6(text: str) -> ipaddress.IPv6Address:
    try:
        ip = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("this is not an IPv6 address") from None
    if ip.scope_id:
        raise ValueError("an IPv6 address with a zone (`%...`) cannot be used")
    return ip


def _is_host(text: str) -> bool:
    """Whether it is a name, or four decimal numbers; `127.1` and `0x7f000001` are neither."""
    if not _HOST.fullmatch(text) or len(text) > 253:
        return False
    if not _NUMERIC.fullmatch(text.rstrip(".").rsplit(".", 1)[-1]):
        return True
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_localhost(host: str) -> bool:
    bare = host.rstrip(".")
    return bare == "localhost" or bare.endswith(".localhost")


def _is_private(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return refusal(str(ip), private=False) is not None
