"""The demo provider, started for real and driven with the providers' own SDKs."""

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import openai
import pytest
import telebot
import telegram
from telebot import apihelper
from yarl import URL

from gateway.demo import process, words
from gateway.demo.keys import KEYS, overridden
from gateway.demo.process import DemoProcess
from gateway.demo.seen import MOST_SIGHTINGS

HI: list[Any] = [{"role": "user", "content": "hi to the demo"}]
BOT = KEYS["telegram"]
BIG = b"0123456789" * 1_000_000


def openai_client(demo: DemoProcess, key: str = KEYS["openai"]) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{demo.url}/v1", api_key=key, max_retries=0)


def anthropic_client(demo: DemoProcess, key: str = KEYS["anthropic"]) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=demo.url, api_key=key, max_retries=0)


def telegram_bot(demo: DemoProcess, key: str = BOT) -> telegram.Bot:
    return telegram.Bot(key, base_url=f"{demo.url}/bot", base_file_url=f"{demo.url}/file/bot")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def until(is_so: Callable[[], bool]) -> None:
    """What happens in the other process cannot be awaited, only looked at."""
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)


# OpenAI


def test_openai_chat_usage_is_the_count_of_what_was_sent_and_received(demo: DemoProcess) -> None:
    with openai_client(demo) as client:
        answer = client.chat.completions.create(model="gpt-demo", messages=HI)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 4
    assert answer.usage.completion_tokens == words.count(answer.choices[0].message.content or "")


@pytest.mark.parametrize("includes_usage", [True, False], ids=["with-usage", "without"])
def test_openai_stream_sends_usage_only_when_asked(demo: DemoProcess, includes_usage: bool) -> None:
    with openai_client(demo) as client:
        chunks = list(
            client.chat.completions.create(
                model="demo-tokens-50",
                messages=HI,
                stream=True,
                stream_options={"include_usage": includes_usage},
            )
        )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert words.count(text) == 50
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert [usage.completion_tokens for usage in usages] == ([50] if includes_usage else [])
    assert bool(chunks[-1].choices) is not includes_usage


def test_openai_output_limit_and_choices_bound_the_usage(demo: DemoProcess) -> None:
    with openai_client(demo) as client:
        answer = client.chat.completions.create(
            model="demo-tokens-50", messages=HI, n=3, max_completion_tokens=7
        )
    assert [choice.finish_reason for choice in answer.choices] == ["length"] * 3
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 21


def test_openai_responses_stream_ends_with_its_usage(demo: DemoProcess) -> None:
    with openai_client(demo) as client:
        with client.responses.stream(model="gpt-demo", input="hello you") as events:
            kinds = [event.type for event in events]
            final = events.get_final_response()
        whole = client.responses.create(model="gpt-demo", input="hello you")
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text == whole.output_text == "You said: hello you"
    assert final.usage == whole.usage
    assert final.usage is not None
    assert (final.usage.input_tokens, final.usage.output_tokens) == (2, 4)


def test_openai_embeddings_count_their_input(demo: DemoProcess) -> None:
    with openai_client(demo) as client:
        answer = client.embeddings.create(model="text-embedding-demo", input=["a b", "c"])
    assert answer.usage.total_tokens == 3
    assert len(answer.data[1].embedding) == 16


def test_openai_files_come_back_as_they_were_sent(demo: DemoProcess) -> None:
    with openai_client(demo) as client:
        sent = client.files.create(file=("big.bin", BIG), purpose="assistants")
        content = client.files.content(sent.id).content
    assert sent.bytes == len(BIG)
    assert (sent.model_extra or {})["sha256"] == hashlib.sha256(BIG).hexdigest()
    assert content == BIG


def test_openai_transcription_reports_tokens_for_its_bytes(demo: DemoProcess) -> None:
    with openai_client(demo) as client:
        heard = client.audio.transcriptions.create(model="gpt-demo", file=("a.wav", b"x" * 2500))
    assert heard.text == "demo transcript of 2500 bytes"
    assert heard.usage is not None
    assert heard.usage.type == "tokens"
    assert (heard.usage.input_tokens, heard.usage.output_tokens) == (3, 5)


