"""Write what the side-by-side bench runs the gateway with: bench_config DIRECTORY PORT [OPTIONS].

Tokens lie in the store, of at least twenty bots; the one that the harness shows is among them.
With `--rules` every kind of rule and limit is on for it; none of them ever refuses.
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from pathlib import Path

from gateway.core.tokens import digest
from gateway.stores.embedded import Embedded

_LEAST_BOTS = 20
_SHOWN = 7
_HEAD = """\
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
state: state
audit: audit.log
log: warning
"""
_ROUTE = """\
  openai:
    prefix: /
    upstream: http://127.0.0.1:9000
    private: true
    secret: env:UPSTREAM_KEY
"""
_EVERYBODY = """\
addresses: [10.0.0.0/8, 127.0.0.0/8, "fd00::/8"]
limits: [{requests: 90000, per: second, burst: 90000}, {concurrency: 5000}]
labels:
  all: {limits: [{requests: 30000, per: second}, {concurrency: 4000}]}
"""
_ROUTE_LIMITS = """\
    limits: [{requests: 90000, per: second, burst: 90000}, {concurrency: 3000}]
"""
_GROUP = """\
groups:
  ruled:
    addresses: [10.1.0.0/16, 127.0.0.1]
    limits: [{requests: 30000, per: second}, {concurrency: 1000}]
    allow:
      - route: openai
        presets: [inference]
        methods: [POST]
        paths: [/v1/chat/*]
        models: [gpt-5-mini, gpt-4o-mini, text-embedding-*]
"""
_ELSEWHERE = "    allow:\n"


def configuration(options: argparse.Namespace) -> str:
    """Return the configuration file."""
    text = _HEAD.format(port=options.port, admin=options.port + 1)
    bot = "{groups: [ruled], labels: [all]}" if options.rules else "{allow: [openai]}"
    bots = "".join(f"  team{n}: {bot}\n" for n in range(max(options.bots, _LEAST_BOTS)))
    elsewhere = "".join(
        f"      - {{route: openai, methods: [GET], paths: [/v1/files/{n}/*]}}\n"
        for n in range(options.elsewhere)
    )
    if elsewhere:
        bots += f"  elsewhere:\n{_ELSEWHERE}{elsewhere}"
    if options.rules:
        return f"{text}{_EVERYBODY}{_GROUP}routes:\n{_ROUTE}{_ROUTE_LIMITS}bots:\n{bots}"
    return f"{text}routes:\n{_ROUTE}bots:\n{bots}"


def main() -> None:
    """Fill a directory with a configuration and a store."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--bots", type=int, default=_LEAST_BOTS)
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--elsewhere", type=int, default=0, help="rules of another bot")
    options = parser.parse_args()
    directory = options.directory
    directory.mkdir(parents=True, mode=0o700)
    (directory / "routes.yaml").write_text(configuration(options))
    state = directory / "state"
    Embedded(state).list_tokens()  # makes the file
    bots = max(options.bots, _LEAST_BOTS)
    rows = [
        (f"tok_{n:012x}", digest(b"tok-internal-%04d-abcdefghijklmnop" % n), f"team{n % bots}")
        for n in range(_SHOWN, _SHOWN + options.tokens)
    ]
    with sqlite3.connect(state / "store.sqlite") as connection:
        connection.executemany(
            "INSERT INTO tokens (id, digest, bot, created) VALUES (?, ?, ?, ?)",
            [(*row, time.time()) for row in rows],
        )


if __name__ == "__main__":
    main()
