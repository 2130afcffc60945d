"""How memory is given back: settings that a stream of 256 KiB reads needs, set once at start."""

from __future__ import annotations

import ctypes
import gc
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h


def tune() -> None:
    """Keep glibc from mapping and unmapping each read buffer, and freeze what start-up made.

    Each read makes a fresh bytes object; with the defaults, large ones cost an mmap, a page
    fault per page and a munmap, which halves the speed of uploads and downloads (measured in
    docs/performance.md). A no-op where there is no glibc.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(_MMAP_THRESHOLD, 64 << 20)
            libc.mallopt(_TRIM_THRESHOLD, 64 << 20)
            libc.mallopt(_TOP_PAD, 4 << 20)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
