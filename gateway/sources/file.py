"""Secrets from files: one file holds one secret, as Docker and Kubernetes mount them."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from gateway.core.errors import SecretUnavailable

MAX_BYTES = 64 * 1024


class File:
    """`file:PATH`, absolute or relative to `directory`. Read anew at every fetch."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    async def fetch(self, name: str) -> bytes:
        """Return what the file holds."""
        return await asyncio.to_thread(_read, self._path(name), name)

    def _path(self, name: str) -> Path:
        path = Path(name)
        if ".." in path.parts or "\0" in name:
            raise SecretUnavailable("the path of a file secret cannot hold `..` or a NUL")
        if path.is_absolute():
            return path
        if self._directory is None:
            raise SecretUnavailable(f"the path {name} is relative and no secrets_dir is set")
        return self._directory / path


def _read(path: Path, name: str) -> bytes:
    try:
        value = _content(path, name)
    except OSError as exc:
        why = f"the secret file {name} cannot be read: {exc.strerror}"
        raise SecretUnavailable(why) from exc
    if len(value) > MAX_BYTES:
        raise SecretUnavailable(f"the secret file {name} is larger than {MAX_BYTES // 1024} KiB")
    if value.endswith(b"\n"):
        value = value[:-1].removesuffix(b"\r")
    if not value:
        raise SecretUnavailable(f"the secret file {name} is empty")
    return value


def _content(path: Path, name: str) -> bytes:
    # Without O_NONBLOCK, opening a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SecretUnavailable(f"the secret file {name} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
