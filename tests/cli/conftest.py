"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import CONFIG


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the current one, with a configuration and its secrets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    (tmp_path / "routes.yaml").write_text(CONFIG)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "telegram").write_text("1:canary\n")
    (tmp_path / "keys" / "telegram").chmod(0o600)
    return tmp_path
