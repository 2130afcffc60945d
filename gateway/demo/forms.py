"""Forms, in any of the encodings in which clients send their parameters."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web

from gateway.demo.body import Body
from gateway.demo.faults import Fault
from gateway.demo.seen import WATCH
from gateway.demo.shelf import Shelf, Stored

FIELD_BYTES = 1024 * 1024
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """Parameters as texts, and the files that came with them."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[Stored] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        return self.fields.get(name, default)

    def one_file(self) -> Stored:
        if not self.files:
            raise Fault(400, "no file was sent")
        return self.files[0]


async def read(request: web.Request, shelf: Shelf) -> Form:
    """The query and the body together; the body wins where both name a parameter."""
    form = Form(dict(request.query))
    body = request[WATCH].body
    if request.content_type == "multipart/form-data":
        await _multipart(request, body, form, shelf)
    else:
        form.fields.update(encoded(request.content_type, await body.whole()))
    return form


def encoded(content_type: str, raw: bytes) -> dict[str, str]:
    """The parameters in a JSON or a URL-encoded body; values that are not texts stay JSON."""
    if content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True))
    if content_type != "application/json" or not raw.strip():
        return {}
    try:
        parsed = json.loads(raw)
    except ValueError as exc:
        raise Fault(400, "the body is not valid JSON") from exc
    if not isinstance(parsed, dict):
        raise Fault(400, "the body is not a JSON object")
    return {name: v if isinstance(v, str) else json.dumps(v) for name, v in parsed.items()}


async def _multipart(request: web.Request, body: Body, form: Form, shelf: Shelf) -> None:
    # Body has every method that the reader calls, so that the bytes are hashed on the way.
    try:
        async for part in MultipartReader(request.headers, cast("StreamReader", body)):
            if isinstance(part, BodyPartReader):
                await _part(part, form, shelf)
    except ValueError as exc:
        raise Fault(400, "the multipart body is malformed") from exc


async def _part(part: BodyPartReader, form: Form, shelf: Shelf) -> None:
    if part.filename is not None:
        kind = part.headers.get("Content-Type", "application/octet-stream")
        form.files.append(await shelf.keep(part.filename, kind, _chunks(part)))
        return
    value = bytearray()
    async for chunk in _chunks(part):
        value += chunk
        if len(value) > FIELD_BYTES:
            raise Fault(413, f"a form field is larger than {FIELD_BYTES} bytes")
    form.fields[part.name or ""] = value.decode(errors="replace")


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield bytes(chunk)
