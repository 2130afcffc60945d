"""The configuration file as pydantic models: which keys there are, and what each may hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from gateway.config import values
from gateway.config.values import Upstream
from gateway.core.model import Connections, Deadlines, Sizes
from gateway.core.places import Place
from gateway.core.places.parse import parse_place
from gateway.core.secret import SecretRef

Parsed = TypeVar("Parsed")
TEXT, MAPPING, LIST = "<text>", "<mapping>", "<list>"
"""Tags of the shapes a value may have; pydantic puts them into its error locations."""


_DEADLINES, _SIZES, _CONNECTIONS = Deadlines(), Sizes(), Connections()


def _from_text(read: Callable[[str], Parsed]) -> PlainValidator:
    def validate(value: object) -> Parsed:
        return read(_text(value))

    return PlainValidator(validate)


def _from_reference(read: Callable[[str], Parsed]) -> PlainValidator:
    """As `_from_text`, and `${NAME}` in the text is replaced first."""

    def validate(value: object, info: ValidationInfo) -> Parsed:
        environ: Mapping[str, str] = (info.context or {}).get("environ", {})
        return read(values.expanded(_text(value), environ))

    return PlainValidator(validate)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "text is expected")
    return value


def _some(text: str) -> str:
    if not text:
        raise ValueError("this cannot be empty")
    return text


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("size_type", "a size is expected: a number of bytes, or `64KiB`")
    return values.size(value)


def _place(value: object) -> Place:
    if not isinstance(value, str | dict):
        raise PydanticCustomError("place_type", "a place is expected, such as `bearer`")
    try:
        return parse_place(value)
    except ValueError as exc:
        # Its sentence begins with the value, which may be a token pasted by mistake.
        raise ValueError(f"this is not a place; {str(exc).rpartition('; ')[2]}") from None


def _shape(value: object) -> str | None:
    for kind, tag in ((str, TEXT), (dict, MAPPING), (list, LIST)):
        if isinstance(value, kind):
            return tag
    return None


def _schema(**parts: object) -> WithJsonSchema:
    return WithJsonSchema(dict(parts))


_NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
Name = Annotated[str, AfterValidator(values.name), _schema(type="string", pattern=_NAME)]
FilePath = Annotated[str, AfterValidator(_some)]
ReferencePath = Annotated[str, _from_reference(_some), _schema(type="string", minLength=1)]
Address = Annotated[
    tuple[str, int],
    _from_reference(values.address),
    _schema(type="string", examples=["127.0.0.1:8080", "[::1]:8080"]),
]
UpstreamUrl = Annotated[
    Upstream, _from_reference(values.upstream), _schema(type="string", minLength=1)
]
Prefix = Annotated[bytes, _from_text(values.prefix), _schema(type="string", pattern="^/")]
SecretText = Annotated[
    SecretRef, _from_text(values.secret), _schema(type="string", pattern="^(env|file):.+")
]
Digest = Annotated[
    bytes, _from_text(values.digest), _schema(type="string", pattern="^sha256:[0-9a-f]{64}$")
]
PlaceSpec = Annotated[
    Place,
    PlainValidator(_place),
    _schema(anyOf=[{"type": "string"}, {"type": "object", "minProperties": 1}]),
]
_SIZE = _schema(anyOf=[{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+([KMG]i)?B$"}])
Size = Annotated[int, BeforeValidator(_size), _SIZE]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Strict(BaseModel):
    """What every model here shares: no unknown key, no conversion, no value in a message."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True,
        use_attribute_docstrings=True, arbitrary_types_allowed=True,
    )  # fmt: skip


class ListenerKeys(Strict):
    """Where connections are accepted."""

    address: Address
    """Host and port, IPv6 as "[::]:8080"."""
    certificate: FilePath | None = None
    """PEM file of the certificate chain; with `key` the listener speaks TLS."""
    key: FilePath | None = None
    """PEM file of the certificate's private key."""
    reuse_port: bool = False
    """Let several processes accept on the same port."""


class RuleKeys(Strict):
    """One thing that a bot may use."""

    route: str
    """Name of a route in this file."""


def _by_shape(expected: str) -> Discriminator:
    return Discriminator(
        _shape, custom_error_type="shape", custom_error_message=f"{expected} is expected"
    )


OneListener = Annotated[
    Annotated[Address, Tag(TEXT)] | Annotated[ListenerKeys, Tag(MAPPING)],
    _by_shape("an address such as `127.0.0.1:8080`, or a mapping with `address`,"),
]
Listeners = Annotated[
    Annotated[Address, Tag(TEXT)]
    | Annotated[ListenerKeys, Tag(MAPPING)]
    | Annotated[list[OneListener], Field(min_length=1), Tag(LIST)],
    _by_shape("an address such as `127.0.0.1:8080`, a mapping with `address`, or a list of these"),
]
OneRule = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[RuleKeys, Tag(MAPPING)],
    _by_shape("a route's name, or `{route: NAME}`,"),
]


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

    provider: str | None = None
    """Which API it is; the route's own name where that is a known provider."""
    secret: SecretText | None
    """`env:NAME` or `file:PATH`; null for an upstream that needs no key."""
    prefix: Prefix | None = None
    """Path of the route, `/<name>` by default; `/` for the whole listener."""
    upstream: UpstreamUrl | None = None
    """Base URL of the API; the provider's own by default."""
    private: bool = False
    """Allow an upstream with a private or loopback address."""
    insecure: bool = False
    """Allow plain http:// to an upstream that is not on this machine."""
    ca: FilePath | None = None
    """PEM file of certificates to trust for this upstream instead of the system's."""
    compression: bool = True
    """Whether the provider may compress its answers."""
    token: Annotated[list[PlaceSpec], Field(min_length=1)] | None = None
    """Where bots put their token; the provider's places by default."""
    inject: Annotated[list[PlaceSpec], Field(min_length=1)] | None = None
    """Where the secret goes; by default the place that the token was found in."""


class BotKeys(Strict):
    """A caller, and what it may do; what is not allowed is refused."""

    labels: list[Name] = []
    """Teams or other groups, for people who read the file."""
    allow: list[OneRule] = []
    """Routes that this bot may use."""
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
    log: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """How much the gateway says about itself."""
    env_file: FilePath | None = None
    """File of NAME=value lines for `env:` secrets; `.env` beside this file where it exists."""
    secrets_dir: FilePath | None = None
    """Directory that relative `file:` secrets are read from."""
    deadlines: DeadlineKeys = DeadlineKeys()
    sizes: SizeKeys = SizeKeys()
    connections: ConnectionKeys = ConnectionKeys()
    routes: Annotated[dict[Name, RouteKeys], Field(min_length=1)]
    """By name."""
    bots: dict[Name, BotKeys] = {}
    """By name."""


def schema_json() -> str:
    """Return the JSON Schema of the file, for editors; committed as routes.schema.json."""
    schema: dict[str, Any] = FileKeys.model_json_schema()
    return json.dumps(schema, indent=2) + "\n"
