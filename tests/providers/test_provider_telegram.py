"""Telegram: the key in both paths, and refusals that do not stop a poller without need."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.core.errors import Deny, Refused
from gateway.core.operations import Calls
from gateway.core.places import Outgoing
from gateway.core.shapes import sentence
from gateway.core.tokens import mint
from gateway.providers import load
from gateway.providers.telegram import PLUGIN
from tests.providers.reading import FORM, JSON, said

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


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/bot1:T/sendMessage", "sendMessage"),
        ("/bot1%3AT/sendmessage", "sendmessage"),
        ("/bot/getMe", None),
        ("/file/bot1:T/photos/file_0.jpg", "getFile"),
        ("/file/bot1%3AT/photos/a%20b.jpg", "getFile"),
        ("/file/bot1:T/", None),
        ("/bot1:T/test/sendMessage", None),
        ("/bot1:T/sendMessage/", None),
        ("/bot1:T/send%4Dessage", None),
        ("/sendMessage", None),
    ],
)
def test_the_method_is_in_the_path(path: str, method: str | None) -> None:
    assert Calls(PLUGIN).asked(b"POST", path.encode()).method == method


ASKS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"chat_id": 5, "text": "hi"}, ("5",)),
    ({"chat_id": "-1001", "text": "hi"}, ("-1001",)),
    ({"chat_id": "@NewsRoom", "text": "hi"}, ("@newsroom",)),
    ({"chat_id": 5, "from_chat_id": -7, "message_id": 1}, ("5", "-7")),
    ({"chat_id": 5, "reply_parameters": {"message_id": 1, "chat_id": -7}}, ("5", "-7")),
    ({"commands": [], "scope": {"type": "chat", "chat_id": 5}}, ("5",)),
    ({"inline_message_id": "AAA", "text": "hi"}, ()),
    ({"user_id": 5, "gift_id": "1"}, ()),
]


@pytest.mark.parametrize(("ask", "chats"), ASKS)
def test_where_the_chat_is_named_in_json(ask: dict[str, Any], chats: tuple[str, ...]) -> None:
    body = json.dumps(ask).encode()
    assert said(PLUGIN, "/bot1:T/a", body, JSON).get("chat", ()) == chats


@pytest.mark.parametrize(("ask", "chats"), ASKS)
def test_where_the_chat_is_named_in_forms_and_queries(
    ask: dict[str, Any], chats: tuple[str, ...]
) -> None:
    texts = {name: v if isinstance(v, (str, int)) else json.dumps(v) for name, v in ask.items()}
    pairs = urlencode(texts).encode()
    assert said(PLUGIN, "/bot1:T/a", pairs, FORM).get("chat", ()) == chats
    assert said(PLUGIN, "/bot1:T/a", query=pairs).get("chat", ()) == chats


@pytest.mark.parametrize("chat", ["05", "+5", "5.0", "0", "@ab", "@a b", "news", "5,6", ""])
def test_a_chat_that_could_be_read_otherwise_is_refused(chat: str) -> None:
    with pytest.raises(Refused) as caught:
        said(PLUGIN, "/bot1:T/a", json.dumps({"chat_id": chat}).encode())
    assert caught.value.deny.code == "scope_unreadable"


@pytest.mark.parametrize("method", ["editMessageText", "answerInlineQuery", "sendGift"])
def test_what_may_reach_any_chat_is_not_free(method: str) -> None:
    assert method not in PLUGIN.subjects[0].free
