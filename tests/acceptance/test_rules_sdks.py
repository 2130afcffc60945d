"""Rules on the SDKs' own calls: what each of them says where, what passes, what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from gateway.demo.keys import KEYS
from gateway.demo.process import DemoProcess
from gateway.demo.sighting import Sighting
from tests.support.running import ROUTES, Running, fetch
from tests.support.sdk import KITS, SENTENCE, Bots, Ended
from tests.support.trail import core

RULES = """\
  openai-echo: {provider: openai, secret: "env:ECHO_KEY", upstream: "{demo}/echo", private: true}
  anthropic-echo:
    {provider: anthropic, secret: "env:ECHO_KEY", upstream: "{demo}/echo", private: true}
groups:
  preset:
    allow:
      - {route: openai, presets: [read, inference]}
      - {route: anthropic, presets: [read, inference]}
      - {route: telegram, presets: [read, send]}
      - {route: gemini, presets: [read, inference]}
      - {route: discord, presets: [read, send]}
      - {route: slack, presets: [read, send]}
  scoped:
    allow:
      - {route: openai, presets: [read, inference], models: ["gpt-5-*"]}
      - {route: openai-echo, presets: [inference], models: ["gpt-5-*"]}
      - {route: anthropic, presets: [read, inference], models: ["claude-demo*"]}
      - {route: anthropic-echo, presets: [batch], models: ["claude-demo*"]}
      - {route: telegram, presets: [read, send], chats: [12345, "@news"]}
      - {route: gemini, presets: [read, inference], models: [gemini-demo]}
      - {route: discord, presets: [read, send], channels: [111]}
      - {route: slack, presets: [read, send], channels: [C0123]}
bots:
  normal: {groups: [preset]}
  narrow: {groups: [scoped]}
  watched: {groups: [scoped], mode: observe}
