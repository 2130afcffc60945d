"""The configuration file as pydantic models: which keys there are, and what each may hold."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Tag

from gateway.config.kinds import (
    LIST,
    MAPPING,
    TEXT,
    Address,
    Count,
    Digest,
    FilePath,
    Host,
    Identifier,
    Name,
    Network,
    OpaquePattern,
    PathPattern,
    PlaceSpec,
    Prefix,
    ReferencePath,
    Seconds,
    SecretText,
    Size,
    Spared,
    TrustedNetwork,
    UpstreamUrl,
    ValuePattern,
    Written,
    by_shape,
)
from gateway.core.model import Connections, Deadlines, Settings, Sizes

Entry = TypeVar("Entry")

_DEADLINES, _SIZES, _CONNECTIONS, _SETTINGS = Deadlines(), Sizes(), Connections(), Settings()

Some = Annotated[list[Entry], Field(min_length=1)]
"""A list that, where it is given, is not empty: nobody could tell whether that is all or none."""
Mode = Literal["enforce", "observe"]


def _without_null(schema: dict[str, Any]) -> None:
    """Take out defaults that an editor would offer, and that are refused where they are written."""
    for key in schema.get("properties", {}).values():
        if key.get("default", ...) is None:
            del key["default"]


class Strict(BaseModel):
    """What every model here shares: no unknown key, no conversion, no value in a message."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True,
        use_attribute_docstrings=True, arbitrary_types_allowed=True,
        json_schema_extra=_without_null,
    )  # fmt: skip


class ListenerKeys(Strict):
    """Where connections are accepted."""

    address: Address
    """Host and port, IPv6 as "[::]:8080"."""
    certificate: Written[FilePath] = None
    """PEM file of the certificate chain; with `key` the listener speaks TLS."""
    key: Written[FilePath] = None
    """PEM file of the certificate's private key."""
    reuse_port: bool = False
    """Let several processes accept on the same port."""


class LimitKeys(Strict):
    """A ceiling: `requests` per time, or so many at once (`concurrency`)."""

    requests: Written[Annotated[int, Field(ge=1, le=1_000_000_000)]] = None
    """How many requests in any span of `per`; all of them may come at once."""
    per: Written[Literal["second", "minute", "hour", "day"]] = None
    """The span of time."""
    burst: Written[Annotated[int, Field(ge=1, le=1_000_000_000)]] = None
    """Spread the requests evenly, and let so many come at once after a pause."""
    concurrency: Written[Count] = None
    """How many exchanges are open at the same time."""


class RuleKeys(Strict):
    """One thing that a bot may use: what all of these keys allow. A key left out allows all."""

    route: str
    """Name of a route in this file."""
    presets: Some[str] = []
    """Names of the provider's sets of operations, such as `inference`."""
    methods: Some[str] = []
    """HTTP methods, or the provider's own, such as `sendMessage`."""
    paths: Some[PathPattern] = []
    """Paths after the route's prefix; `*` is a part of a segment, `/**` all below."""
    models: Some[ValuePattern] = []
    """Models; `*` is any characters."""
    chats: Some[Identifier] = []
    """Chats, by number or @name; `*` is any characters."""
    channels: Some[Identifier] = []
    """Channels, by id or name; `*` is any characters."""


OneListener = Annotated[
    Annotated[Address, Tag(TEXT)] | Annotated[ListenerKeys, Tag(MAPPING)],
    by_shape("an address such as `127.0.0.1:8080`, or a mapping with `address`,"),
]
Listeners = Annotated[
    Annotated[Address, Tag(TEXT)]
    | Annotated[ListenerKeys, Tag(MAPPING)]
    | Annotated[Some[Spared[OneListener]], Tag(LIST)],
    by_shape("an address such as `127.0.0.1:8080`, a mapping with `address`, or a list of these"),
]
OneRule = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[RuleKeys, Tag(MAPPING)],
    by_shape("a route's name, or `{route: NAME}`,"),
]
Limits = list[Spared[LimitKeys]]


class ProxyKeys(Strict):
    """The load balancers in front of the gateway."""

    trusted: Some[TrustedNetwork]
    """Their addresses; what they say of a client's address is believed."""
    header: Literal["X-Forwarded-For", "Forwarded"] = "X-Forwarded-For"
    """The header that they write it into."""


class LabelKeys(Strict):
    """What all bots of a label share."""

    limits: Annotated[Limits, Field(min_length=1)]
    """For all bots of the label together."""


class GroupKeys(Strict):
    """What each bot that joins the group gets in addition to its own."""

    allow: list[Spared[OneRule]] = []
    """Routes that these bots may use."""
    addresses: Some[Network] = []
    """Where these bots may call from."""
    limits: Limits = []
    """For each of these bots by itself."""


class DeadlineKeys(Strict):
    """Seconds; fractions are allowed."""

    head: Seconds = _DEADLINES.head
    """For a request's head to arrive."""
    idle: Seconds = _DEADLINES.idle
    """For a bot's idle connection to be kept."""
    body: Seconds = _DEADLINES.body
    """Of silence within a request's body."""
    write: Seconds = _DEADLINES.write
    """For a bot to take what was sent to it."""
    linger: Seconds = _DEADLINES.linger
    """To read on after a refusal, so that the bot sees it."""
    connect: Seconds = _DEADLINES.connect
    """For a connection to the provider, TLS included."""
    first_byte: Seconds = _DEADLINES.first_byte
    """For the provider's answer to begin."""
    stream: Seconds = _DEADLINES.stream
    """Of silence within the provider's answer."""
    pool: Seconds = _DEADLINES.pool
    """For an idle connection to the provider to be kept."""
    secret: Seconds = _DEADLINES.secret
    """For a source to give a secret."""
    wrong_token: Seconds = _DEADLINES.wrong_token
    """That a wrong token waits for its answer, from an address that showed many."""
    drain: Seconds = _DEADLINES.drain
    """For open exchanges to end when the gateway stops."""


