"""OpenAI's file and transcription endpoints as the demo speaks them.

A transcription's rule: one audio token for each thousand bytes begun, one second for each
32,000 bytes begun; models named ``whisper...`` report seconds, others report tokens.
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from gateway.demo import controls, forms, words
from gateway.demo.faults import Fault
from gateway.demo.forms import Form
from gateway.demo.shelf import Shelf, Stored

BYTES_PER_TOKEN = 1000
BYTES_PER_SECOND = 32_000


class Files:
    """Uploads, downloads and what is heard in an upload."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def upload(self, request: web.Request) -> web.Response:
        form = await forms.read(request, self._shelf)
        return web.json_response(_describe(form.one_file(), form.get("purpose", "assistants")))

    async def describe(self, request: web.Request) -> web.Response:
        return web.json_response(_describe(self._find(request), "assistants"))

    async def download(self, request: web.Request) -> web.StreamResponse:
        stored = self._find(request)
        return web.FileResponse(stored.path, headers={"Content-Type": "application/octet-stream"})

    async def transcribe(self, request: web.Request) -> web.Response:
        form = await forms.read(request, self._shelf)
        control = controls.parse(form.get("model"))
        await control.obey()
        stored = form.one_file()
        text = f"demo transcript of {stored.size} bytes"
        if form.get("response_format") == "text":
            return web.Response(text=text + "\n")
        answer: dict[str, Any] = {"text": text}
        return web.json_response(
            answer if control.no_usage else answer | {"usage": _heard(form, stored, text)}
        )

    def _find(self, request: web.Request) -> Stored:
        stored = self._shelf.find(request.match_info["id"])
        if stored is None:
            raise Fault(404, "no such file", "not_found")
        return stored


def _describe(stored: Stored, purpose: str) -> dict[str, Any]:
    return {
        "id": stored.name,
        "object": "file",
        "bytes": stored.size,
        "sha256": stored.sha256,
        "created_at": int(time.time()),
        "filename": stored.filename,
        "purpose": purpose,
        "status": "processed",
    }


def _heard(form: Form, stored: Stored, text: str) -> dict[str, Any]:
    if form.get("model").startswith("whisper"):
        return {"type": "duration", "seconds": _begun(stored.size, BYTES_PER_SECOND)}
    audio, prompt = _begun(stored.size, BYTES_PER_TOKEN), words.count(form.get("prompt"))
    said = words.count(text)
    return {
        "type": "tokens",
        "input_tokens": audio + prompt,
        "input_token_details": {"audio_tokens": audio, "text_tokens": prompt},
        "output_tokens": said,
        "total_tokens": audio + prompt + said,
    }


def _begun(size: int, unit: int) -> int:
    return -(-size // unit)
