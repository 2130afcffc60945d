"""The nouns of the product, as `docs/design` uses them. All frozen but `Exchange` (exchange.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType

from gateway.core.errors import Deny
from gateway.core.places import Path, Place
from gateway.core.secret import SecretRef


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection goes: `scheme://host:port`. TLS is verified against `host`."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The Host header's value: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A `Deny` in a provider's own shape: what its SDK needs to raise its typed error."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, as far as a rule can name it: a model, a chat, a channel.

    A rule's key for it is the name with an `s`: `models: [gpt-5-mini, text-embedding-*]`.
    """

    name: str
    fields: tuple[str, ...] = ()
    """Where a JSON or form body says it: `model`, `reply_parameters.chat_id`, `tools[].model`.

    `channels[]` is an array of values, `channels,` a text of several with commas between.
    A field may be there or not; every one that is there must be allowed, and a request that
    has none is about nothing. In a form, what follows a dot stands in a field that holds JSON.
    """
    query: tuple[str, ...] = ()
    """The parameters of the query that say it, written like the fields of a form."""
    path: str | None = None
    """Regular expression over the path after the prefix, whose group 1 is the value."""
    decisive: bool = False
    """Whether the body is not looked at where the path says it."""
    form: str = r"[!-~]{1,256}"
    """Regular expression that a whole value matches; another value cannot be judged."""
    strip: str = ""
    """What may stand before the value without meaning another: `models/`."""
    fold: bool = False
    """Whether case does not matter."""
    free: tuple[str, ...] = ()
    """Operations that are about none of them, in the notation of `Provider.presets`.

    A rule that names the operation (by methods, paths or presets) lets these pass.
    """


@dataclass(frozen=True, slots=True)
class Provider:
    """What we know of one upstream API. Data and small pure functions; see gateway/providers."""

    name: str
    upstream: str | None
    """Default upstream URL, None where the route must say it."""
    tokens: tuple[Place, ...]
    """Where its SDKs put the token."""
    refuse: Callable[[Deny, str], Refusal]
    """A deny and an exchange id, in this provider's shape."""
    inject: tuple[Place, ...] = ()
    """Where the secret goes; empty: to the place the token was found in."""
    subjects: tuple[Subject, ...] = ()
    presets: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Names for sets of operations. Never one that administers, bills, makes keys or trains.

    An operation is written `POST /v1/chat/completions`, in a path `*` for (a part of) one segment
    and `**` at the end for all that follows. Where `method` is given: `sendMessage`, `send*`.
    """
    method: str | None = None
    """Regular expression over the path, whose group 1 is what this API calls a method.

    Where a named group matched instead, its name is the method: Telegram's file downloads are
    part of `getFile`. None: the methods of a rule are HTTP's.
    """
    uncarried: tuple[str, ...] = ()
    """Operations that lead past the gateway, and are refused until it carries them."""
    opaque: tuple[str, ...] = ()
    """Path patterns, in the notation of `presets`, whose `*` may hold `%2F`, `%25` and the like.

    The provider takes these segments for opaque data, so no other path can be meant.
    """


@dataclass(frozen=True, slots=True)
class Limit:
    """A ceiling: so many `requests` per `seconds`, or so many at once (`concurrency`).

    Without `burst` no span of `seconds` ever admits more than `ceiling`. With it requests are
    admitted evenly, `ceiling` per `seconds`, and up to `burst` at once after a pause (GCRA), so
    that a span of `seconds` admits at most `ceiling + burst - 1`.
    """

    unit: str
    ceiling: int
    place: str
    """Names it in the configuration."""
    seconds: int = 0
    burst: int | None = None


Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A place a bot points its base URL at, tied to an upstream, a provider and a secret."""

    name: str
    prefix: bytes
    """Path prefix without a trailing slash; b"" for the whole listener."""
    provider: Provider
    origin: Origin
    base: bytes
    """Path of the upstream URL that goes before what follows the prefix; no trailing slash."""
    secret: SecretRef | None
    tokens: tuple[Place, ...]
    inject: tuple[Place, ...]
    private: bool = False
    """Whether the upstream may have a private or loopback address."""
    ca: str | None = None
    """File of PEM certificates to trust for this upstream instead of the system's."""
    compression: bool = True
    """Whether the provider may compress its answers; off where they must be read here."""
    host: bytes = b""
    """The host name in lower case, without a port, that this route answers to; b"" for any."""
    listener: str = ""
    """Name of the listener that only this route is reached at; "" for those of all."""
    opaque: tuple[str, ...] = ()
    """As the provider's, which are among them."""
    limits: tuple[Limit, ...] = ()
    """For all bots together."""
    observe: bool = False
    """Whether what the rules and limits would refuse is noted and let pass."""
    place: str = ""

    authority: bytes = field(init=False)
    """The Host header's value for the upstream."""
    reads_body: bool = field(init=False)
    """Whether a place of this route lies in the request's body."""
    in_path: tuple[Place, ...] = field(init=False)
    """The places of this route that lie in the path."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "authority", self.origin.authority.encode())
        places = self.tokens + self.inject
        object.__setattr__(self, "reads_body", any(place.in_body for place in places))
        in_path = tuple(place for place in places if isinstance(place, Path))
        object.__setattr__(self, "in_path", in_path)

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One entry of a bot's (or its groups') `allow`. It lets pass what all of its keys allow.

    A key that is empty allows everything; a key allows what any entry of its list does.
    Compared by identity, so that what is worked out for a rule is worked out once.
    """

    route: str
    place: str
    """Names it in the configuration, for the record: `routes.yaml:12 bots.support.allow[0]`."""
    presets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    """HTTP's, or the provider's own (`sendMessage`) where it has such."""
    paths: tuple[str, ...] = ()
    subjects: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By the subject's name: patterns in which `*` stands for any characters."""


