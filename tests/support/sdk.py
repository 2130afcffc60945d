"""Real SDKs, each built by the row of `gateway.core.sdks` that a bot's author is shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from gateway.core.sdks import lines
from tests.support.running import DEADLINE

SENTENCE = re.compile(r"The gateway refused this: .+? \(code (\w+), exchange ([0-9a-f]{20})\)")
"""What each refusal says; its code and its exchange."""


def change(provider: str, name: str, base: str, token: str) -> str:
    """Return the code that the table tells the author of a Python bot to paste."""
    (found,) = [
        sdk.change
        for sdk in lines(provider, base, token)
        if sdk.name == name and sdk.language == "python"
    ]
    return found


def build(provider: str, name: str, base: str, token: str) -> Any:
    """Return the client or bot that the pasted code makes."""
    names: dict[str, Any] = {}
    exec(change(provider, name, base, token), names)
    return names.get("client") or names["bot"]


def run_apart(variable: str, code: str, *words: str) -> dict[str, Any]:
    """Run `code` with the interpreter that `variable` names; return the JSON it prints last."""
    python = os.environ.get(variable)
    if python is None:
        pytest.skip(f"{variable} is not set: run this by ./dev test")
    done = subprocess.run(
        [python, "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@dataclass(frozen=True, slots=True)
class Kit:
    """An SDK: its provider and row in the table, and the block that a bot's code stands in."""

    provider: str
    row: str
    within: str = ""
    variable: str = ""
    """Names the interpreter that has it; ours where empty."""

    @property
    def shape(self) -> str:
        """Return the shape of the tokens that it takes."""
        return "telegram" if self.provider == "telegram" else "plain"


_AIOGRAM = "from aiogram.types import BufferedInputFile\nasync with bot:"
_DISCORD_PY = "async with client:\n    await client.login(token)"
_HIKARI = """\
await client.start()
async with contextlib.AsyncExitStack() as stack:
    stack.push_async_callback(client.close)
    rest = await stack.enter_async_context(client.acquire(token, "Bot"))"""
KITS: Mapping[str, Kit] = MappingProxyType(
    {
        "openai": Kit("openai", "openai", "with client:"),
        "anthropic": Kit("anthropic", "anthropic", "with client:"),
        "anthropic 0.79": Kit(
            "anthropic", "anthropic", "with client:", "GATEWAY_ANTHROPIC_079_PYTHON"
        ),
        # Without `async with`, which asks for getMe first.
        "python-telegram-bot": Kit("telegram", "python-telegram-bot"),
        "aiogram": Kit("telegram", "aiogram", _AIOGRAM, "GATEWAY_AIOGRAM_PYTHON"),
        "pyTelegramBotAPI": Kit("telegram", "pyTelegramBotAPI"),
        "google-genai": Kit("gemini", "google-genai", "with client:"),
        "discord.py": Kit("discord", "discord.py", _DISCORD_PY),
        "hikari": Kit("discord", "hikari", _HIKARI, "GATEWAY_HIKARI_PYTHON"),
        "slack_sdk": Kit("slack", "slack_sdk"),
    }
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a bot's code ended: what it returned, as text, or the error it raised and its causes."""

    value: str
    errors: list[tuple[str, str]]
    """Type and text of each."""
    seconds: float

    @property
    def kind(self) -> str:
        """Return the type of the error that the bot's author sees, "" where there is none."""
        return self.errors[0][0] if self.errors else ""

    @property
    def text(self) -> str:
        """Return what the errors say, all together."""
        return "\n".join(text for _, text in self.errors)


class Bots:
    """Processes that run bots: one for each interpreter, so that each SDK is imported once."""

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[str]] = {}

    def run(self, name: str, base: str, token: str, code: str, **names: object) -> Ended:
        """Run `code`, which uses the `client` or `bot` of an SDK of `KITS`, to its end."""
        self.begin(name, base, token, code, **names)
        return self.end(name)

    def begin(self, name: str, base: str, token: str, code: str, **names: object) -> None:
        """Have `code` run with the table's lines before it, and `names` set; do not wait.

        Its process must have ended what it began before.
        """
        kit = KITS[name]
        names |= {"token": token, "base": base}
        known = [f"{key} = {value!r}\n" for key, value in names.items()]
        pasted = change(kit.provider, kit.row, base, token)
        inner = f"{kit.within}\n{textwrap.indent(code, '    ')}" if kit.within else code
        main = f"async def main():\n{textwrap.indent(inner, '    ')}\n"
        pipe = self._child(kit).stdin
        assert pipe is not None
        pipe.write(
            json.dumps(f"import asyncio, contextlib, io\n{''.join(known)}{pasted}\n{main}") + "\n"
        )
        pipe.flush()

    def end(self, name: str) -> Ended:
        """Wait for what was begun."""
        pipe = self._child(KITS[name]).stdout
        assert pipe is not None
        found = json.loads(pipe.readline())
        errors = [(kind, text) for kind, text in found["errors"]]
        return Ended(found["value"], errors, found["seconds"])

    def stop(self) -> None:
        """End the processes."""
        for child in self._children.values():
            child.kill()
            child.communicate()

    def _child(self, kit: Kit) -> subprocess.Popen[str]:
        python = os.environ.get(kit.variable) if kit.variable else sys.executable
        if python is None:
            pytest.skip(f"{kit.variable} is not set: run this by ./dev test")
        if python not in self._children:
            self._children[python] = subprocess.Popen(
                [python, str(Path(__file__).with_name("botside.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._children[python]
