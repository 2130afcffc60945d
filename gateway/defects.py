"""How a defect of ours is told: what kind of error and where, never with the values at hand."""

from __future__ import annotations

import logging
import traceback
from asyncio import AbstractEventLoop
from typing import Any

_LOG = logging.getLogger("gateway")


def located(error: BaseException) -> str:
    """Return the error's type and its traceback's places; its message might hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places or 'an unknown place'}"


def handle(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what the event loop caught; for `set_exception_handler`."""
    error = context.get("exception")
    _LOG.error("%s: %s", context.get("message"), located(error) if error else "no exception")
