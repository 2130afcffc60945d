"""Refusals as each SDK raises them; how often it asks, and how it waits where it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import pytest

from gateway.demo.keys import KEYS
from gateway.demo.process import DemoProcess
from tests.support.raw import connected, request
from tests.support.running import ROUTES, Running, eventually, fetch
from tests.support.sdk import KITS, SENTENCE, Bots, Ended

EVERY = ["openai", "anthropic", "telegram", "gemini", "discord", "slack"]


def bot_of(kind: str, name: str) -> str:
    """Return the bot that only this SDK uses."""
    return f"{kind}-{name.replace(' ', '-').lower()}"


RULES = "".join(
    f'  {name}-poor: {{provider: {name}, secret: "env:NOT_THERE", upstream: "{{demo}}", '
    "private: true}\n"
    for name in EVERY
)
RULES += f"""\
groups:
  every: {{allow: [{", ".join([*EVERY, *(f"{name}-poor" for name in EVERY)])}]}}
  hurried: {{allow: [{", ".join(EVERY)}], limits: [{{requests: 1, per: second}}]}}
  counted: {{allow: [{", ".join(EVERY)}], limits: [{{requests: 3, per: minute}}]}}
bots:
  plain: {{groups: [every]}}
  revoked: {{groups: [every]}}
  expired: {{groups: [every]}}
  frozen: {{groups: [every]}}
  barred: {{groups: [every], addresses: [10.0.0.0/8]}}
  busy: {{groups: [every], limits: [{{concurrency: 1}}]}}