@dataclass(frozen=True, slots=True)
class Bot:
    """A caller, and what it may do. What its groups add is among it already."""

    name: str
    allow: Mapping[str, tuple[Rule, ...]]
    """By route name, in the order of the file."""
    labels: tuple[str, ...] = ()
    addresses: Networks = ()
    """Where it may call from; empty: from anywhere that everybody may."""
    limits: tuple[Limit, ...] = ()
    observe: bool = False
    """Whether what the rules and limits would refuse is noted and let pass."""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """What the store keeps of a token: never the token. Times are Unix seconds."""

    id: str
    digest: bytes
    """SHA-256 of the token; it is 256-bit random, so a plain hash does not weaken it."""
    bot: str
    created: float
    expires: float | None = None
    revoked: float | None = None
    origin: str = "store"
    """`store`, or the place in the configuration where its digest is pinned."""
    shape: str = "plain"
    """How its text looks, so that another like it can be made."""


@dataclass(frozen=True, slots=True, order=True)
class Freeze:
    """What is stopped until it is let go: a `bot`, a `route`, or `all` (whose name is "")."""

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The load balancers in front of the gateway, whose word on the client's address is taken."""

    trusted: Networks = ()
    header: bytes = b"x-forwarded-for"
    """The header that they write, in lower case: this, or `forwarded` (RFC 7239)."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. Each is a limit on silence or on one step, never on a whole stream."""

    head: float = 10.0
    idle: float = 75.0
    body: float = 30.0
    write: float = 120.0
    linger: float = 2.0
    connect: float = 10.0
    first_byte: float = 600.0
    stream: float = 300.0
    pool: float = 55.0
    secret: float = 5.0
    wrong_token: float = 1.0
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes, but `headers`, which counts header lines."""

    head: int = 65_536
    headers: int = 128
    peek: int = 1_048_576
    held: int = 65_536
    peeks: int = 268_435_456


@dataclass(frozen=True, slots=True)
class Connections:
    """How many at most. `total` is further bounded by the process's file descriptors."""

    total: int = 8192
    per_address: int = 1024
    per_bot: int = 1024
    pooled: int = 1024


@dataclass(frozen=True, slots=True)
class Listener:
    """Where bots connect: an address, and a certificate where it speaks TLS."""

    host: str
    port: int
    certificate: str | None = None
    key: str | None = None
    reuse_port: bool = False
    name: str = ""
    """The route that alone is reached here; "" for all that have no listener of their own."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for the whole process rather than for one request."""

    listeners: tuple[Listener, ...] = (Listener("127.0.0.1", 8080),)
    admin: Listener = Listener("127.0.0.1", 9091)
    state: str = ".gateway"
    """Directory of the embedded store."""
    audit: str = "-"
    """File of the record, `-` for standard output."""
    log: str = "info"
    reload: float = 1.0
    """Seconds between looks at the configuration file."""
    env_file: str | None = None
    secrets_dir: str | None = None
    """Directory that relative `file:` secrets are read from."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole parsed configuration, swapped in one assignment."""

    routes: Mapping[str, Route] = field(default_factory=lambda: MappingProxyType({}))
    bots: Mapping[str, Bot] = field(default_factory=lambda: MappingProxyType({}))
    tokens: tuple[Token, ...] = ()
    """Tokens whose digests are pinned in the configuration."""
    addresses: Networks = ()
    """Where bots may call from at all; empty: from anywhere."""
    proxies: Proxies = Proxies()
    limits: tuple[Limit, ...] = ()
    """For everything together."""
    labels: Mapping[str, tuple[Limit, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Limits for all bots of a label together, by label."""
    deadlines: Deadlines = Deadlines()
    sizes: Sizes = Sizes()
    connections: Connections = Connections()
    settings: Settings = Settings()
    notes: tuple[str, ...] = ()
    """What of the file has no effect, a sentence each, for whoever checks it."""
