"""Telegram: the key in both paths, and refusals that do not stop a poller without need."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.errors import Deny
from gateway.core.places import Outgoing
from gateway.core.shapes import sentence
from gateway.core.tokens import mint
from gateway.providers import load
from gateway.providers.telegram import PLUGIN

TOKEN = mint(bytes(32), "telegram")
KEY = b"123456789:AA-real_key"


def body_of(deny: Deny) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(PLUGIN.refuse(deny, "X1").body)
    return body


@pytest.mark.parametrize(
    ("before", "token", "after"),
    [
        pytest.param("/bot", TOKEN, "/sendMessage", id="method"),
        pytest.param("/bot", TOKEN, "/test/getMe", id="test-environment"),
        pytest.param("/file/bot", TOKEN, "/photos/file_0.jpg", id="file"),
        pytest.param(
            "/file/bot", TOKEN.replace(":", "%3A"), "/photos/a%20b.jpg", id="file-encoded-by-ptb"
        ),
    ],
)
def test_the_key_goes_where_the_token_was(before: str, token: str, after: str) -> None:
    request = Outgoing((before + token + after).encode(), b"chat_id=1", [], [])
    (place,) = [place for place in PLUGIN.tokens if place.find(request)]
    (other,) = [other for other in PLUGIN.tokens if other != place]
    assert place.find(request) == (TOKEN.encode(),)
    other.remove(request)
    place.put(request, KEY)
    assert request.path == before.encode() + KEY + after.encode()
    assert request.query == b"chat_id=1"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 409, 413, 429, 502, 503, 504])
def test_status_and_body_say_the_same(status: int) -> None:
    deny = Deny(status, "a_code", "A reason")
    assert PLUGIN.refuse(deny, "X1").status == status
    assert body_of(deny) == {
        "ok": False,
        "error_code": status,
        "description": sentence(deny, "X1"),
    }


def test_a_404_would_stop_polling_and_goes_out_as_400() -> None:
    deny = Deny(404, "no_method", "There is no such method")
    assert PLUGIN.refuse(deny, "X1").status == 400
    assert body_of(deny)["error_code"] == 400


def test_only_an_exact_wait_is_given() -> None:
    assert body_of(Deny(429, "c", "r", retry_after=1.2))["parameters"] == {"retry_after": 2}
    assert "parameters" not in body_of(Deny(429, "c", "r"))


@pytest.mark.parametrize(
    ("status", "retry_after", "name"),
    [
        (401, None, "InvalidToken"),
        (403, None, "Forbidden"),
        (404, None, "BadRequest"),
        (429, 3.0, "RetryAfter"),
        (429, None, "NetworkError"),
        (503, None, "NetworkError"),
    ],
)
async def test_python_telegram_bot_raises_its_typed_error(
    status: int, retry_after: float | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")  # without it, PTB warns of a coming change
    request_module = pytest.importorskip("telegram.request")
    error_module = pytest.importorskip("telegram.error")
    refusal = PLUGIN.refuse(Deny(status, "a_code", "A reason", retry_after), "X1")

    class Canned(request_module.BaseRequest):  # type: ignore[misc, name-defined]
        read_timeout = 1.0

        async def initialize(self) -> None: ...

        async def shutdown(self) -> None: ...

        async def do_request(self, *_: object, **__: object) -> tuple[int, bytes]:
            return refusal.status, refusal.body

    with pytest.raises(error_module.TelegramError) as caught:
        await Canned().post("http://127.0.0.1:9/botT/getMe")
    assert type(caught.value).__name__ == name
    if retry_after is None:
        assert "The gateway refused this: A reason (code a_code, exchange X1)" in str(caught.value)


def test_it_is_known_by_name() -> None:
    assert load("telegram") is PLUGIN
