"""Slack: failures with status 200, methods of its own, and channels in forms and JSON."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.core.errors import Deny
from gateway.core.operations import Calls
from gateway.core.places import Outgoing
from gateway.core.shapes import sentence
from gateway.providers import load
from gateway.providers.slack import PLUGIN
from tests.providers.reading import FORM, JSON, said


def body_of(deny: Deny) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(PLUGIN.refuse(deny, "X1").body)
    return body


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 429, 500, 501, 502, 503, 504])
def test_a_refusal_has_status_200_since_node_repeats_any_other(status: int) -> None:
    deny = Deny(status, "a_code", "A reason")
    assert PLUGIN.refuse(deny, "X1").status == 200
    assert body_of(deny) == {
        "ok": False,
        "error": "a_code",
        "response_metadata": {"messages": [f"[ERROR] {sentence(deny, 'X1')}"]},
    }


@pytest.mark.parametrize(("wait", "status"), [(0.5, 429), (60.0, 429), (60.5, 200), (None, 200)])
def test_only_an_exact_short_wait_is_a_429(wait: float | None, status: int) -> None:
    refusal = PLUGIN.refuse(Deny(429, "rate_limit", "Too many", wait, repeatable=True), "X1")
    assert refusal.status == status
    assert ("retry-after" in dict(refusal.headers)) is (wait is not None)


@pytest.mark.parametrize("status", [401, 403, 503])
def test_slack_sdk_raises_its_error_with_our_sentence(status: int) -> None:
    web = pytest.importorskip("slack_sdk.web")
    errors = pytest.importorskip("slack_sdk.errors")
    refusal = PLUGIN.refuse(Deny(status, "a_code", "A reason"), "X1")
    answer = web.SlackResponse(
        client=None,
        http_verb="POST",
        api_url="http://127.0.0.1:9/api/auth.test",
        req_args={},
        data=json.loads(refusal.body),
        headers=dict(refusal.headers),
        status_code=refusal.status,
    )
    with pytest.raises(errors.SlackApiError) as caught:
        answer.validate()
    assert caught.value.response["error"] == "a_code"
    assert "The gateway refused this: A reason (code a_code, exchange X1)" in str(caught.value)


def test_a_token_in_the_form_is_replaced_there() -> None:
    request = Outgoing(b"/api/auth.test", None, [], [], FORM, b"token=T&channel=C1")
    place = next(place for place in PLUGIN.tokens if place.find(request))
    assert place.find(request) == (b"T",)
    place.put(request, b"KEY")
    assert request.body == b"token=KEY&channel=C1"


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/api/chat.postMessage", "chat.postMessage"),
        ("/api/oauth.v2.access", "oauth.v2.access"),
        ("/api/usergroups.users.list", "usergroups.users.list"),
        ("/api/chat.postMessage/", None),
        ("/api/chat%2EpostMessage", None),
        ("/upload/v1/F1", None),
    ],
)
def test_the_method_is_in_the_path(path: str, method: str | None) -> None:
    assert Calls(PLUGIN).asked(b"POST", path.encode()).method == method


@pytest.mark.parametrize(
    ("kind", "ask", "channels"),
    [
        (JSON, {"channel": "C1", "text": "hi", "thread_ts": "1.1"}, ("C1",)),
        (FORM, {"channel": "#general", "name": "x", "timestamp": "1.1"}, ("#general",)),
        (FORM, {"channels": "C1,C2", "files": '[{"id": "F1"}]'}, ("C1", "C2")),
        (FORM, {"channel_id": "C1", "files": "[]"}, ("C1",)),
        (JSON, {"canvas_id": "F1", "channel_ids": "C1,D2"}, ("C1", "D2")),
        (JSON, {"channel": "C1", "channel_id": "C2"}, ("C1", "C2")),
        (JSON, {"user": "U1"}, ()),
    ],
)
def test_where_the_channel_is_named(
    kind: bytes, ask: dict[str, str], channels: tuple[str, ...]
) -> None:
    body = json.dumps(ask) if kind == JSON else urlencode(ask)
    assert said(PLUGIN, "/api/a.b", body.encode(), kind).get("channel", ()) == channels


def test_a_channel_in_the_query_is_named_too() -> None:
    assert said(PLUGIN, "/api/conversations.history", query=b"channel=C1") == {"channel": ("C1",)}


def test_it_is_known_by_name() -> None:
    assert load("slack") is PLUGIN
