"""Where uploads are kept: temporary files, of which the oldest gives way to the newest."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

MOST_FILES = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """One upload."""

    name: str
    filename: str
    content_type: str
    size: int
    sha256: str
    path: Path


class Shelf:
    """Uploads by name, on disk, so that memory stays bounded whatever their size."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="gateway-demo-")
        self._numbers = itertools.count(1)
        self._files: OrderedDict[str, Stored] = OrderedDict()

    def close(self) -> None:
        self._directory.cleanup()

    def find(self, name: str) -> Stored | None:
        return self._files.get(name)

    async def keep(self, filename: str, content_type: str, chunks: AsyncIterator[bytes]) -> Stored:
        """Write an upload as it arrives."""
        name = f"file-demo-{next(self._numbers)}"
        path = Path(self._directory.name, name)
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as file:  # noqa: ASYNC230 - local and small writes
            async for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        stored = Stored(name, filename, content_type, size, digest.hexdigest(), path)
        self._put(stored)
        return stored

    def _put(self, stored: Stored) -> None:
        self._files[stored.name] = stored
        while len(self._files) > MOST_FILES:
            _, oldest = self._files.popitem(last=False)
            oldest.path.unlink(missing_ok=True)
