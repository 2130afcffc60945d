"""What a bot sees when the gateway says no: its own SDK's typed error, with our sentence in it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from telebot import apihelper

from gateway.demo.process import DemoProcess
from tests.support import sdk
from tests.support.raw import connected, request
from tests.support.running import ENVIRONMENT, HEAD, ROUTES, Running, eventually

ROUTES_WITHOUT_KEYS = "".join(
    f'  {name}-poor: {{provider: {name}, secret: "env:NOT_THERE", upstream: "{{demo}}"}}\n'
    for name in ("openai", "anthropic", "telegram")
).replace('"{demo}"', '"{demo}", private: true')
EVERY = ["openai", "anthropic", "telegram"]
SENTENCE = re.compile(r"The gateway refused this: .+ \(code (\w+), exchange ([0-9a-f]{20})\)")

CODES = {401: "unknown_token", 403: "route_not_allowed", 429: None, 503: "secret_unavailable"}
ERRORS = {
    "openai": {
        401: "AuthenticationError",
        403: "PermissionDeniedError",
        429: "RateLimitError",
        503: "InternalServerError",
    },
    "anthropic": {
        401: "AuthenticationError",
        403: "PermissionDeniedError",
        429: "RateLimitError",
        503: "ServiceUnavailableError",
    },
    "python-telegram-bot": {
        401: "InvalidToken",
        403: "Forbidden",
        429: "NetworkError",
        503: "NetworkError",
    },
    "pyTelegramBotAPI": dict.fromkeys(CODES, "ApiTelegramException"),
    "aiogram": {
        401: "TelegramUnauthorizedError",
        403: "TelegramForbiddenError",
        429: "TelegramAPIError",
        503: "TelegramServerError",
    },
}
ERRORS["anthropic 0.79"] = {**ERRORS["anthropic"], 503: "InternalServerError"}
PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "anthropic 0.79": "anthropic"}


@pytest.fixture(scope="module")
def strict(launcher: Callable[..., Running]) -> Running:
    """A gateway that lets a bot have one exchange at a time, and lacks some keys."""
    bots = {"busy": EVERY, "idle": [], "poor": [f"{name}-poor" for name in EVERY]}
    return launcher(
        ROUTES + ROUTES_WITHOUT_KEYS,
        bots=bots,
        head=HEAD,
        more="connections: {per_bot: 1}\n",
        environ=ENVIRONMENT,
        shapes=("plain", "telegram"),
    )


@pytest.fixture
def refusing(strict: Running) -> Running:
    strict.since = time.time()
    return strict


@pytest.fixture
def occupied(refusing: Running, demo: DemoProcess) -> Iterator[None]:
    """The bot called busy has a request under way for as long as the test runs."""
    body = b'{"model": "demo-slow-30", "messages": [{"role": "user", "content": "x"}]}'
    head = f"""
        POST /openai/v1/chat/completions HTTP/1.1
        Host: gateway
        Content-Type: application/json
        Authorization: Bearer {refusing.token("busy")}
    """
    with connected(refusing.port) as sock:
        sock.sendall(request(head, body))
        eventually(demo.seen, "slow request")
        yield


def use(running: Running, name: str, status: int) -> tuple[str, str, str]:
    """Return provider, base URL and token with which a request is refused with `status`."""
    provider = PROVIDERS.get(name, "telegram")
    shape = "telegram" if provider == "telegram" else "plain"
    route = f"{provider}-poor" if status == 503 else provider
    bot = {401: "busy", 403: "idle", 429: "busy", 503: "poor"}[status]
    token = running.token(bot, shape)
    if status == 401:
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    return provider, running.base(route), token


def judge(running: Running, name: str, status: int, kind: str, text: str) -> None:
    """Assert the type and the text of an error, and how often its SDK asked."""
    assert kind == ERRORS[name][status], text
    found = SENTENCE.search(text)
    assert found is not None, text
    record = running.record(exchange=found[2])
    assert (record["code"], record["outcome"]) == (found[1], "refused")
    assert record["status"] == status
    assert found[1] == (CODES[status] or found[1])
    asked = running.records(1, code=found[1])
    assert len(asked) <= (3 if status in (429, 503) else 1), "retried in vain"


@pytest.mark.parametrize("status", [401, 403, 503])
@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_rest_sdks(refusing: Running, demo: DemoProcess, name: str, status: int) -> None:
    raised = _raised_by_client(refusing, name, status)
    judge(refusing, name, status, type(raised).__name__, str(raised))
    assert demo.seen() == []


@pytest.mark.usefixtures("occupied")
@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_rest_sdks_when_the_bot_has_too_much_under_way(refusing: Running, name: str) -> None:
    raised = _raised_by_client(refusing, name, 429)
    judge(refusing, name, 429, type(raised).__name__, str(raised))


def _raised_by_client(running: Running, name: str, status: int) -> Exception:
    with sdk.build(name, name, *use(running, name, status)[1:]) as client:
        create = client.chat.completions.create if name == "openai" else client.messages.create
        with pytest.raises(Exception) as caught:  # noqa: PT011 its type is what is asserted
            create(model="demo", max_tokens=9, messages=_ASK)
        return caught.value


_ASK = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_python_telegram_bot(refusing: Running, status: int) -> None:
    await _python_telegram_bot(refusing, status)


@pytest.mark.usefixtures("occupied")
async def test_python_telegram_bot_with_too_much_under_way(refusing: Running) -> None:
    await _python_telegram_bot(refusing, 429)


async def _python_telegram_bot(running: Running, status: int) -> None:
    name = "python-telegram-bot"
    bot = sdk.build("telegram", name, *use(running, name, status)[1:])
    await asyncio.gather(*(one.initialize() for one in bot._request))
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011 its type is what is asserted
            await bot.send_message(1, "Hello")
    finally:
        await asyncio.gather(*(one.shutdown() for one in bot._request))
    judge(running, name, status, type(caught.value).__name__, str(caught.value))


@pytest.mark.usefixtures("telebot_global")
@pytest.mark.parametrize("status", [401, 403, 503])
def test_telebot(refusing: Running, status: int) -> None:
    _telebot(refusing, status)


@pytest.mark.usefixtures("telebot_global", "occupied")
def test_telebot_with_too_much_under_way(refusing: Running) -> None:
    _telebot(refusing, 429)


def _telebot(running: Running, status: int) -> None:
    name = "pyTelegramBotAPI"
    bot = sdk.build("telegram", name, *use(running, name, status)[1:])
    with pytest.raises(apihelper.ApiTelegramException) as caught:
        bot.send_message(1, "Hello")
    assert caught.value.error_code == status
    judge(running, name, status, type(caught.value).__name__, str(caught.value))


OLD_ANTHROPIC = """
import json, sys
found = []
for change in sys.argv[1:]:
    exec(change)
    try:
        client.messages.create(
            model="claude-demo", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
        )
    except Exception as error:
        found.append([type(error).__name__, str(error)])
print(json.dumps(found))
"""

AIOGRAM = """
import asyncio, json, sys
found = []

async def main():
    for change in sys.argv[1:]:
        names = {}
        exec(change, names)
        async with names["bot"] as bot:
            try:
                await bot.send_message(1, "Hello")
            except Exception as error:
                found.append([type(error).__name__, str(error)])
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.mark.usefixtures("occupied")
@pytest.mark.parametrize(
    ("name", "row", "variable", "code"),
    [
        ("anthropic 0.79", "anthropic", "GATEWAY_ANTHROPIC_079_PYTHON", OLD_ANTHROPIC),
        ("aiogram", "aiogram", "GATEWAY_AIOGRAM_PYTHON", AIOGRAM),
    ],
    ids=["anthropic 0.79", "aiogram"],
)
def test_sdks_with_an_interpreter_of_their_own(
    refusing: Running, name: str, row: str, variable: str, code: str
) -> None:
    changes = []
    for status in CODES:
        provider, base, token = use(refusing, name, status)
        changes.append(sdk.change(provider, row, base, token))
    found: Any = sdk.run_apart(variable, code, *changes)
    assert len(found) == len(CODES)
    for status, (kind, text) in zip(CODES, found, strict=True):
        judge(refusing, name, status, kind, text)
