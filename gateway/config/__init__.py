"""Reads the configuration file into a Snapshot; every problem in it is named with its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.config.build import build
from gateway.config.errors import ConfigError, Problem
from gateway.config.reading import Reading
from gateway.config.schema import schema_json
from gateway.config.yaml import parse
from gateway.core.model import Snapshot

__all__ = ["ConfigError", "Problem", "environment", "load", "read", "schema_json"]

MAX_BYTES = 16 * 1024 * 1024


def environment() -> Mapping[str, str]:
    """Return the process's environment; nobody else but the source `env` reads it."""
    return os.environ


def read(path: Path) -> bytes:
    """Return what stands in `path`, and no more than shows that it is too large for `load`.

    Raises ConfigError where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise _unusable(path, f"this file cannot be read: {exc.strerror}") from exc


def load(path: Path, environ: Mapping[str, str], raw: bytes | None = None) -> Snapshot:
    """Return the configuration in `path`, or in `raw` that was read from there.

    Raises ConfigError with every problem found.
    """
    document, problems = parse(str(path), _text(path, read(path) if raw is None else raw))
    if document.value is None and not problems:
        raise _unusable(path, "the file is empty; `routes` is needed")
    reading = Reading(document, environ, path.absolute().parent, path.name)
    snapshot = build(reading)
    flagged = {(problem.line, problem.column) for problem in problems}
    # What YAML does not read well is not what was meant: one message for it is enough.
    others = [one for one in reading.problems if (one.line, one.column) not in flagged]
    if problems or others or snapshot is None:
        raise ConfigError([*problems, *others])
    return snapshot


def _text(path: Path, raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise _unusable(path, f"this file is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unusable(path, "this file is not UTF-8 text") from None


def _unusable(path: Path, message: str) -> ConfigError:
    return ConfigError([Problem(str(path), 0, 0, "", message)])
