"""A real key, and its name. The value shows itself to nobody but `reveal()`'s few callers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hmac import compare_digest
from typing import NoReturn

# What every container can carry: a header value (RFC 9110 5.5) that is also one line of a file.
_CARRIABLE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Names a secret: `env:OPENAI_API_KEY` is source `env`, name `OPENAI_API_KEY`."""

    source: str
    name: str

    def __str__(self) -> str:
        return f"{self.source}:{self.name}"


class Secret:
    """The value behind a `SecretRef`, in one version.

    Only `reveal()` gives the value, and a test holds the closed list of its callers. Everything
    else (repr, str, format, JSON, pickle, comparison) knows the name and the version only.
    Raises ValueError, without the value, where the value could not stand in a header.
    """

    __slots__ = ("__value", "label", "ref", "version")

    def __init__(self, ref: SecretRef, value: bytes, version: str) -> None:
        if not _CARRIABLE.fullmatch(value):
            raise ValueError(f"{ref} is empty or holds a character that no header can carry")
        self.__value = value
        self.ref = ref
        self.version = version
        self.label = f"{ref} {version}"
        """Name and version, for the record and for whatever must tell two secrets apart."""

    def reveal(self) -> bytes:
        """Return the real key. Callers are listed in tests/test_architecture.py."""
        return self.__value

    def holds(self, value: bytes) -> bool:
        """Return whether this is the value, without telling where it differs."""
        return compare_digest(self.__value, value)

    def __repr__(self) -> str:
        return f"Secret({self.ref} {self.version})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")