def test_openai_refuses_a_wrong_key_in_its_shape(demo: DemoProcess) -> None:
    with (
        openai_client(demo, "sk-other") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    (sighting,) = demo.seen()
    assert (sighting.key_ok, sighting.credentials, sighting.status) == (False, ("bearer",), 401)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("demo-error-429", openai.RateLimitError),
        ("gpt-5-mini-demo-error-503", openai.InternalServerError),
        ("demo-cut-0", openai.APIConnectionError),
        ("demo-cut-2", openai.APIConnectionError),
        ("demo-fail-2", openai.APIError),
    ],
)
def test_openai_fails_as_the_model_name_asks(
    demo: DemoProcess, model: str, error: type[Exception]
) -> None:
    with openai_client(demo) as client, pytest.raises(error):
        list(client.chat.completions.create(model=model, messages=HI, stream=True))


def test_openai_can_leave_out_usage_and_answer_late(demo: DemoProcess) -> None:
    began = time.monotonic()
    with openai_client(demo) as client:
        answer = client.chat.completions.create(model="demo-slow-0.3-nousage", messages=HI)
    assert answer.usage is None
    assert time.monotonic() - began >= 0.3


# Anthropic


def test_anthropic_whole_and_streamed_agree_on_text_and_usage(demo: DemoProcess) -> None:
    ask: Any = {"model": "claude-demo", "max_tokens": 100, "messages": HI, "system": "be nice"}
    with anthropic_client(demo) as client:
        whole = client.messages.create(**ask)
        with client.messages.stream(**ask) as events:
            streamed = events.get_final_message()
    assert whole.content[0].type == streamed.content[0].type == "text"
    assert whole.content[0].text == streamed.content[0].text
    for usage in (whole.usage, streamed.usage):
        assert usage.input_tokens == 6
        assert usage.output_tokens == words.count(whole.content[0].text)


def test_anthropic_max_tokens_cuts_the_answer(demo: DemoProcess) -> None:
    with anthropic_client(demo) as client:
        answer = client.messages.create(model="demo-tokens-50", max_tokens=5, messages=HI)
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 5)


async def test_anthropic_takes_the_key_in_either_header(
    demo: DemoProcess, http: aiohttp.ClientSession
) -> None:
    ask = {"model": "claude-demo", "max_tokens": 9, "messages": HI}
    key = KEYS["anthropic"]
    for headers in ({"x-api-key": key}, bearer(key)):
        async with http.post("/v1/messages", json=ask, headers=headers) as response:
            assert response.status == 200
    assert [sighting.key_where for sighting in demo.seen()] == ["x-api-key", "bearer"]


def test_anthropic_refuses_and_fails_in_its_shape(demo: DemoProcess) -> None:
    with (
        anthropic_client(demo, "sk-ant-other") as client,
        pytest.raises(anthropic.AuthenticationError) as caught,
    ):
        client.messages.create(model="claude-demo", max_tokens=9, messages=HI)
    assert "authentication_error" in str(caught.value)
    with (
        anthropic_client(demo) as client,
        client.messages.stream(model="demo-fail-2", max_tokens=99, messages=HI) as events,
        pytest.raises(anthropic.APIStatusError),
    ):
        events.get_final_message()


# Gemini


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_gemini_answers_by_header_or_query_key(
    demo: DemoProcess, http: aiohttp.ClientSession, version: str
) -> None:
    path, key = f"/{version}/models/gemini-demo:generateContent", KEYS["gemini"]
    ask = {"contents": [{"role": "user", "parts": [{"text": "hi you"}]}]}
    async with http.post(path, json=ask, headers={"x-goog-api-key": key}) as response:
        by_header = await response.json()
    async with http.post(path, json=ask, params={"key": key}) as response:
        by_query = await response.json()
    assert by_header == by_query
    usage = by_header["usageMetadata"]
    assert usage["promptTokenCount"] == 2
    assert usage["candidatesTokenCount"] == 4
    assert usage["totalTokenCount"] == 6
    assert [sighting.key_where for sighting in demo.seen()] == ["x-goog-api-key", "query:key"]


