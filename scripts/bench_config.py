"""Write what the side-by-side bench runs the gateway with: bench_config DIRECTORY TOKENS.

Tokens lie in the store, of twenty bots; the one that the harness shows is among them.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

from gateway.core.tokens import digest
from gateway.stores.embedded import Embedded

_BOTS = 20
_ROUTES = """\
listen: 127.0.0.1:9300
admin: 127.0.0.1:9301
state: state
audit: audit.log
log: warning
routes:
  openai:
    prefix: /
    upstream: http://127.0.0.1:9000
    private: true
    secret: env:UPSTREAM_KEY
bots:
"""


def main(directory: Path, tokens: int) -> None:
    """Fill `directory` with a configuration and a store of `tokens` tokens."""
    directory.mkdir(parents=True, mode=0o700)
    bots = "".join(f"  team{n}: {{allow: [openai]}}\n" for n in range(_BOTS))
    (directory / "routes.yaml").write_text(_ROUTES + bots)
    state = directory / "state"
    Embedded(state).list_tokens()  # makes the file
    shown = 7
    rows = [
        (f"tok_{n:012x}", digest(b"tok-internal-%04d-abcdefghijklmnop" % n), f"team{n % _BOTS}")
        for n in range(shown, shown + tokens)
    ]
    with sqlite3.connect(state / "store.sqlite") as connection:
        connection.executemany(
            "INSERT INTO tokens (id, digest, bot, created) VALUES (?, ?, ?, ?)",
            [(*row, time.time()) for row in rows],
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