"""
RULES += "".join(
    f"  {bot_of(kind, name)}: {{groups: [{kind}]}}\n"
    for kind in ("hurried", "counted")
    for name in KITS
)
ASK = {
    "openai": "client.chat.completions.create(model='m', messages=asked)",
    "anthropic": "client.messages.create(model='m', max_tokens=9, messages=asked)",
    "anthropic 0.79": "client.messages.create(model='m', max_tokens=9, messages=asked)",
    "python-telegram-bot": "await bot.send_message(1, 'x')",
    "aiogram": "await bot.send_message(1, 'x')",
    "pyTelegramBotAPI": "bot.send_message(1, 'x')",
    "google-genai": "client.models.generate_content(model='m', contents='x')",
    "discord.py": "await client.get_partial_messageable(1).send('x')",
    "hikari": "await rest.create_message(1, 'x')",
    "slack_sdk": "client.chat_postMessage(channel='C1', text='x')",
}
ERRORS = {
    "openai": (
        "AuthenticationError",
        "PermissionDeniedError",
        "RateLimitError",
        "RateLimitError",
        "InternalServerError",
    ),
    "python-telegram-bot": (
        "InvalidToken",
        "Forbidden",
        "RetryAfter",
        "NetworkError",
        "NetworkError",
    ),
    "aiogram": (
        "TelegramUnauthorizedError",
        "TelegramForbiddenError",
        "TelegramRetryAfter",
        "TelegramAPIError",
        "TelegramServerError",
    ),
    "pyTelegramBotAPI": ("ApiTelegramException",) * 5,
    "google-genai": ("ClientError", "ClientError", "ClientError", "ClientError", "ServerError"),
    "discord.py": (
        "LoginFailure",
        "Forbidden",
        "HTTPException",
        "DiscordServerError",
        "DiscordServerError",
    ),
    "hikari": (
        "UnauthorizedError",
        "ForbiddenError",
        "",  # it waits and asks again
        "InternalServerError",
        "InternalServerError",
    ),
    "slack_sdk": ("SlackApiError",) * 5,
}
ERRORS["anthropic 0.79"] = ERRORS["openai"]
ERRORS["anthropic"] = (*ERRORS["openai"][:4], "ServiceUnavailableError")
WRONG, FORBIDDEN, RATE, CONCURRENCY, LATER = range(5)
"""What stands where in them."""
AGAIN = {"openai": 3, "anthropic": 3, "anthropic 0.79": 3, "hikari": 4}
"""How often an SDK asks, at most, where asking again might help; the others ask once."""
PATIENCE = 20  # seconds in which each call ends


@pytest.fixture(scope="module")
def strict(launcher: Callable[..., Running]) -> Running:
    """A gateway that refuses, with a token that was revoked, one that expired, a frozen bot."""
    running = launcher(ROUTES + RULES, shapes=("plain", "telegram", "discord"))
    running.cli("bot", "freeze", "frozen")
    running.cli("token", "revoke", "--bot", "revoked")
    running.cli("token", "issue", "expired", "--overlap", "0s")
    for bot in ("frozen", "revoked", "expired"):
        eventually(partial(is_refused, running, bot), f"refusal of the bot that is {bot}")
    return running


def is_refused(running: Running, bot: str) -> bool:
    """Whether the gateway refuses this bot. It is not asked again then: it counts wrong tokens."""
    return running.get("/openai/v1/models", f"Bearer {running.token(bot)}")[0] != 200


@pytest.fixture
def running(strict: Running) -> Running:
    strict.since = time.time()
    return strict


@pytest.fixture(scope="module")
def occupied(strict: Running, demo_process: DemoProcess) -> Iterator[None]:
    """The bot called busy has a request under way, for as long as this module needs."""
    body = b'{"model": "demo-slow-300", "messages": [{"role": "user", "content": "x"}]}'
    head = f"""
        POST /openai/v1/chat/completions HTTP/1.1
        Host: gateway
        Content-Type: application/json
        Authorization: Bearer {strict.token("busy")}
    """
    demo_process.clear()
    with connected(strict.port) as sock:
        sock.sendall(request(head, body))
        eventually(demo_process.seen, "slow request")
        yield


def asked(bots: Bots, running: Running, bot: str, name: str, code: str, route: str = "") -> Ended:
    """Let `bot` run code with an SDK."""
    kit = KITS[name]
    base = running.base(route or kit.provider)
    token = running.token("plain" if bot == "wrong" else bot, kit.shape)
    if bot == "wrong":
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    code = f"asked = [{{'role': 'user', 'content': 'Hello'}}]\n{code}"
    return bots.run(name, base, token, code)


def judged(running: Running, ended: Ended, kind: str, most: int = 1) -> str:
    """Assert the SDK's own error, and not too many requests for it; return the refusal's code."""
    assert ended.kind == kind, ended
    assert ended.seconds < PATIENCE
    found = SENTENCE.search(ended.text)
    if kind == "RetryAfter":  # python-telegram-bot shows the wait, and hides what was said
        assert 0 < int(ended.text.split()[-2]) <= 60
        return str(running.record(outcome="refused")["code"])
    assert found is not None, ended.text
    assert running.record(exchange=found[2])["code"] == found[1]
    assert len(running.records(1, outcome="refused")) <= most, "asked in vain"
    return found[1]


@pytest.mark.parametrize("name", ASK)
def test_wrong_token(running: Running, demo: DemoProcess, bots: Bots, name: str) -> None:
    ended = asked(bots, running, "wrong", name, ASK[name])
    assert judged(running, ended, ERRORS[name][WRONG]) == "unknown_token"
    assert demo.seen() == []


# One of each provider's alone: the gateway slows an address that shows many wrong tokens.
@pytest.mark.parametrize("name", ["openai", "aiogram", "google-genai", "hikari"])
def test_revoked_token(running: Running, demo: DemoProcess, bots: Bots, name: str) -> None:
    ended = asked(bots, running, "revoked", name, ASK[name])
    assert judged(running, ended, ERRORS[name][WRONG]) == "unknown_token"
    assert demo.seen() == []


@pytest.mark.parametrize("name", ["anthropic", "python-telegram-bot", "discord.py", "slack_sdk"])
def test_expired_token(running: Running, demo: DemoProcess, bots: Bots, name: str) -> None:
    ended = asked(bots, running, "expired", name, ASK[name])
    assert judged(running, ended, ERRORS[name][WRONG]) == "expired_token"
    assert demo.seen() == []


@pytest.mark.parametrize("name", ASK)
@pytest.mark.parametrize(("bot", "code"), [("frozen", "frozen"), ("barred", "address_not_allowed")])
def test_bot_that_may_not(
    running: Running, demo: DemoProcess, bots: Bots, bot: str, code: str, name: str
) -> None:
    ended = asked(bots, running, bot, name, ASK[name])
    assert judged(running, ended, ERRORS[name][FORBIDDEN]) == code
    assert demo.seen() == []


@pytest.mark.parametrize("name", ASK)
def test_secret_that_is_not_there(
    running: Running, demo: DemoProcess, bots: Bots, name: str
) -> None:
    route = f"{KITS[name].provider}-poor"
    ended = asked(bots, running, "plain", name, ASK[name], route)
    code = judged(running, ended, ERRORS[name][LATER], AGAIN.get(name, 1))
    assert code == "secret_unavailable"
    assert demo.seen() == []


@pytest.mark.usefixtures("occupied")
@pytest.mark.parametrize("name", ASK)
def test_too_much_at_once(running: Running, demo: DemoProcess, bots: Bots, name: str) -> None:
    ended = asked(bots, running, "busy", name, ASK[name])
    code = judged(running, ended, ERRORS[name][CONCURRENCY], AGAIN.get(name, 1))
    assert code == "concurrency_limit"
    assert demo.seen() == []


@pytest.mark.parametrize("name", [name for name in ASK if ERRORS[name][RATE]])
def test_too_many_requests(running: Running, demo: DemoProcess, bots: Bots, name: str) -> None:
    """What SDKs do that do not wait, or are told not to."""
    call = ASK[name]
    if name.startswith(("openai", "anthropic")):
        call = call.replace("client.", "client.with_options(max_retries=0).")
    code = f"for _ in range(4):\n    {call}"
    ended = asked(bots, running, bot_of("counted", name), name, code)
    assert judged(running, ended, ERRORS[name][RATE]) == "rate_limit"
    assert len(demo.seen()) == 3


# Waiting

HANDLER = """\
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
"""


@pytest.mark.parametrize("name", ["openai", "anthropic", "anthropic 0.79", "hikari", "slack_sdk"])
def test_retry_after_is_obeyed_and_enough(
    running: Running, demo: DemoProcess, bots: Bots, name: str
) -> None:
    handler = HANDLER if name == "slack_sdk" else ""
    bot = bot_of("hurried", name)
    ended = asked(bots, running, bot, name, f"{handler}for _ in range(3):\n    {ASK[name]}")
    assert ended.errors == []
    outcomes = outcomes_of(running, bot, 3)
    assert len(demo.seen()) == outcomes.count("answered") == 3
    assert "refused" in outcomes
    assert ("refused", "refused") not in pairwise(outcomes), "the wait was told too short"


def outcomes_of(running: Running, bot: str, answered: int) -> list[str]:
    """Return how the exchanges of `bot` ended, once so many were answered."""
    running.records(answered, bot=bot, outcome="answered")
    return [record["outcome"] for record in running.recorded() if record["bot"] == bot]


POLLING = {
    "python-telegram-bot": """
