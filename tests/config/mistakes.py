"""Reads a text as the configuration it would be, and returns what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.providers import known

ENVIRONMENT = {"GOOD": "value"}
ROUTE = "routes: {openai: {secret: env:K}}\n"
"""The smallest file there is; what a case is about follows on line 2."""

Cases = Mapping[str, tuple[str, str]]
"""By what is wrong: the file, and the one message about it from its line on."""


def problems(folder: Path, text: str) -> list[str]:
    """Return what is wrong with `text`, a line each, without the folder."""
    file = folder / "routes.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, ENVIRONMENT)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def message(expected: str) -> str:
    """Return the whole line that a case expects."""
    return f"routes.yaml:{expected.replace('{providers}', ', '.join(known()))}"
