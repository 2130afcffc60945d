"""What an exchange leaves behind: at the provider, and in the record."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from gateway.demo.process import DemoProcess
from gateway.demo.sighting import Sighting
from tests.support.running import Running

FIELDS = {
    "exchange", "time", "bot", "token", "address", "found", "method", "route", "rule", "path",
    "subject", "secret", "status", "outcome", "code", "observed", "request_id", "bytes_in",
    "bytes_out", "first_byte", "seconds", "attempts",
}  # fmt: skip


def core(token: str) -> str:
    """Return the part of a token that is secret, in no need of escaping anywhere."""
    return token.partition("gwt")[2].lstrip("_-.")


def assert_swapped(demo: DemoProcess, token: str, count: int) -> list[Sighting]:
    """Assert that the provider saw `count` requests, each with its own key and nothing of ours."""
    seen = demo.seen()
    assert len(seen) == count, [(s.method, s.raw_path) for s in seen]
    for one in seen:
        assert one.key_ok, one
        assert len(one.credentials) == 1, one.credentials
        for text in (token, quote(token, safe=""), core(token)):
            assert not one.holds(text), one.raw_path
        assert not [name for name, _ in one.headers if name.lower().startswith("x-gateway")]
    return seen


def assert_recorded(
    running: Running, seen: list[Sighting], bot: str, shape: str, **wanted: object
) -> list[dict[str, Any]]:
    """Assert one line for each request that the provider saw, and that it says all it must."""
    records = running.records(len(seen), bot=bot)[-len(seen) :]
    assert len({record["exchange"] for record in records}) == len(seen)
    token, identity = running.token(bot, shape), running.ids[bot, shape]
    config = running.config.name
    for record, one in zip(records, seen, strict=True):
        assert set(record) == FIELDS
        assert record["token"] == identity
        assert record["address"] == "127.0.0.1"
        assert record["rule"].startswith(config), record["rule"]
        assert record["secret"] == f"env:{record['route'].upper()}_KEY v1"
        assert (record["outcome"], record["code"], record["attempts"]) == ("answered", "", 1)
        assert (record["method"], record["status"]) == (one.method, one.status)
        assert record["bytes_in"] == one.body_bytes
        assert record["bytes_out"] > 0
        assert abs(record["time"] - time.time()) < 60
        assert 0 < record["first_byte"] <= record["seconds"] < 60
        assert core(token) not in str(record)
        assert wanted.items() <= record.items(), record
    return records
