"""Secrets from the process's environment, and from a `.env` file where it has none."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from gateway.core.errors import SecretUnavailable

_log = logging.getLogger(__name__)


class Env:
    """`env:NAME`. The environment goes first; the file is read again when it changes."""

    def __init__(self, environ: Mapping[str, str], env_file: Path | None) -> None:
        self._environ = environ
        self._file = env_file
        self._seen: tuple[int, int, int] | None = None
        self._lines: Mapping[str, str | None] = {}
        self._warned = False

    async def fetch(self, name: str) -> bytes:
        """Return the value of the variable `name`."""
        value = self._environ.get(name)
        if not value and self._file is not None:
            value = (await asyncio.to_thread(self._read, self._file)).get(name)
        if not value:
            raise SecretUnavailable(self._why(name))
        return value.removesuffix("\n").encode("utf-8", "surrogateescape")

    def _why(self, name: str) -> str:
        where = f", and {self._file.name} gives it no value" if self._file else ""
        return f"the environment variable {name} is not set or is empty{where}"

    def _read(self, file: Path) -> Mapping[str, str | None]:
        try:
            status = file.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                self._lines = dotenv_values(file, interpolate=False)
                self._seen = seen
        except OSError as exc:
            raise SecretUnavailable(f"{file.name} cannot be read: {exc.strerror}") from exc
        except UnicodeDecodeError:  # its text holds what it could not decode
            raise SecretUnavailable(f"{file.name} is not UTF-8 text") from None
        self._warn_if_open_to_all(file, status.st_mode)
        return self._lines

    def _warn_if_open_to_all(self, file: Path, mode: int) -> None:
        if mode & stat.S_IROTH and not self._warned:
            self._warned = True
            _log.warning("%s can be read by every user of this machine; chmod 600 it", file)
