"""Reads the configuration file into a Snapshot; every problem in it is named with its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.config.build import Builder
from gateway.config.errors import ConfigError, Problem
from gateway.config.schema import schema_json
from gateway.config.yaml import parse
from gateway.core.model import Snapshot

__all__ = ["ConfigError", "Problem", "environment", "load", "schema_json"]


def environment() -> Mapping[str, str]:
    """Return the process's environment; nobody else but the source `env` reads it."""
    return os.environ


def load(path: Path, environ: Mapping[str, str]) -> Snapshot:
    """Return the configuration in `path`. Raises ConfigError with every problem found."""
    document, problems = parse(str(path), _read(path))
    if document.value is None and not problems:
        raise ConfigError([Problem(str(path), 0, 0, "", "the file is empty; `routes` is needed")])
    builder = Builder(document, environ, path.absolute().parent, path.name)
    snapshot = builder.build()
    flagged = {(problem.line, problem.column) for problem in problems}
    # What YAML does not read well is not what was meant: one message for it is enough.
    others = [one for one in builder.problems if (one.line, one.column) not in flagged]
    if problems or others or snapshot is None:
        raise ConfigError([*problems, *others])
    return snapshot


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        message = f"this file cannot be read: {exc.strerror}"
    except UnicodeDecodeError:
        message = "this file is not UTF-8 text"
    raise ConfigError([Problem(str(path), 0, 0, "", message)])