class SizeKeys(Strict):
    """Bytes, or with KiB, MiB, GiB; `headers` counts lines."""

    head: Annotated[Size, Field(ge=1024, le=1024**2)] = _SIZES.head
    """Of a request's head; a provider's may have 64 KiB."""
    headers: Annotated[int, Field(ge=8, le=10_000)] = _SIZES.headers
    """Header lines in a request's head."""
    peek: Annotated[Size, Field(ge=1024, le=1024**3)] = _SIZES.peek
    """Of a body that a rule or a place of the route must read."""
    held: Annotated[Size, Field(ge=1024, le=64 * 1024**2)] = _SIZES.held
    """Of a request held in memory until its way on is open."""
    peeks: Annotated[Size, Field(ge=1024, le=1024**4)] = _SIZES.peeks
    """Of all the bodies being read at the same time."""


class ConnectionKeys(Strict):
    """How many at most."""

    total: Count = _CONNECTIONS.total
    """Connections of bots."""
    per_address: Count = _CONNECTIONS.per_address
    """Connections from one address."""
    per_bot: Count = _CONNECTIONS.per_bot
    """Open exchanges of one bot."""
    pooled: Count = _CONNECTIONS.pooled
    """Idle connections kept to providers."""


class RouteKeys(Strict):
    """A place that a bot can point its base URL at."""

    provider: Written[str] = None
    """Which API it is; the route's own name where that is a known provider."""
    secret: SecretText | None
    """`env:NAME` or `file:PATH`; null for an upstream that needs no key."""
    prefix: Written[Prefix] = None
    """Path of the route; `/<name>` by default, or `/` where it has `host` or `listen`."""
    host: Host = b""
    """Name in the Host header that this route alone answers to."""
    listen: Written[Spared[OneListener]] = None
    """Where bots connect to this route alone."""
    upstream: Written[UpstreamUrl] = None
    """Base URL of the API; the provider's own by default."""
    private: bool = False
    """Allow an upstream with a private or loopback address."""
    insecure: bool = False
    """Allow plain http:// to an upstream that is not on this machine."""
    ca: Written[FilePath] = None
    """PEM file of certificates to trust for this upstream instead of the system's."""
    compression: bool = True
    """Whether the provider may compress its answers."""
    token: Written[Some[PlaceSpec]] = None
    """Where bots put their token; the provider's places by default."""
    inject: Written[Some[PlaceSpec]] = None
    """Where the secret goes; by default the place that the token was found in."""
    opaque: list[OpaquePattern] = []
    """Paths whose `*` may hold `%2F`, `%25` and the like, besides the provider's."""
    limits: Limits = []
    """For all bots together on this route."""
    mode: Mode = "enforce"
    """`observe` only notes what rules, addresses and limits would refuse here."""


class BotKeys(Strict):
    """A caller, and what it may do; what is not allowed is refused."""

    groups: list[Name] = []
    """Groups whose rules, addresses and limits this bot gets after its own."""
    labels: list[Name] = []
    """Teams and the like; bots of a label may share limits."""
    allow: list[Spared[OneRule]] = []
    """Routes that this bot may use."""
    addresses: Some[Network] = []
    """Where this bot may call from; anywhere that all may by default."""
    limits: Limits = []
    """For this bot."""
    mode: Mode = "enforce"
    """`observe` only notes what rules, addresses and limits would refuse this bot."""
    tokens: list[Digest] = []
    """Digests of tokens that are not kept in the store."""


class FileKeys(Strict):
    """The configuration of a gateway."""

    listen: Listeners = Field(default="127.0.0.1:8080", validate_default=True)
    """Where bots connect."""
    admin: OneListener = Field(default="127.0.0.1:9091", validate_default=True)
    """Where metrics and readiness are served; not for bots."""
    state: ReferencePath = ".gateway"
    """Directory of the store, relative to this file."""
    audit: ReferencePath = "-"
    """File of the record of exchanges, `-` for standard output."""
    log: Literal["debug", "info", "warning", "error"] = "info"
    """How much the gateway says about itself."""
    reload: Seconds = _SETTINGS.reload
    """Seconds between looks at this file, which is loaded anew when it changed."""
    env_file: Written[FilePath] = None
    """File of NAME=value lines for `env:` secrets; `.env` beside this file where it exists."""
    secrets_dir: Written[FilePath] = None
    """Directory that relative `file:` secrets are read from."""
    addresses: Some[Network] = []
    """Where bots may call from at all; anywhere by default."""
    proxies: Written[ProxyKeys] = None
    """The load balancers in front of the gateway."""
    limits: Limits = []
    """For everything together."""
    deadlines: DeadlineKeys = DeadlineKeys()
    sizes: SizeKeys = SizeKeys()
    connections: ConnectionKeys = ConnectionKeys()
    routes: Annotated[dict[Name, Spared[RouteKeys]], Field(min_length=1)]
    """By name."""
    labels: dict[Name, Spared[LabelKeys]] = {}
    """By name."""
    groups: dict[Name, Spared[GroupKeys]] = {}
    """By name."""
    bots: dict[Name, Spared[BotKeys]] = {}
    """By name."""


def schema_json() -> str:
    """Return the JSON Schema of the file, for editors; committed as routes.schema.json."""
    schema: dict[str, Any] = FileKeys.model_json_schema()
    return json.dumps(schema, indent=2) + "\n"
