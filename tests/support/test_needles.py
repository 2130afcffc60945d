"""The search for leaked secrets finds them, or no test that relies on it means anything."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from tests.support.needles import traces

SECRET = "canary/8Qw+z7=Lr-2Vt"


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("after", ["", "z"])
def test_base64_at_every_offset(before: str, after: str) -> None:
    pair = (before + SECRET + after).encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert traces(b"Basic " + encode(pair), {"key": SECRET})


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        SECRET.upper(),
        quote(SECRET, safe=""),
        SECRET.encode().hex(),
        SECRET[:12],
        SECRET[8:],
    ],
)
def test_other_forms(text: str) -> None:
    assert traces(f"something {text} else".encode(), {"key": SECRET})


def test_innocent_text() -> None:
    assert traces(b"env:CANARY v1 is at hand", {"key": SECRET}) == []
