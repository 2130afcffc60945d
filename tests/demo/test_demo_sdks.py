"""Gemini, Discord and Slack as the demo speaks them, driven with their own SDKs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import aiohttp
import discord
import pytest
import slack_sdk
from google import genai

from gateway.demo.keys import KEYS
from gateway.demo.process import DemoProcess


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# Gemini


@pytest.fixture
def gemini(demo: DemoProcess) -> Iterator[genai.Client]:
    with genai.Client(api_key=KEYS["gemini"], http_options={"base_url": demo.url}) as client:
        yield client


def test_gemini_answers_counts_and_embeds(gemini: genai.Client) -> None:
    answer = gemini.models.generate_content(model="gemini-demo", contents="hi")
    assert answer.text == "You said: hi"
    chunks = gemini.models.generate_content_stream(model="gemini-demo", contents="hi")
    assert "".join(chunk.text or "" for chunk in chunks) == answer.text
    assert gemini.models.count_tokens(model="gemini-demo", contents="hi").total_tokens == 1
    embedded = gemini.models.embed_content(model="gemini-demo", contents="hi")
    assert [one.values for one in embedded.embeddings or ()] == [[0.0, 0.5, 1.0]]


def test_gemini_has_its_models_where_openai_has_its_own(
    gemini: genai.Client, demo: DemoProcess
) -> None:
    assert [model.name for model in gemini.models.list()] == ["models/gemini-demo"]
    assert gemini.models.get(model="gemini-x").name == "models/gemini-x"
    assert {sighting.raw_path for sighting in demo.seen()} == {"/v1/models", "/v1/models/gemini-x"}
    assert all(sighting.key_ok for sighting in demo.seen())


def test_gemini_interactions_name_the_model_in_the_body(
    gemini: genai.Client, demo: DemoProcess
) -> None:
    said: Any = gemini.interactions.create(model="gemini-demo", input="hi")
    assert said.status == "completed"
    (sighting,) = demo.seen()
    assert b'"model":"gemini-demo"' in sighting.body.replace(b": ", b":")


# Discord


async def test_discord_speaks_and_refuses_in_its_shape(http: aiohttp.ClientSession) -> None:
    good, bad = ({"Authorization": f"Bot {key}"} for key in (KEYS["discord"], "other"))
    async with http.get("/api/v10/users/@me", headers=good) as response:
        assert response.headers["Content-Type"] == "application/json"
        assert (await response.json())["bot"] is True
    path, ask = "/api/v10/channels/42/messages", {"content": "hello"}
    async with http.post(path, json=ask, headers=good) as response:
        assert (await response.json())["content"] == "hello"
    async with http.post(path, json={"content": "demo-error-429"}, headers=good) as response:
        assert (response.status, (await response.json())["retry_after"]) == (429, 1.0)
    async with http.post(path, json=ask, headers=bad) as response:
        assert (response.status, (await response.json())["code"]) == (401, 0)


async def test_discord_py_logs_in_and_works_on_messages(
    demo: DemoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord.http.Route, "BASE", f"{demo.url}/api/v10")
    async with discord.Client(intents=discord.Intents.default()) as client:
        await client.login(KEYS["discord"])
        channel = client.get_partial_messageable(42)
        sent = await channel.send("hello", file=discord.File(BytesIO(b"x"), "a.txt"))
        assert (sent.content, sent.attachments[0].filename) == ("hello", "a.txt")
        assert (await sent.edit(content="changed")).content == "changed"
        await sent.add_reaction("👍")
        await sent.delete()
        assert (await channel.fetch_message(7)).id == 7
        assert len([message async for message in channel.history()]) == 1
        assert getattr(await client.fetch_channel(42), "name", "") == "general"
    assert all(sighting.key_ok for sighting in demo.seen())


HIKARI = """
import asyncio, sys, hikari

async def main(url, token):
    app = hikari.RESTApp(url=url + "/api/v10")
    await app.start()
    async with app.acquire(token, "Bot") as client:
        assert (await client.fetch_my_user()).is_bot
        sent = await client.create_message(42, "hello", attachment=hikari.Bytes(b"x", "a.txt"))
        assert (sent.content, sent.attachments[0].filename) == ("hello", "a.txt")
        assert (await client.edit_message(42, sent.id, "changed")).content == "changed"
        await client.add_reaction(42, sent.id, "👍")
        await client.delete_message(42, sent.id)
        assert len(await client.fetch_messages(42)) == 1
        assert (await client.fetch_channel(42)).name == "general"
    await app.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_hikari_works_on_messages(demo: DemoProcess) -> None:
    own = sys.executable if find_spec("hikari") else None
    python = os.environ.get("GATEWAY_HIKARI_PYTHON", own)
    if python is None:
        pytest.skip("hikari is not installed; ./dev test brings it")
    words = [python, "-c", HIKARI, demo.url, KEYS["discord"]]
    subprocess.run(words, check=True, timeout=30)
    assert all(sighting.key_ok for sighting in demo.seen())


# Slack


async def test_slack_takes_json_and_forms_and_refuses_with_status_200(
    demo: DemoProcess, http: aiohttp.ClientSession
) -> None:
    path, ask, key = "/api/chat.postMessage", {"channel": "C", "text": "hi"}, KEYS["slack"]
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"json": ask, "headers": bearer(key)}, None),
        ({"data": ask, "headers": bearer(key)}, None),
        ({"data": {**ask, "token": key}}, None),
        ({"data": {**ask, "token": "other"}}, "invalid_auth"),
        ({"json": ask}, "not_authed"),
    ]
    for sent, error in cases:
        async with http.post(path, **sent) as response:
            answer = await response.json()
        assert response.status == 200
        assert (answer["ok"], answer.get("error")) == (error is None, error)
    wheres = [sighting.key_where for sighting in demo.seen()]
    assert wheres == ["bearer", "bearer", "form:token", None, None]


def test_slack_sdk_writes_reads_and_uploads(demo: DemoProcess) -> None:
    client = slack_sdk.WebClient(token=KEYS["slack"], base_url=f"{demo.url}/api/")
    assert client.auth_test()["bot_id"] == "B0DEMO"
    sent = client.chat_postMessage(channel="C1", text="hello")
    assert sent["message"]["text"] == "hello"
    assert client.chat_update(channel="C1", ts=sent["ts"], text="new")["ts"] == sent["ts"]
    client.reactions_add(channel="C1", name="tada", timestamp=sent["ts"])
    client.chat_delete(channel="C1", ts=sent["ts"])
    assert client.conversations_history(channel="C1")["messages"]
    assert client.conversations_info(channel="C1")["channel"]["id"] == "C1"
    uploaded = client.files_upload_v2(channel="C1", content="x", filename="a.txt")
    assert uploaded["file"]["id"] == "F0DEMO"
    without_key = [one.raw_path for one in demo.seen() if not one.key_ok]
    assert without_key == ["/upload/v1/F0DEMO"]