"""
BIG = 3_000_000  # bytes
NAMES: dict[str, tuple[object, object]] = {
    "openai": ("gpt-5-mini", "gpt-5"),
    "anthropic": ("claude-demo", "claude-9"),
    "telegram": (12345, 6),
    "gemini": ("gemini-demo", "gemini-9"),
    "discord": (111, 112),
    "slack": ("C0123", "C0999"),
}
"""What the rules let pass, and what they do not."""
CODES = {
    "openai": "model_not_allowed",
    "anthropic": "model_not_allowed",
    "telegram": "chat_not_allowed",
    "gemini": "model_not_allowed",
    "discord": "channel_not_allowed",
    "slack": "channel_not_allowed",
}
FORBIDDEN = {
    "openai": "PermissionDeniedError",
    "anthropic": "PermissionDeniedError",
    "anthropic 0.79": "PermissionDeniedError",
    "python-telegram-bot": "Forbidden",
    "aiogram": "TelegramForbiddenError",
    "pyTelegramBotAPI": "ApiTelegramException",
    "google-genai": "ClientError",
    "discord.py": "Forbidden",
    "hikari": "ForbiddenError",
    "slack_sdk": "SlackApiError",
}
KINDS = {("google-genai", "JSON"): "PermissionDeniedError"}  # its interactions have their own

ECHOES = {"image edit", "batch"}
"""Calls that the demo does not answer like its provider; its echo does for them."""

# Each call is about `subject`; `big` are the bytes of a file, `asked` is a list of one message.
PLACES: dict[str, dict[str, str]] = {
    "openai": {
        "JSON": "client.chat.completions.create(model=subject, messages=asked)",
        "JSON, streamed": "list(client.responses.create(model=subject, input='x', stream=True))",
        "JSON of responses": "client.responses.create(model=subject, input='x')",
        "JSON of embeddings": "client.embeddings.create(model=subject, input='x')",
        "multipart": "client.audio.transcriptions.create(model=subject, file=('a.wav', big))",
        "image edit": "client.images.edit(model=subject, image=('a.png', big), prompt='x')",
        "path": "client.models.retrieve(subject)",
    },
    "anthropic": {
        "JSON": "client.messages.create(model=subject, max_tokens=9, messages=asked)",
        "JSON of counting": "client.messages.count_tokens(model=subject, messages=asked)",
        "batch": "client.messages.batches.create(requests=[{'custom_id': '1', "
        "'params': {'model': subject, 'max_tokens': 9, 'messages': asked}}])",
        "path": "client.models.retrieve(subject)",
    },
    "python-telegram-bot": {
        "form": "await bot.send_message(subject, 'x')",
        "multipart": "await bot.send_document(subject, big, filename='b')",
    },
    "aiogram": {
        "form": "await bot.send_message(subject, 'x')",
        "multipart": "await bot.send_document(subject, BufferedInputFile(big, 'b'))",
    },
    "pyTelegramBotAPI": {
        "query": "bot.send_message(subject, 'x')",
        "query beside multipart": "bot.send_document(subject, big, visible_file_name='b')",
    },
    "google-genai": {
        "path": "client.models.generate_content(model=subject, contents='x')",
        "path, streamed": "list(client.models.generate_content_stream(model=subject, "
        "contents='x'))",
        "path of embeddings": "client.models.embed_content(model=subject, contents='x')",
        "path of counting": "client.models.count_tokens(model=subject, contents='x')",
        "path of reading": "client.models.get(model=subject)",
        "JSON": "client.interactions.create(model=subject, input='x')",
    },
    "discord.py": {
        "path": "await client.get_partial_messageable(subject).send('x')",
        "path beside multipart": "await client.get_partial_messageable(subject).send("
        "'x', file=discord.File(io.BytesIO(big), 'b'))",
        "path of reading": "await client.get_partial_messageable(subject).fetch_message(5)",
    },
    "hikari": {
        "path": "await rest.create_message(subject, 'x')",
        "path beside multipart": "await rest.create_message(subject, 'x', "
        "attachment=hikari.Bytes(big, 'b'))",
        "path of reading": "await rest.fetch_message(subject, 5)",
    },
    "slack_sdk": {
        "JSON": "client.chat_postMessage(channel=subject, text='x')",
        "form": "client.conversations_history(channel=subject)",
        "form with a token": "client.api_call('chat.postMessage', "
        "data={'channel': subject, 'text': 'x', 'token': token})",
        "query": "client.api_call('conversations.info', http_verb='GET', "
        "params={'channel': subject})",
        "form after an upload": "client.files_upload_v2(channel=subject, content=big)",
    },
}
PLACES["anthropic 0.79"] = PLACES["anthropic"]
EVERY_PLACE = [(name, place) for name, places in PLACES.items() for place in places]
PRELUDE = "import io\nif 'aiogram' in sys.modules:\n    from aiogram import types\n"


@pytest.fixture(scope="module")
def ruled(launcher: Callable[..., Running]) -> Running:
    return launcher(ROUTES + RULES, shapes=("plain", "telegram"))


@pytest.fixture
def running(ruled: Running) -> Running:
    ruled.since = time.time()
    return ruled


def called(bots: Bots, running: Running, bot: str, name: str, code: str, **names: object) -> Ended:
    """Let `bot` make a call with an SDK, in which `names` are set."""
    base, token = running.base(KITS[name].provider), running.token(bot, KITS[name].shape)
    if names.get("place") in ECHOES:
        base += "-echo"
    code = f"big, asked = bytes({BIG}), [{{'role': 'user', 'content': 'Hello'}}]\nreturn {code}"
    return bots.run(name, base, token, code, **names)


def place_called(
    bots: Bots, running: Running, bot: str, name: str, place: str, subject: object
) -> Ended:
    """Let `bot` make the call in which this SDK names `subject` in this place."""
    return called(bots, running, bot, name, PLACES[name][place], place=place, subject=subject)


def passed_on(running: Running, demo: DemoProcess, bot: str, shape: str) -> list[Sighting]:
    """Assert that the provider saw what the record says was answered, with its key, not ours."""
    # Slack's second step goes to an address of its own, without a key.
    seen = [one for one in demo.seen() if not one.raw_path.startswith("/upload/")]
    answered = running.records(len(seen), bot=bot, outcome="answered") if seen else []
    assert [one.status for one in seen] == [record["status"] for record in answered]
    for one in seen:
        assert one.key_ok
        assert len(one.credentials) == 1
        assert not one.holds(core(running.token(bot, shape)))
    return seen


@pytest.mark.parametrize(("name", "place"), EVERY_PLACE)
def test_what_a_rule_names_passes(
    running: Running, demo: DemoProcess, bots: Bots, name: str, place: str
) -> None:
    kit = KITS[name]
    subject, _ = NAMES[kit.provider]
    ended = place_called(bots, running, "narrow", name, place, subject)
    assert ended.errors == []
    last = passed_on(running, demo, "narrow", kit.shape)[-1]
    assert last.status == 200
    record = running.records(1, bot="narrow")[-1]
    assert (record["code"], record["subject"]) == ("", str(subject))
    assert " groups.scoped.allow[" in record["rule"]


@pytest.mark.parametrize(("name", "place"), EVERY_PLACE)
def test_what_no_rule_names_is_refused(
    running: Running, demo: DemoProcess, bots: Bots, name: str, place: str
) -> None:
    kit = KITS[name]
    _, subject = NAMES[kit.provider]
    ended = place_called(bots, running, "narrow", name, place, subject)
    record = refused_once(running, ended, KINDS.get((name, place), FORBIDDEN[name]))
    assert (record["code"], record["subject"]) == (CODES[kit.provider], str(subject))
    passed_on(running, demo, "narrow", kit.shape)


def refused_once(running: Running, ended: Ended, kind: str) -> dict[str, object]:
    """Assert the SDK's own error with our sentence in it, after one request; return its record."""
    assert ended.kind == kind, ended
    found = SENTENCE.search(ended.text)
    assert found is not None, ended.text
    (record,) = running.records(1, outcome="refused")
    assert (record["code"], record["exchange"]) == found.groups()
    assert " groups." in str(record["rule"])
    return record


