"""A request body that is hashed while it is read, whoever reads it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import warnings
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import StreamReader

from gateway.demo.faults import Fault

KEPT_BYTES = 64 * 1024
WHOLE_BYTES = 32 * 1024 * 1024


class Body:
    """Wraps a request's stream; it has the methods that aiohttp's multipart reader calls."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self._returned = 0
        self.size = 0
        self.kept = bytearray()

    @property
    def sha256(self) -> str:
        """The digest of what was read so far."""
        return self._digest.hexdigest()

    def is_kept_whole(self) -> bool:
        """Has the body ended, and is all of it in ``kept``?"""
        return self._content.at_eof() and self.size == len(self.kept)

    def at_eof(self) -> bool:
        return self._content.at_eof()

    async def read(self, size: int) -> bytes:
        return self._note(await self._content.read(size))

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        return self._note(await self._content.readline(max_line_length=max_line_length))

    def unread_data(self, chunk: bytes) -> None:
        """Put bytes back; they are not counted again when they are read again."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._content.unread_data(chunk)
        self._returned += len(chunk)

    async def chunks(self) -> AsyncIterator[bytes]:
        """What is left, as it arrives."""
        async for chunk in self._content.iter_any():
            yield self._note(chunk)

    async def drain(self, seconds: float | None = None) -> None:
        """Read what is left so that it is hashed too; give up when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                async for _ in self.chunks():
                    pass
        except TimeoutError:
            return

    async def whole(self) -> bytes:
        """All of a body of bounded size."""
        held = bytearray()
        async for chunk in self.chunks():
            held += chunk
            if len(held) > WHOLE_BYTES:
                raise Fault(413, f"the body is larger than {WHOLE_BYTES} bytes")
        return bytes(held)

    async def json_object(self) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            parsed = json.loads(await self.whole())
        except ValueError as exc:
            raise Fault(400, "the body is not valid JSON") from exc
        if not isinstance(parsed, dict):
            raise Fault(400, "the body is not a JSON object")
        return parsed

    def _note(self, chunk: bytes) -> bytes:
        fresh = chunk[self._returned :] if self._returned else chunk
        self._returned -= len(chunk) - len(fresh)
        self._digest.update(fresh)
        self.size += len(fresh)
        if len(self.kept) < KEPT_BYTES:
            self.kept += fresh[: KEPT_BYTES - len(self.kept)]
        return chunk
