"""One request as the demo saw it, in the form in which it is reported."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sighting:
    """A request on the wire: what came, whether the key was right and how it ended."""

    number: int
    at: float
    method: str
    raw_path: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    body_bytes: int
    body_sha256: str
    key_ok: bool
    key_where: str | None
    credentials: tuple[str, ...]
    status: int | None
    ended: str

    def header(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def holds(self, text: str) -> bool:
        """Is this text anywhere in the request: path, headers or the kept part of the body?"""
        head = [self.raw_path, *(part for pair in self.headers for part in pair)]
        return any(text in part for part in head) or text.encode() in self.body


def to_json(sighting: Sighting) -> dict[str, Any]:
    """The form in which ``GET /_seen`` lists a sighting."""
    return {
        "number": sighting.number,
        "at": sighting.at,
        "method": sighting.method,
        "raw_path": sighting.raw_path,
        "headers": [list(pair) for pair in sighting.headers],
        "body_b64": base64.b64encode(sighting.body).decode(),
        "body_bytes": sighting.body_bytes,
        "body_sha256": sighting.body_sha256,
        "key_ok": sighting.key_ok,
        "key_where": sighting.key_where,
        "credentials": list(sighting.credentials),
        "status": sighting.status,
        "ended": sighting.ended,
    }


def from_json(record: dict[str, Any]) -> Sighting:
    """Read what ``to_json`` wrote."""
    fields = {name: value for name, value in record.items() if name != "body_b64"}
    fields["headers"] = tuple((name, value) for name, value in record["headers"])
    fields["credentials"] = tuple(record["credentials"])
    return Sighting(body=base64.b64decode(record["body_b64"]), **fields)
