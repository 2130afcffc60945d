"""The main job: real SDKs, changed as the table says, hold a token and reach their provider."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from gateway.core.sdks import lines
from gateway.demo.process import DemoProcess
from tests.support import sdk
from tests.support.running import Running
from tests.support.trail import assert_recorded, assert_swapped

BIG = bytes(range(256)) * 4096  # 1 MiB
MESSAGES = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def openai_client(house: Running) -> Iterator[Any]:
    base, token = house.base("openai"), house.token("openai-bot")
    with sdk.build("openai", "openai", base, token) as client:
        yield client


@pytest.fixture
def anthropic_client(house: Running) -> Iterator[Any]:
    base, token = house.base("anthropic"), house.token("anthropic-bot")
    with sdk.build("anthropic", "anthropic", base, token) as client:
        yield client


def test_openai_gets_a_whole_answer(house: Running, demo: DemoProcess, openai_client: Any) -> None:
    answer = openai_client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)
    assert answer.choices[0].message.content == "You said: Hello there"
    (one,) = seen = assert_swapped(demo, house.token("openai-bot"), 1)
    assert one.raw_path == "/v1/chat/completions"
    (record,) = assert_recorded(house, seen, "openai-bot", "plain", route="openai")
    assert record["path"] == "/v1/chat/completions"
    assert record["request_id"] == answer._request_id


def test_openai_streams(house: Running, demo: DemoProcess, openai_client: Any) -> None:
    stream = openai_client.chat.completions.create(
        model="gpt-demo-tokens-40", messages=MESSAGES, stream=True
    )
    words = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert len("".join(words).split()) == 40
    seen = assert_swapped(demo, house.token("openai-bot"), 1)
    assert_recorded(house, seen, "openai-bot", "plain")


def test_openai_uploads_and_downloads(
    house: Running, demo: DemoProcess, openai_client: Any
) -> None:
    file = openai_client.files.create(file=("big.bin", BIG), purpose="assistants")
    assert openai_client.files.content(file.id).read() == BIG
    seen = assert_swapped(demo, house.token("openai-bot"), 2)
    up, down = assert_recorded(house, seen, "openai-bot", "plain", route="openai")
    assert up["bytes_in"] > len(BIG)
    assert (down["bytes_in"], down["bytes_out"]) == (0, len(BIG))


def test_anthropic_gets_a_whole_answer_with_a_bearer_key(
    house: Running, demo: DemoProcess, anthropic_client: Any
) -> None:
    answer = anthropic_client.messages.create(
        model="claude-demo", max_tokens=50, messages=[{"role": "user", "content": "Hello there"}]
    )
    assert json.loads(answer.content[0].model_dump_json())["text"] == "You said: Hello there"
    (one,) = seen = assert_swapped(demo, house.token("anthropic-bot"), 1)
    assert one.credentials == ("bearer",)
    (record,) = assert_recorded(house, seen, "anthropic-bot", "plain")
    assert record["request_id"] == answer._request_id


def test_anthropic_streams(house: Running, demo: DemoProcess, anthropic_client: Any) -> None:
    with anthropic_client.messages.stream(
        model="claude-demo-tokens-30",
        max_tokens=50,
        messages=[{"role": "user", "content": "Hello"}],
    ) as stream:
        assert len("".join(stream.text_stream).split()) == 30
    seen = assert_swapped(demo, house.token("anthropic-bot"), 1)
    assert_recorded(house, seen, "anthropic-bot", "plain")


OLD_ANTHROPIC = """
import json, sys
exec(sys.argv[1])
messages = [{"role": "user", "content": "Hello there"}]
ask = dict(model="claude-demo", max_tokens=50, messages=messages)
whole = client.messages.create(**ask).content[0].text
with client.messages.stream(**ask) as stream:
    streamed = "".join(stream.text_stream)
