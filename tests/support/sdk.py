"""Real SDKs, each built by the row of `gateway.core.sdks` that a bot's author is shown."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from gateway.core.sdks import lines
from tests.support.running import DEADLINE


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
