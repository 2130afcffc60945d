"""Scope, wherever a request says what it is about; and `gateway explain` says the same of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.demo.process import DemoProcess
from tests.support.asking import FORM, JSON, MULTIPART, Ask, form_of, part_of
from tests.support.running import ROUTES, Running

RULES = """\
addresses: [127.0.0.0/24]
bots:
  writer: {allow: [{route: openai, presets: [inference], models: [gpt-5-mini, "text-*"]}]}
  reader: {allow: [{route: openai, presets: [read]}, {route: openai, models: ["gpt-5*"]}]}
  sender: {allow: [{route: telegram, presets: [send], chats: [12345, "@news"]}]}
  poller: {allow: [{route: telegram, methods: [getUpdates, "send*"], chats: [12345]}]}
  poster: {allow: [{route: slack, presets: [send], channels: [C0123, "#ops"]}]}
  keeper: {allow: [{route: discord, presets: [send], channels: [111]}]}
  asker: {allow: [{route: gemini, presets: [inference], models: ["gemini-2.5-*"]}]}
  caller: {allow: [{route: echo, methods: [GET], paths: ["/v1/*", "/files/**"]}]}
  near: {addresses: [127.0.0.7], allow: [echo]}
"""
CHAT = "/openai/v1/chat/completions"
TUNING = "/openai/v1/fine_tuning/jobs"
HEARD = "/openai/v1/audio/transcriptions"
SEND, DOCUMENT = "/telegram/bot@@/sendMessage", "/telegram/bot@@/sendDocument"
COPY = "/telegram/bot@@/copyMessage"
POST, UPLOADED = "/slack/api/chat.postMessage", "/slack/api/files.completeUploadExternal"
MESSAGES = "/discord/api/v10/channels/{}/messages"
GEMINI = "/gemini/v1beta/models/{}:generateContent"
CONTENTS = b'{"contents": [{"parts": [{"text": "x"}]}]}'
SAID = b'"messages": [{"role": "user", "content": "x"}]'
NO_MODEL, NO_CHAT, NO_CHANNEL = "model_not_allowed", "chat_not_allowed", "channel_not_allowed"
NO_METHOD, NO_PATH, UNCLEAR = "method_not_allowed", "path_not_allowed", "scope_unreadable"
GOOGLE = (JSON, "X-Goog-Api-Key: @@")
NO_ADDRESS = "address_not_allowed"

CASES: dict[str, tuple[str, Ask]] = {
    "model in JSON": ("",
        Ask("writer", "POST", CHAT, b'{"model": "gpt-5-mini", %b}' % SAID, (JSON,))),
    "model in JSON, by a glob": ("",
        Ask("writer", "POST", "/openai/v1/embeddings",
            b'{"model": "text-embedding-3", "input": "x"}', (JSON,))),
    "other model in JSON": (NO_MODEL,
        Ask("writer", "POST", CHAT, b'{"model": "gpt-5", %b}' % SAID, (JSON,))),
    "no model at all": (NO_MODEL, Ask("writer", "POST", CHAT, b"{%b}" % SAID, (JSON,))),
    "model twice": (UNCLEAR,
        Ask("writer", "POST", CHAT, b'{"model": "gpt-5-mini", "model": "gpt-5"}', (JSON,))),
    "other model in a tool": (NO_MODEL,
        Ask("writer", "POST", CHAT,
            b'{"model": "gpt-5-mini", "tools": [{"model": "o9"}]}', (JSON,))),
    "other model in the query": (NO_MODEL,
        Ask("writer", "POST", CHAT + "?model=o9", b'{"model": "gpt-5-mini"}', (JSON,))),
    "model in multipart": ("",
        Ask("writer", "POST", HEARD, form_of(("model", "text-to-be"), file=b"wav"), (MULTIPART,))),
    "other model in multipart": (NO_MODEL,
        Ask("writer", "POST", HEARD, form_of(("model", "whisper-1"), file=b"wav"), (MULTIPART,))),
    "model after the file": (UNCLEAR,
        Ask("writer", "POST", HEARD,
            form_of(file=b"wav", after=part_of("model", "text-x")), (MULTIPART,))),
    "model in the path": ("", Ask("reader", "GET", "/openai/v1/models/gpt-5-mini")),
    "other path for the preset": (NO_PATH,
        Ask("reader", "POST", TUNING, b'{"model": "o9"}', (JSON,))),
    "what no preset holds": (NO_PATH,
        Ask("writer", "POST", TUNING, b'{"model": "gpt-5-mini"}', (JSON,))),
    "chat in JSON": ("", Ask("sender", "POST", SEND, b'{"chat_id": 12345, "text": "x"}', (JSON,))),
    "chat by name in JSON": ("",
        Ask("sender", "POST", SEND, b'{"chat_id": "@News", "text": "x"}', (JSON,))),
    "other chat in JSON": (NO_CHAT,
        Ask("sender", "POST", SEND, b'{"chat_id": 12346, "text": "x"}', (JSON,))),
    "chat in a form": ("", Ask("sender", "POST", SEND, b"chat_id=12345&text=x", (FORM,))),
    "other chat in a form": (NO_CHAT, Ask("sender", "POST", SEND, b"chat_id=6&text=x", (FORM,))),
    "chat in multipart": ("",
        Ask("sender", "POST", DOCUMENT, form_of(("chat_id", "12345"), file=b"x"), (MULTIPART,))),
    "other chat in multipart": (NO_CHAT,
        Ask("sender", "POST", DOCUMENT, form_of(("chat_id", "6"), file=b"x"), (MULTIPART,))),
    "chat in the query": ("", Ask("sender", "GET", SEND + "?chat_id=12345&text=x")),
    "other chat in the query": (NO_CHAT, Ask("sender", "GET", SEND + "?chat_id=-6&text=x")),
    "chats in query and body": (NO_CHAT,
        Ask("sender", "POST", SEND + "?chat_id=6", b"chat_id=12345&text=x", (FORM,))),
    "chat that is copied from": (NO_CHAT,
        Ask("sender", "POST", COPY, b"chat_id=12345&from_chat_id=6&message_id=1", (FORM,))),
    "chat that is replied to": (NO_CHAT,
        Ask("sender", "POST", SEND,
            b'{"chat_id": 12345, "text": "x", "reply_parameters": {"chat_id": 6}}', (JSON,))),
    "method of its own": ("",
        Ask("poller", "POST", "/telegram/bot@@/getUpdates", b"timeout=0", (FORM,))),
    "method that no rule names": (NO_METHOD,
        Ask("poller", "POST", "/telegram/bot@@/setWebhook", b"url=https://x.test", (FORM,))),
    "method in another case": ("",
        Ask("poller", "POST", "/telegram/bot@@/SENDmessage", b"chat_id=12345&text=x", (FORM,))),
    "channel in JSON": ("",
        Ask("poster", "POST", POST, b'{"channel": "C0123", "text": "x"}', (JSON,))),
    "channel in a form": ("", Ask("poster", "POST", POST, b"channel=%23ops&text=x", (FORM,))),
    "other channel in a form": (NO_CHANNEL,
        Ask("poster", "POST", POST, b"channel=C0999&text=x", (FORM,))),
    "other channel in the query": (NO_CHANNEL,
        Ask("poster", "GET", POST + "?channel=C0999&text=x")),
    "one of several channels": (NO_CHANNEL,
        Ask("poster", "POST", UPLOADED, b"channels=C0123,C0999&files=[]", (FORM,))),
    "socket that leads past the gateway": ("not_carried",
        Ask("poster", "POST", "/slack/api/apps.connections.open")),
    "channel in the path": ("",
        Ask("keeper", "POST", MESSAGES.format(111), b'{"content": "x"}', (JSON,))),
    "other channel in the path": (NO_CHANNEL,
        Ask("keeper", "POST", MESSAGES.format(112), b'{"content": "x"}', (JSON,))),
    "channel that is forwarded from": (NO_CHANNEL,
        Ask("keeper", "POST", MESSAGES.format(111),
            b'{"message_reference": {"channel_id": "112", "message_id": "1"}}', (JSON,))),
    "model in Gemini's path": ("",
        Ask("asker", "POST", GEMINI.format("gemini-2.5-flash"), CONTENTS, GOOGLE)),
    "other model in Gemini's path": (NO_MODEL,
        Ask("asker", "POST", GEMINI.format("gemini-9"), CONTENTS, GOOGLE)),
    "path": ("", Ask("caller", "GET", "/echo/v1/anything?x=1")),
    "path with all below": ("", Ask("caller", "GET", "/echo/files/a/b/c")),
    "other path": (NO_PATH, Ask("caller", "GET", "/echo/v1/a/b")),
    "other method": (NO_METHOD, Ask("caller", "DELETE", "/echo/files/a")),
    "path that is two": ("ambiguous_path", Ask("caller", "GET", "/echo/files/../admin")),
    "route that was not given": ("route_not_allowed",
        Ask("caller", "POST", CHAT, b'{"model": "x"}', (JSON,))),
    "no route": ("no_route", Ask("caller", "GET", "/nowhere/at/all")),
    "address of the bot's own": ("", Ask("near", "GET", "/echo/x", source="127.0.0.7")),
    "other address": (NO_ADDRESS, Ask("near", "GET", "/echo/x", source="127.0.0.8")),
    "address that none may have": (NO_ADDRESS,
        Ask("caller", "GET", "/echo/v1/x", source="127.9.9.9")),
}  # fmt: skip
UNRULED = {"no_route", "ambiguous_path", "route_not_allowed", NO_ADDRESS}
"""Decided before any rule is looked at."""


@pytest.fixture(scope="module")
def ruled(launcher: Callable[..., Running]) -> Running:
    return launcher(ROUTES + RULES)


@pytest.fixture
def running(ruled: Running) -> Running:
    ruled.since = time.time()
    return ruled


def line_of(running: Running, text: str) -> int:
    """Return the number of the only line of the configuration that holds `text`."""
    lines = running.config.read_text().splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if text in line]
    return found


@pytest.mark.parametrize("name", CASES)
def test_scope_and_what_explain_says_of_it(running: Running, demo: DemoProcess, name: str) -> None:
    """One code and one rule: in the answer, in the record, and from `gateway explain`."""
    code, ask = CASES[name]
    reply = ask.of(running)
    assert reply.code == code, reply.body
    record = running.record(exchange=reply.exchange)
    assert (record["code"], record["outcome"]) == (code, "refused" if code else "answered")
    seen = demo.seen()
    assert len(seen) == (0 if code else 1)
    assert all(one.body == ask.body for one in seen), "the bytes judged are the bytes sent"
    if code not in UNRULED:
        line = line_of(running, f"  {ask.bot}: {{")
        assert record["rule"].startswith(f"routes.yaml:{line} bots.{ask.bot}.allow["), record
    report = explained(running, ask)
    assert report["rule"] == (record["rule"] or None)
    if not code:
        assert report["refusal"] is None
        assert report["subject"] == (record["subject"] or None)
        return
    assert (report["refusal"]["code"], report["refusal"]["status"]) == (code, reply.status)
    assert json.dumps(report["refusal"]["reason"].rstrip("."))[1:-1] in reply.body.decode()


def explained(running: Running, ask: Ask) -> dict[str, Any]:
    """Return what `gateway explain` says of the same request."""
    token = running.token(ask.bot)
    target, lines = ask.shown(token)
    words = ["explain", "--json", "--config", str(running.config), "--from", ask.source]
    words += [word for line in lines for word in ("--header", line)]
    words += ["--body", "-"] if ask.body else []
    words += [ask.method, target]
    done = CliRunner().invoke(cli, words, input=ask.body)
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if report["allowed"] else 1)
    assert token not in done.output
    return report
