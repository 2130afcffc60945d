"""The table of SDKs: filled in whole, and its Python is Python."""

from __future__ import annotations

import ast

import pytest

from gateway.core.sdks import SDKS, Sdk, lines
from gateway.providers import known

BASE = "http://127.0.0.1:8080/r"


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: f"{sdk.provider}-{sdk.name}-{sdk.language}")
def test_every_row_names_the_base_and_the_token(sdk: Sdk) -> None:
    assert "{base}" in sdk.change
    assert "{token}" in sdk.change
    assert sdk.provider in known()


@pytest.mark.parametrize("provider", known())
def test_every_provider_has_a_row(provider: str) -> None:
    rows = lines(provider, BASE + "/", "gwt_T")
    assert rows
    for row in rows:
        text = row.change + repr(row.env)
        assert BASE in text
        assert "gwt_T" in text
        assert "{base}" not in text
        assert "{token}" not in text
        assert f"{BASE}//" not in text


@pytest.mark.parametrize("provider", known())
def test_python_rows_make_a_client_or_a_bot(provider: str) -> None:
    for row in lines(provider, BASE, "gwt_T"):
        if row.language == "python":
            last = ast.parse(row.change).body[-1]
            assert isinstance(last, ast.Assign)
            assert ast.unparse(last.targets[0]) in ("client", "bot")


def test_formats_of_the_sdk_itself_stay() -> None:
    (row,) = [row for row in lines("telegram", BASE, "T") if row.name == "pyTelegramBotAPI"]
    assert f'"{BASE}/bot{{0}}/{{1}}"' in row.change


def test_an_unknown_provider_has_no_rows() -> None:
    assert lines("nobody", BASE, "T") == []
