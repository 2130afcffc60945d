"""Telegram Bot API: the key stands in the path, also of file downloads."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from gateway.core.errors import Deny
from gateway.core.model import Provider, Refusal, Subject
from gateway.core.places import Path
from gateway.core.shapes import json_refusal, sentence


def _refuse(deny: Deny, exchange: str) -> Refusal:
    """Say it in the status and in the body alike: some SDKs read only one of them.

    python-telegram-bot takes 401 and 404 for a wrong token and stops polling for good. That is
    right for 401 alone, so a 404 goes out as 400. A `retry_after` hides the description there,
    so it is sent only where it is exact.
    """
    deny = replace(deny, status=400) if deny.status == 404 else deny
    body: dict[str, object] = {
        "ok": False,
        "error_code": deny.status,
        "description": sentence(deny, exchange),
    }
    if deny.retry_after is not None and deny.status == 429:
        body["parameters"] = {"retry_after": ceil(deny.retry_after)}
    return json_refusal(deny, body)


PLUGIN = Provider(
    name="telegram",
    upstream="https://api.telegram.org",
    tokens=(Path("/bot"), Path("/file/bot")),
    refuse=_refuse,
    subjects=(Subject("chat", json="chat_id", form="chat_id", query="chat_id"),),
)
