"""Runs what bots' authors wrote, piece by piece, in any Python that has their SDK in it.

Each line of standard input is a piece of code as a JSON string, that defines `main`, a coroutine
function. Each line of standard output says how its run ended, in the form of `Ended`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any


def run(code: str) -> dict[str, Any]:
    """Run one piece; return its value as text, or its errors: the one raised, then its causes."""
    names: dict[str, Any] = {"__name__": "bot"}
    began = time.monotonic()
    value, errors = "", []
    try:
        exec(code, names)
        value = str(asyncio.run(names["main"]()))
    except Exception as error:
        errors = [[type(one).__name__, str(one)] for one in _causes(error)]
    return {"value": value, "errors": errors, "seconds": time.monotonic() - began}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


if __name__ == "__main__":
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # an SDK may print
    for piece in sys.stdin:
        answers.write(json.dumps(run(json.loads(piece))) + "\n")
