"""The kinds of values that keys hold, each as pydantic reads it and as an editor is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import CoreSchema

from gateway.config import values
from gateway.config.values import Upstream
from gateway.core.model import Network as IPNetwork
from gateway.core.places import Place
from gateway.core.places.parse import parse_place
from gateway.core.secret import SecretRef

Parsed = TypeVar("Parsed")
TEXT, MAPPING, LIST = "<text>", "<mapping>", "<list>"
"""Tags of the shapes a value may have; pydantic puts them into its error locations."""
TAGS = frozenset((TEXT, MAPPING, LIST))


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


def _name(text: str, info: ValidationInfo) -> str:
    return text if _is_sparing(info) else values.name(text)


def _secret(value: object, info: ValidationInfo) -> SecretRef:
    # A route cannot do without, and its other keys are to be looked at all the same.
    return SecretRef("", "") if _is_sparing(info) else values.secret(_text(value))


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("size_type", "a size is expected: a number of bytes, or `64KiB`")
    return values.size(value)


def _identifier(value: object) -> str:
    """Return the pattern of a chat or channel, whose id YAML may have read as a number."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        message = "text or a whole number is expected: put it in quotes where it is text"
        raise PydanticCustomError("identifier_type", message)
    return values.value_pattern(str(value))


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


def by_shape(expected: str) -> Discriminator:
    """Tell the alternatives of a union apart by their tags TEXT, MAPPING and LIST."""
    return Discriminator(
        _shape, custom_error_type="shape", custom_error_message=f"{expected} is expected"
    )


def _spare(value: object, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    """Read a mapping without its wrong keys; None where nothing sound is left."""
    try:
        return read(value)
    except ValidationError as exc:
        if not _is_sparing(info):
            raise
        places = [[part for part in error["loc"] if part not in TAGS] for error in exc.errors()]
    wrong = {place[0] for place in places if place}
    if not isinstance(value, dict) or wrong.isdisjoint(value):
        return None
    return _spare({key: one for key, one in value.items() if key not in wrong}, read, info)


def _is_sparing(info: ValidationInfo) -> bool:
    return bool((info.context or {}).get("sparing"))


class _Written:
    """Takes None out of what pydantic accepts, for keys that are None where they are left out."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        nullable = handler(source)
        assert nullable["type"] == "nullable"
        inner: CoreSchema = nullable["schema"]
        return inner


def _schema(**parts: object) -> WithJsonSchema:
    return WithJsonSchema(dict(parts))


Spared = Annotated[Parsed, WrapValidator(_spare)]
"""An entry that is read in part, or is None, where the context says `sparing`.

So a file that is wrong somewhere is looked at for mistakes of other kinds everywhere else.
"""

Written = Annotated[Parsed | None, _Written()]
"""What a key holds that may be left out: None stands for that, and cannot be written."""

_NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
Name = Annotated[str, AfterValidator(_name), _schema(type="string", pattern=_NAME)]
FilePath = Annotated[str, AfterValidator(_some)]
ReferencePath = Annotated[str, _from_reference(_some), _schema(type="string", minLength=1)]
Address = Annotated[
    tuple[str, int],
    _from_reference(values.address),
    _schema(type="string", examples=["127.0.0.1:8080", "[::1]:8080"]),
]
Host = Annotated[
    bytes, _from_reference(values.host), _schema(type="string", examples=["openai.example.com"])
]
_NETWORK = _schema(type="string", examples=["10.0.0.0/8", "192.168.1.7", "fd00::/8"])
Network = Annotated[IPNetwork, _from_reference(values.network), _NETWORK]
TrustedNetwork = Annotated[IPNetwork, _from_reference(values.trusted_network), _NETWORK]
UpstreamUrl = Annotated[
    Upstream, _from_reference(values.upstream), _schema(type="string", minLength=1)
]
Prefix = Annotated[bytes, _from_text(values.prefix), _schema(type="string", pattern="^/")]
SecretText = Annotated[
    SecretRef, PlainValidator(_secret), _schema(type="string", pattern="^(env|file):.+")
]
Digest = Annotated[
    bytes, _from_text(values.digest), _schema(type="string", pattern="^sha256:[0-9a-f]{64}$")
]
PlaceSpec = Annotated[
    Place,
    PlainValidator(_place),
    _schema(anyOf=[{"type": "string"}, {"type": "object", "minProperties": 1}]),
]
PathPattern = Annotated[
    str, _from_text(values.path_pattern), _schema(type="string", examples=["/v1/files/*", "/v1/**"])
]
OpaquePattern = Annotated[
    str, _from_text(values.opaque_pattern), _schema(type="string", examples=["/model/*/invoke"])
]
ValuePattern = Annotated[
    str, _from_text(values.value_pattern), _schema(type="string", examples=["gpt-5-*"])
]
Identifier = Annotated[
    str,
    PlainValidator(_identifier),
    _schema(anyOf=[{"type": "string"}, {"type": "integer"}], examples=[-100123, "@news"]),
]
_SIZE = _schema(anyOf=[{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+([KMG]i)?B$"}])
Size = Annotated[int, BeforeValidator(_size), _SIZE]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