@pytest.mark.parametrize("query", ["?alt=sse", ""], ids=["sse", "array"])
async def test_gemini_stream_usage_is_cumulative(http: aiohttp.ClientSession, query: str) -> None:
    path = f"/v1beta/models/demo-tokens-9:streamGenerateContent{query}"
    ask = {"contents": [{"parts": [{"text": "hi"}]}]}
    headers = {"x-goog-api-key": KEYS["gemini"]}
    async with http.post(path, json=ask, headers=headers) as response:
        text = await response.text()
    assert [f'"candidatesTokenCount":{n}' in text for n in range(11)] == [False, *[True] * 9, False]
    assert text.count('"finishReason":"STOP"') == 1


@pytest.mark.parametrize(
    ("headers", "status", "name"),
    [({"x-goog-api-key": "other"}, 400, "INVALID_ARGUMENT"), ({}, 403, "PERMISSION_DENIED")],
    ids=["wrong", "missing"],
)
async def test_gemini_refuses_in_its_shape(
    http: aiohttp.ClientSession, headers: dict[str, str], status: int, name: str
) -> None:
    path = "/v1/models/gemini-demo:generateContent"
    async with http.post(path, json={"contents": []}, headers=headers) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"], error["status"]) == (status, status, name)


# Telegram


async def test_python_telegram_bot_sends_receives_uploads_and_downloads(demo: DemoProcess) -> None:
    async with telegram_bot(demo) as bot:
        assert bot.id == 1000000001
        message = await bot.send_message(chat_id=7, text="hello")
        number = demo.push("from a person", chat_id=7)
        updates = await bot.get_updates(timeout=5)
        confirmed = await bot.get_updates(offset=number + 1, timeout=0)
        sent = await bot.send_document(chat_id=7, document=BIG, filename="d.bin")
        assert sent.document is not None
        content = await (await bot.get_file(sent.document.file_id)).download_as_bytearray()
    assert (message.chat.id, message.text) == (7, "hello")
    assert [update.message.text for update in updates if update.message] == ["from a person"]
    assert confirmed == ()
    assert sent.document.file_size == len(BIG)
    assert content == BIG
    assert all(sighting.key_ok and sighting.credentials == ("path",) for sighting in demo.seen())
    assert any("%3A" in sighting.raw_path for sighting in demo.seen())


async def test_telegram_long_poll_waits_for_an_update(demo: DemoProcess) -> None:
    async with telegram_bot(demo) as bot, asyncio.TaskGroup() as group:
        poll = group.create_task(bot.get_updates(offset=10_000, timeout=20), name="poll")
        await until(lambda: any("getUpdates" in s.raw_path for s in demo.seen()))
        assert not poll.done()
        demo.push("wake up")
    assert [update.message.text for update in poll.result() if update.message] == ["wake up"]


