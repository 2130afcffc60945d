"""Discord: refusals that no SDK repeats for ever, and channels in the path and the body."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from gateway.core.errors import Deny
from gateway.core.operations import Calls, operations
from gateway.core.places import Outgoing
from gateway.core.shapes import sentence
from gateway.providers import load
from gateway.providers.discord import PLUGIN
from tests.providers.reading import said


def body_of(deny: Deny) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(PLUGIN.refuse(deny, "X1").body)
    return body


def test_the_key_goes_where_the_token_was() -> None:
    request = Outgoing(b"/api/v10/users/@me", None, [(b"authorization", b"Bot T")], [])
    (place,) = PLUGIN.tokens
    assert place.find(request) == (b"T",)
    place.put(request, b"KEY")
    assert request.lines == [b"Authorization: Bot KEY"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 502, 503, 504])
def test_a_refusal_says_it_in_an_object(status: int) -> None:
    deny = Deny(status, "a_code", "A reason")
    refusal = PLUGIN.refuse(deny, "X1")
    assert refusal.status == status
    assert body_of(deny) == {"code": 0, "message": sentence(deny, "X1")}
    headers = dict(refusal.headers)
    assert headers["content-type"] == "application/json"  # discord.py takes no charset
    assert "via" not in headers


@pytest.mark.parametrize(
    ("deny", "status"),
    [
        (Deny(429, "rate_limit", "r", 0.25, repeatable=True), 429),
        (Deny(429, "rate_limit", "r", 60.0, repeatable=True), 429),
        (Deny(429, "rate_limit", "r", 61.0, repeatable=True), 403),
        (Deny(429, "concurrency_limit", "r", None, repeatable=True), 503),
        (Deny(429, "too_many_wrong_tokens", "r", None, repeatable=False), 403),
        (Deny(429, "unknown", "r"), 403),
        (Deny(501, "not_carried", "r", repeatable=False), 403),
    ],
    ids=lambda value: value.code if isinstance(value, Deny) else str(value),
)
def test_what_an_sdk_would_repeat_for_ever_has_another_status(deny: Deny, status: int) -> None:
    assert PLUGIN.refuse(deny, "X1").status == status
    assert ("retry_after" in body_of(deny)) is (status == 429)


def test_the_wait_in_the_body_is_never_too_short() -> None:
    body = body_of(Deny(429, "rate_limit", "r", 0.2504))
    assert (body["retry_after"], body["global"]) == (0.251, False)


@pytest.mark.parametrize(
    ("status", "name"), [(403, "Forbidden"), (404, "NotFound"), (503, "DiscordServerError")]
)
def test_discord_py_shows_our_sentence(status: int, name: str) -> None:
    errors = pytest.importorskip("discord.errors")

    class Answer:
        reason = "X"

    refusal = PLUGIN.refuse(Deny(status, "a_code", "A reason"), "X1")
    answer: Any = Answer()
    answer.status = refusal.status
    error = getattr(errors, name)(answer, json.loads(refusal.body))
    assert "The gateway refused this: A reason (code a_code, exchange X1)" in str(error)


REFERENCE = {"content": "hi", "message_reference": {"channel_id": "7", "message_id": "1"}}
PARTS = (
    b'--B\r\nContent-Disposition: form-data; name="payload_json"\r\n\r\n%b\r\n'
    b'--B\r\nContent-Disposition: form-data; name="files[0]"; filename="a.txt"\r\n\r\nx\r\n'
    b"--B--\r\n"
)


@pytest.mark.parametrize(
    ("path", "ask", "channels"),
    [
        ("/api/v10/channels/5/messages", {"content": "hi"}, ("5",)),
        ("/api/channels/5/messages", {"content": "hi"}, ("5",)),
        ("/api/v10/channels/5/messages", REFERENCE, ("5", "7")),
        (f"/api/v9/channels/5/messages/6/reactions/{quote('👍')}/@me", {}, ("5",)),
        ("/api/v10/channels/5/followers", {"webhook_channel_id": "7"}, ("5", "7")),
        ("/api/v10/guilds/1/members/2", {"channel_id": "7"}, ("7",)),
        ("/api/v10/stage-instances/5", {"topic": "x"}, ("5",)),
        ("/api/v10/users/@me/channels", {"recipient_id": "9"}, ()),
    ],
)
def test_where_the_channel_is_named(
    path: str, ask: dict[str, Any], channels: tuple[str, ...]
) -> None:
    assert said(PLUGIN, path, json.dumps(ask).encode()).get("channel", ()) == channels


def test_a_message_with_files_names_its_channels_too() -> None:
    body = PARTS % json.dumps(REFERENCE).encode()
    found = said(PLUGIN, "/api/v10/channels/5/messages", body, b"multipart/form-data; boundary=B")
    assert found == {"channel": ("5", "7")}


@pytest.mark.parametrize(
    "path", ["/api/v10/gateway", "/api/v10/gateway/bot", "/api/gateway", "/api/v9/gateway/bot"]
)
def test_the_way_to_the_websocket_is_not_carried(path: str) -> None:
    asked = Calls(PLUGIN).asked(b"GET", path.encode())
    assert any(one.fits(asked) for one in operations(PLUGIN.uncarried))


def test_it_is_known_by_name() -> None:
    assert load("discord") is PLUGIN
