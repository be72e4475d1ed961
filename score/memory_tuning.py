"""Process-wide memory settings: the allocator's thresholds and the garbage collector's."""

from __future__ import annotations

import ctypes
import gc

TRIM_BYTES = 64 * 2**20  # free memory that an arena of the allocator keeps
MMAP_BYTES = 32 * 2**20  # a longer block is returned to the system at once; the C library allows no more
GC_THRESHOLD = 50_000  # objects between two collections: Python's own 700 are those of a few requests in flight
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as its malloc.h numbers them


def tune_malloc() -> None:
    """Let glibc keep the memory of a long request: to return and request it again takes a quarter of the request's time.

    Does nothing under another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, TRIM_BYTES)
        mallopt(_MMAP_THRESHOLD, MMAP_BYTES)


def freeze_gc() -> None:
    """Freeze the objects loaded so far (``gc.freeze``) and raise the collection threshold."""
    gc.collect()
    gc.set_threshold(GC_THRESHOLD)
    gc.freeze()