async def test_telegram_refuses_a_wrong_token_and_limits_on_demand(
    demo: DemoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")  # without it the SDK warns
    stranger = telegram_bot(demo, "1000000001:other")
    with pytest.raises(telegram.error.InvalidToken):
        await stranger.initialize()
    await stranger.shutdown()
    async with telegram_bot(demo) as bot:
        with pytest.raises(telegram.error.RetryAfter):
            await bot.send_message(chat_id=1, text="demo-error-429-retry-3")


def test_telebot_sends_everything_in_the_query(
    demo: DemoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apihelper, "API_URL", f"{demo.url}/bot{{0}}/{{1}}")
    monkeypatch.setattr(apihelper, "FILE_URL", f"{demo.url}/file/bot{{0}}/{{1}}")
    bot = telebot.TeleBot(BOT, threaded=False)
    assert bot.send_message(5, "hello").text == "hello"
    sent = bot.send_document(5, ("d.txt", b"content"))
    assert sent.document is not None
    path = bot.get_file(sent.document.file_id).file_path
    assert path is not None
    assert bot.download_file(path) == b"content"
    apihelper._get_req_session().close()  # type: ignore[no-untyped-call]
    assert "text=hello" in demo.seen()[0].raw_path


AIOGRAM = """
import asyncio, sys
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import BufferedInputFile

async def main(url, token):
    async with Bot(token, AiohttpSession(api=TelegramAPIServer.from_base(url))) as bot:
        assert (await bot.get_me()).id == 1000000001
        assert (await bot.send_message(7, "hello")).text == "hello"
        sent = await bot.send_document(7, BufferedInputFile(b"content", "d.txt"))
        assert (await bot.download(sent.document)).read() == b"content"

asyncio.run(main(*sys.argv[1:]))
"""


def test_aiogram_sends_uploads_and_downloads(demo: DemoProcess) -> None:
    own = sys.executable if find_spec("aiogram") else None
    python = os.environ.get("GATEWAY_AIOGRAM_PYTHON", own)
    if python is None:
        pytest.skip("aiogram is not installed; ./dev test --all brings it")
    subprocess.run([python, "-c", AIOGRAM, demo.url, BOT], check=True, timeout=30)
    assert all(sighting.key_ok for sighting in demo.seen())


async def test_telegram_takes_parameters_as_chunked_json(http: aiohttp.ClientSession) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"chat_id": 3, '
        yield b'"text": "hello"}'

    url = URL(f"/bot{BOT.replace(':', '%3A')}/sendMessage", encoded=True)
    headers = {"Content-Type": "application/json"}
    async with http.post(url, data=body(), headers=headers) as response:
        result = (await response.json())["result"]
    assert (result["chat"]["id"], result["text"]) == (3, "hello")


# The echo service


@pytest.mark.parametrize(
    ("where", "path", "sent"),
    [
        ("bearer", "/echo/a", {"headers": bearer(KEYS["echo"])}),
        ("x-api-key", "/echo/a", {"headers": {"X-Api-Key": KEYS["echo"]}}),
        ("query:key", "/echo/a", {"params": {"key": KEYS["echo"]}}),
        (
            "basic",
            "/echo/a",
            {"headers": {"Authorization": aiohttp.encode_basic_auth("someone", KEYS["echo"])}},
        ),
        ("path", f"/echo/key/{KEYS['echo']}/a", {}),
        ("json:clientKey", "/echo/a", {"json": {"clientKey": KEYS["echo"]}}),
        ("form:token", "/echo/a", {"data": {"token": KEYS["echo"]}}),
        ("form:client_secret", "/echo/a", {"data": {"client_secret": KEYS["echo"]}}),
    ],
)
async def test_echo_finds_its_key_wherever_it_may_be(
    demo: DemoProcess, http: aiohttp.ClientSession, where: str, path: str, sent: dict[str, Any]
) -> None:
    async with http.post(path, **sent) as response:
        assert response.status == 200
    (sighting,) = demo.seen()
    assert (sighting.key_ok, sighting.key_where) == (True, where)
    assert sighting.credentials == (where,)
    assert sighting.holds(KEYS["echo"]) or where == "basic"


async def test_echo_mirrors_what_it_received(demo: DemoProcess) -> None:
    headers = {**bearer(KEYS["echo"]), "X-MiXed": "Case"}
    url = URL(f"{demo.url}/echo/a%2Fb/../c?x=1&x=2", encoded=True)
    async with (
        aiohttp.ClientSession() as session,
        session.put(url, data=b"hello", headers=headers) as response,
    ):
        answer = await response.json()
    assert (answer["method"], answer["query"], answer["body"]) == ("PUT", "x=1&x=2", "hello")
    assert answer["path"] == "/echo/a%2Fb/../c"
    assert ["X-MiXed", "Case"] in answer["headers"]
    assert answer["body_sha256"] == hashlib.sha256(b"hello").hexdigest()


async def test_echo_hashes_a_large_upload_and_keeps_only_its_start(
    demo: DemoProcess, http: aiohttp.ClientSession
) -> None:
    async with http.post("/echo/up", data=BytesIO(BIG), headers=bearer(KEYS["echo"])) as response:
        answer = await response.json()
    assert answer["body_bytes"] == len(BIG)
    assert answer["body"] is None
    (sighting,) = demo.seen()
    assert sighting.body == BIG[: 64 * 1024]
    assert sighting.body_sha256 == answer["body_sha256"] == hashlib.sha256(BIG).hexdigest()


async def test_echo_serves_bytes_statuses_and_events(http: aiohttp.ClientSession) -> None:
    headers = bearer(KEYS["echo"])
    async with http.get("/echo/bytes/1000000", headers=headers) as response:
        assert len(await response.read()) == 1_000_000
    async with http.get("/echo/status/418", headers=headers) as response:
        assert response.status == 418
    async with http.get("/echo/sse?events=3&interval=0.01", headers=headers) as response:
        assert (await response.text()).count("data: ") == 3


async def test_echo_refuses_basic_credentials_that_are_no_base64(
    http: aiohttp.ClientSession,
) -> None:
    async with http.get("/echo/a", headers={"Authorization": "Basic !!!"}) as response:
        assert (response.status, (await response.json())["error"]) == (401, "wrong_key")


# What was seen


async def test_every_credential_is_listed_and_a_wrong_one_beside_the_right_one_is_refused(
    demo: DemoProcess, http: aiohttp.ClientSession
) -> None:
    headers = {**bearer("internal-token"), "x-api-key": KEYS["anthropic"]}
    async with http.post("/v1/messages", json={}, headers=headers) as response:
        assert response.status == 401
    (sighting,) = demo.seen()
    assert sighting.credentials == ("bearer", "x-api-key")
    assert sighting.holds("internal-token")
    assert not sighting.holds("another-token")


async def test_an_unknown_path_is_seen_as_well(
    demo: DemoProcess, http: aiohttp.ClientSession
) -> None:
    async with http.get("/nothing/here") as response:
        assert response.status == 404
    assert [(s.raw_path, s.status) for s in demo.seen()] == [("/nothing/here", 404)]


async def test_a_client_that_leaves_is_seen_as_a_cut(
    demo: DemoProcess, http: aiohttp.ClientSession
) -> None:
    headers = bearer(KEYS["echo"])
    async with http.get("/echo/sse?events=1000&interval=0.05", headers=headers) as response:
        await response.content.readline()
        assert demo.seen()[0].ended == "open"
        response.close()
    await until(lambda: demo.seen()[0].ended != "open")
    assert demo.seen()[0].ended == "cut"


async def test_what_was_seen_is_bounded(demo: DemoProcess, http: aiohttp.ClientSession) -> None:
    for _ in range(MOST_SIGHTINGS + 5):
        async with http.get("/echo/a") as response:
            assert response.status == 401
    seen = demo.seen()
    assert len(seen) == MOST_SIGHTINGS
    assert seen[-1].number - seen[0].number == MOST_SIGHTINGS - 1


# The process


def test_keys_can_be_replaced_and_an_unknown_provider_is_an_error() -> None:
    with (
        process.start({"openai": "sk-mine"}) as other,
        openai_client(other, "sk-mine") as client,
    ):
        assert client.models.list().data
    with pytest.raises(ValueError, match="known are: openai"):
        overridden({"opnai": "x"})


async def test_a_stop_does_not_wait_for_open_streams_and_polls() -> None:
    other = process.start()
    async with aiohttp.ClientSession(other.url) as session:
        path = "/echo/sse?events=1000&interval=0.05"
        async with session.get(path, headers=bearer(KEYS["echo"])) as response:
            await response.content.readline()
            began = time.monotonic()
            other.stop()
    assert time.monotonic() - began < process.STOP_SECONDS
    assert not other.is_running()


def test_the_demo_dies_with_the_process_that_started_it() -> None:
    code = (
        "import time; from gateway.demo import process;"
        "demo = process.start(); print(demo.port, flush=True); time.sleep(60)"
    )
    root = Path(process.__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=root)
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    assert is_listening(port)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while is_listening(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_listening(port)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
