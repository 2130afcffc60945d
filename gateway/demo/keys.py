"""The demo's keys, which open nothing, and the places in a request where a key was found."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from aiohttp import web

from gateway.demo.faults import MISSING_KEY, WRONG_KEY, Fault

KEYS: Mapping[str, str] = MappingProxyType(
    {
        "openai": "sk-demo-openai-not-a-real-key-0001",
        "anthropic": "sk-ant-demo-not-a-real-key-0002",
        "gemini": "AIza-demo-gemini-not-a-real-key-0003",
        "telegram": "1000000001:demo-telegram-not-a-real-token-0004",
        "discord": "MTAwMDAwMDAwMQ.demo-discord.not-a-real-token-0005",
        "slack": "xoxb-demo-slack-not-a-real-token-0006",
        "echo": "demo-echo-not-a-real-key-0007",
    }
)

_HEADERS = frozenset(("x-api-key", "x-goog-api-key", "api-key", "xi-api-key"))
_QUERY = frozenset(("key", "api_key", "api-key", "access_token", "token"))


@dataclass(frozen=True, slots=True)
class Credential:
    """One thing that looks like a key, and where it was: ``bearer``, ``x-api-key``, ``path``..."""

    where: str
    value: str = field(repr=False)


def carried(request: web.Request) -> Iterator[Credential]:
    """Every credential in the headers and the query, repeated ones included."""
    for raw_name, raw_value in request.raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "authorization":
            yield _authorization(value)
        elif name in _HEADERS:
            yield Credential(name, value)
    for name, value in request.query.items():
        if name in _QUERY:
            yield Credential(f"query:{name}", value)


def choose(found: Sequence[Credential], key: str, slots: Collection[str]) -> Credential:
    """The right key in one of a provider's slots; a wrong one beside it is refused as well."""
    mine = [credential for credential in found if credential.where in slots]
    if not mine:
        raise Fault(401, "no key was sent", MISSING_KEY)
    if any(credential.value != key for credential in mine):
        raise Fault(401, "the key is wrong", WRONG_KEY)
    return mine[0]


def overridden(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """The table of keys with some replaced; a provider that the demo lacks is an error."""
    unknown = sorted(set(pairs) - set(KEYS))
    if unknown:
        raise ValueError(f"unknown provider {unknown[0]!r}; known are: {', '.join(KEYS)}")
    return MappingProxyType({**KEYS, **pairs})


def _authorization(value: str) -> Credential:
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "basic":
        return Credential(scheme.lower(), rest.strip())
    try:
        login = base64.b64decode(rest, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return Credential("basic", "")
    return Credential("basic", login.partition(":")[2])