@pytest.mark.parametrize("name", PLACES)
def test_what_is_only_watched_passes(
    running: Running, demo: DemoProcess, bots: Bots, name: str
) -> None:
    kit = KITS[name]
    _, subject = NAMES[kit.provider]
    place = next(iter(PLACES[name]))
    assert place_called(bots, running, "watched", name, place, subject).errors == []
    assert passed_on(running, demo, "watched", kit.shape)[-1].status == 200
    record = running.records(1, bot="watched")[-1]
    assert (record["outcome"], record["code"]) == ("answered", "")
    assert (record["observed"], record["subject"]) == (CODES[kit.provider], str(subject))


def test_channel_that_a_message_is_forwarded_from(
    running: Running, demo: DemoProcess, bots: Bots
) -> None:
    code = (
        "await client.get_partial_messageable(subject).get_partial_message(5).forward("
        "client.get_partial_messageable(111))"
    )
    assert called(bots, running, "narrow", "discord.py", code, subject=111).errors == []
    ended = called(bots, running, "narrow", "discord.py", code, subject=112)
    assert refused_once(running, ended, "Forbidden")["code"] == "channel_not_allowed"
    assert "allows the channel 112 " in ended.text
    passed_on(running, demo, "narrow", "plain")


# Presets

ORDINARY: dict[str, list[str]] = {
    "openai": ["client.models.list()", "client.embeddings.create(model='m', input='x')"],
    "anthropic": ["client.models.list()"],
    "python-telegram-bot": ["await bot.get_me()", "await bot.delete_webhook()"],
    "aiogram": ["await bot.get_me()", "await bot.delete_webhook()"],
    "pyTelegramBotAPI": ["bot.get_me()", "bot.delete_webhook()"],
    "google-genai": ["list(client.models.list())"],
    "discord.py": [
        "await client.application_info()",
        "await client.fetch_channel(111)",
        "[_ async for _ in client.get_partial_messageable(111).history()]",
        "await client.http.send_typing(111)",
    ],
    "hikari": ["await rest.fetch_my_user()", "await rest.fetch_channel(111)"],
    "slack_sdk": [
        "client.auth_test()",
        "client.conversations_list()",
        "client.users_info(user='U1')",
        "client.views_open(trigger_id='1', view={})",
        "client.reactions_add(channel='C1', name='x', timestamp='1.1')",
    ],
}
NEVER: dict[str, list[str]] = {
    "openai": [
        "client.fine_tuning.jobs.create(model='gpt-5-mini', training_file='f')",
        "client.models.delete('ft:gpt-5-mini')",
        "client.with_options(admin_api_key=token).admin.organization.admin_api_keys.list()",
        "client.with_options(admin_api_key=token).admin.organization.usage.costs(start_time=1)",
    ],
    "anthropic": ["client.messages.batches.create(requests=[])", "client.beta.files.list()"],
    "python-telegram-bot": [
        "await bot.log_out()",
        "await bot.set_webhook('https://x.test')",
        "await bot.ban_chat_member(1, 2)",
        "await bot.send_gift(user_id=1, gift_id='g')",
    ],
    "aiogram": ["await bot.log_out()", "await bot.set_webhook('https://x.test')"],
    "pyTelegramBotAPI": ["bot.log_out()", "bot.set_webhook('https://x.test')", "bot.close()"],
    "google-genai": [
        "client.caches.create(model='gemini-demo')",
        "client.tunings.tune(base_model='models/gemini-demo', training_dataset="
        "genai.types.TuningDataset(examples=[]))",
        "client.files.delete(name='f')",
    ],
    "discord.py": [
        "await client.http.ban(1, 2)",
        "await client.http.create_webhook(111, name='x')",
        "await client.http.delete_channel(111)",
        "await client.http.leave_guild(1)",
    ],
    "hikari": [
        "await rest.ban_user(1, 2)",
        "await rest.create_webhook(111, 'x')",
        "await rest.create_invite(111)",
    ],
    "slack_sdk": [
        "client.admin_users_list(team_id='T')",
        "client.auth_revoke()",
        "client.team_billableInfo()",
        "client.tooling_tokens_rotate(refresh_token='x')",
    ],
}
for calls in (ORDINARY, NEVER):
    calls["anthropic 0.79"] = calls["anthropic"]