import anthropic
print(json.dumps([anthropic.__version__, whole, streamed]))
"""


def test_an_old_anthropic_sends_the_other_key_header(house: Running, demo: DemoProcess) -> None:
    token = house.token("old-anthropic-bot")
    change = sdk.change("anthropic", "anthropic", house.base("anthropic"), token)
    got: Any = sdk.run_apart("GATEWAY_ANTHROPIC_079_PYTHON", OLD_ANTHROPIC, change)
    said = "You said: Hello there"
    assert got == ["0.79.0", said, said]
    seen = assert_swapped(demo, token, 2)
    assert {one.credentials for one in seen} == {("x-api-key",)}
    assert_recorded(house, seen, "old-anthropic-bot", "plain")


async def test_python_telegram_bot(house: Running, demo: DemoProcess, tmp_path: Path) -> None:
    token = house.token("ptb-bot", "telegram")
    bot = sdk.build("telegram", "python-telegram-bot", house.base("telegram"), token)
    async with bot:
        assert (await bot.send_message(42, "Hello")).text == "Hello"
        sent = await bot.send_document(42, BIG, filename="big.bin")
        file = await bot.get_file(sent.document.file_id)
        assert bytes(await file.download_as_bytearray()) == BIG
    # getMe is what `async with` does first.
    seen = assert_swapped(demo, token, 5)
    assert {one.credentials for one in seen} == {("path",)}
    records = assert_recorded(house, seen, "ptb-bot", "telegram", route="telegram")
    assert [record["path"].rpartition("/bot...")[2] for record in records[:4]] == [
        "/getMe", "/sendMessage", "/sendDocument", "/getFile",
    ]  # fmt: skip
    assert records[4]["path"].startswith("/file/bot.../")


async def test_python_telegram_bot_polls(house: Running, demo: DemoProcess) -> None:
    token = house.token("ptb-bot", "telegram")
    bot = sdk.build("telegram", "python-telegram-bot", house.base("telegram"), token)
    async with bot:
        demo.push("from a person", chat_id=7)
        updates = await bot.get_updates(timeout=5)
        await bot.get_updates(offset=updates[-1].update_id + 1)
    assert [update.message.text for update in updates] == ["from a person"]
    assert_swapped(demo, token, 3)


@pytest.mark.usefixtures("telebot_global")
def test_telebot(house: Running, demo: DemoProcess) -> None:
    token = house.token("telebot-bot", "telegram")
    bot = sdk.build("telegram", "pyTelegramBotAPI", house.base("telegram"), token)
    assert bot.send_message(42, "Hello").text == "Hello"
    sent = bot.send_document(42, BIG, visible_file_name="big.bin")
    file = bot.get_file(sent.document.file_id)
    assert bot.download_file(file.file_path) == BIG
    seen = assert_swapped(demo, token, 4)
    assert_recorded(house, seen, "telebot-bot", "telegram", route="telegram")


AIOGRAM = """
import asyncio, hashlib, io, json, sys
from aiogram.types import BufferedInputFile
exec(sys.argv[1])
BIG = bytes(range(256)) * 4096

async def main():
    async with bot:
        message = await bot.send_message(42, "Hello")
        sent = await bot.send_document(42, BufferedInputFile(BIG, "big.bin"))
        file = await bot.get_file(sent.document.file_id)
        got = await bot.download_file(file.file_path, io.BytesIO())
    print(json.dumps([message.text, hashlib.sha256(got.read()).hexdigest()]))

asyncio.run(main())
"""


def test_aiogram(house: Running, demo: DemoProcess) -> None:
    token = house.token("aiogram-bot", "telegram")
    change = sdk.change("telegram", "aiogram", house.base("telegram"), token)
    # The table's lines make the session where no loop runs yet, as most bots do.
    got: Any = sdk.run_apart("GATEWAY_AIOGRAM_PYTHON", AIOGRAM, change)
    assert got == ["Hello", hashlib.sha256(BIG).hexdigest()]
    seen = assert_swapped(demo, token, 4)
    assert_recorded(house, seen, "aiogram-bot", "telegram", route="telegram")


def test_the_environment_alone_is_enough(
    house: Running, demo: DemoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for provider, bot in (("openai", "openai-bot"), ("anthropic", "anthropic-bot")):
        (row,) = [
            one
            for one in lines(provider, house.base(provider), house.token(bot))
            if one.name == provider and one.language == "python"
        ]
        for name, value in row.env:
            monkeypatch.setenv(name, value)
    with openai.OpenAI() as client:
        assert client.models.list().data
    with anthropic.Anthropic() as other:
        counted = other.messages.count_tokens(
            model="claude-demo", messages=[{"role": "user", "content": "one two three"}]
        )
    assert counted.input_tokens == 3
    assert [one.key_ok for one in demo.seen()] == [True, True]
    assert os.environ["OPENAI_API_KEY"] == house.token("openai-bot")