from telegram.ext import ApplicationBuilder, TypeHandler
app, heard = ApplicationBuilder().bot(bot).build(), asyncio.Event()
async def put(*_):
    heard.set()
app.add_handler(TypeHandler(object, put))
async with app:
    await app.start()
    await app.updater.start_polling(timeout=0, bootstrap_retries=-1)
    await heard.wait()
    await app.updater.stop()
    await app.stop()
""",
    "aiogram": """
from aiogram import Dispatcher
dispatcher = Dispatcher()
@dispatcher.message()
async def put(message):
    await dispatcher.stop_polling()
await dispatcher.start_polling(bot, polling_timeout=0, handle_signals=False)
""",
}


@pytest.mark.parametrize("name", POLLING)
def test_a_poller_that_never_stops_waits_as_it_is_told(
    running: Running, demo: DemoProcess, bots: Bots, name: str
) -> None:
    bot = bot_of("hurried", name)
    token = running.token(bot, "telegram")
    bots.begin(name, running.base("telegram"), token, POLLING[name])
    outcomes = outcomes_of(running, bot, 3)
    number = demo.push("stop", chat_id=7)
    assert bots.end(name).errors == []
    assert outcomes.count("refused") <= len(outcomes) / 2 + 1, outcomes
    fetch(demo.port, "GET", f"/bot{KEYS['telegram']}/getUpdates?offset={number + 1}", {})


# What is not carried

SOCKET_MODE = """\
from slack_sdk.socket_mode import SocketModeClient
SocketModeClient(app_token=token, web_client=client).connect()"""
SHARDED = """\
async with discord.AutoShardedClient(intents=discord.Intents.none()) as sharded:
    await sharded.start(token)"""


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [
        ("openai", "client.realtime.client_secrets.create()", "InternalServerError"),
        ("google-genai", "client.auth_tokens.create()", "ServerError"),
        ("aiogram", "await bot.get_managed_bot_token(1)", "TelegramServerError"),
        ("pyTelegramBotAPI", "bot.get_managed_bot_token(1)", "ApiTelegramException"),
        ("hikari", "await rest.fetch_gateway_bot_info()", "ForbiddenError"),
        ("discord.py", SHARDED, "GatewayNotFound"),
        ("slack_sdk", "client.apps_connections_open(app_token=token)", "SlackApiError"),
        ("slack_sdk", SOCKET_MODE, "SlackApiError"),
    ],
)
def test_what_leads_past_the_gateway(
    running: Running, demo: DemoProcess, bots: Bots, name: str, code: str, kind: str
) -> None:
    ended = asked(bots, running, "plain", name, code)
    assert judged(running, ended, kind) == "not_carried"
    assert len(demo.seen()) == len(running.recorded()) - 1