@pytest.mark.parametrize("name", ORDINARY)
def test_presets_hold_what_a_bot_ordinarily_asks(
    running: Running, demo: DemoProcess, bots: Bots, name: str
) -> None:
    for code in ORDINARY[name]:
        ended = called(bots, running, "normal", name, code)
        assert ended.errors == [], code
    passed_on(running, demo, "normal", KITS[name].shape)
    assert {record["code"] for record in running.recorded()} == {""}


@pytest.mark.parametrize(
    ("name", "code"), [(name, code) for name, codes in NEVER.items() for code in codes]
)
def test_presets_never_hold_what_administers(
    running: Running, demo: DemoProcess, bots: Bots, name: str, code: str
) -> None:
    ended = called(bots, running, "normal", name, code)
    record = refused_once(running, ended, FORBIDDEN[name])
    assert record["code"] in ("path_not_allowed", "method_not_allowed")
    passed_on(running, demo, "normal", KITS[name].shape)


POLLING = {
    "python-telegram-bot": """
from telegram.ext import ApplicationBuilder, TypeHandler
app, heard = ApplicationBuilder().bot(bot).build(), asyncio.Queue()
async def put(update, _):
    await heard.put(update)
app.add_handler(TypeHandler(object, put))
async with app:
    await app.start()
    await app.updater.start_polling(timeout=1)
    update = await heard.get()
    await app.updater.stop()
    await app.stop()
return update.message.text
""",
    "aiogram": """
from aiogram import Dispatcher
dispatcher = Dispatcher()
heard = []
@dispatcher.message()
async def put(message):
    heard.append(message.text)
    await dispatcher.stop_polling()
await dispatcher.start_polling(bot, polling_timeout=1, handle_signals=False)
return heard[0]
""",
    "pyTelegramBotAPI": """
heard = []
@bot.message_handler()
def put(message):
    heard.append(message.text)
    bot.stop_polling()
bot.infinity_polling(timeout=1, long_polling_timeout=1)
return heard[0]
""",
}


@pytest.mark.parametrize("name", POLLING)
def test_presets_are_enough_to_poll(
    running: Running, demo: DemoProcess, bots: Bots, name: str
) -> None:
    number = demo.push("from a person", chat_id=7)
    token = running.token("normal", "telegram")
    ended = bots.run(name, running.base("telegram"), token, POLLING[name])
    assert (ended.value, ended.errors) == ("from a person", [])
    assert {record["outcome"] for record in running.recorded()} <= {"answered", "gone"}
    assert all(one.key_ok for one in demo.seen())
    fetch(demo.port, "GET", f"/bot{KEYS['telegram']}/getUpdates?offset={number + 1}", {})
