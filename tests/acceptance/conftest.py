"""What the acceptance tests share: one gateway with a bot for each SDK."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from telebot import apihelper

from tests.support.running import Running
from tests.support.sdk import Bots

BOTS = {
    "openai-bot": ["openai"],
    "anthropic-bot": ["anthropic"],
    "old-anthropic-bot": ["anthropic"],
    "ptb-bot": ["telegram"],
    "telebot-bot": ["telegram"],
    "aiogram-bot": ["telegram"],
    "echo-bot": ["echo"],
    "idle-bot": [],
}


@pytest.fixture(scope="session")
def shared(launcher: Callable[..., Running]) -> Running:
    """A gateway to all of the demo's providers that many tests share."""
    return launcher(bots=BOTS, shapes=("plain", "telegram"))


@pytest.fixture
def house(shared: Running) -> Running:
    """The shared gateway, whose record begins with this test."""
    shared.since = time.time()
    return shared


@pytest.fixture(scope="session")
def bots() -> Iterator[Bots]:
    """Processes of their own that run bots of every SDK."""
    bots = Bots()
    yield bots
    bots.stop()


@pytest.fixture
def telebot_global(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what the pasted lines set for the whole process, and close what it keeps open."""
    monkeypatch.setattr(apihelper, "API_URL", None)
    monkeypatch.setattr(apihelper, "FILE_URL", None)
    yield
    apihelper._get_req_session().close()  # type: ignore[no-untyped-call]
