"""The nouns of the product, as `docs/design` uses them. All frozen but `Exchange` (exchange.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    """Where a request names what it is about (a model, a chat): one field, in several places.

    `json`, `form` and `query` are top-level field names; `path` is a regular expression over
    the path, whose group 1 is the value.
    """

    name: str
    json: str | None = None
    form: str | None = None
    query: str | None = None
    path: str | None = None


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

    host: bytes = field(init=False)
    """The Host header's value."""
    reads_body: bool = field(init=False)
    """Whether a place of this route lies in the request's body."""
    in_path: tuple[Place, ...] = field(init=False)
    """The places of this route that lie in the path."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", self.origin.authority.encode())
        places = self.tokens + self.inject
        object.__setattr__(self, "reads_body", any(place.in_body for place in places))
        in_path = tuple(place for place in places if isinstance(place, Path))
        object.__setattr__(self, "in_path", in_path)

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of a bot's `allow`. `place` names it in the configuration, for the record."""

    route: str
    place: str


@dataclass(frozen=True, slots=True)
class Bot:
    """A caller, and what it may do."""

    name: str
    allow: Mapping[str, Rule]
    """By route name."""
    labels: tuple[str, ...] = ()


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
    deadlines: Deadlines = Deadlines()
    sizes: Sizes = Sizes()
    connections: Connections = Connections()
    settings: Settings = Settings()
