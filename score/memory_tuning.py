"""Memory: how much of it is kept for the next request, and how seldom it is searched for garbage."""

from __future__ import annotations

import ctypes
import gc

KEPT = 64 * 2**20  # bytes that an arena of the allocator, of which threads have some, may keep free
AT_ONCE = 32 * 2**20  # a longer piece is given back at once; the C library takes no more
GARBAGE = 50_000  # objects between two collections: Python's own 700 are those of a few requests, which are still there
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as its malloc.h numbers them


def keep() -> None:
    """Keep what a long request took: to give it back and take it again costs a quarter of its time.

    There is nothing to ask for it in another C library than GNU's.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, KEPT)
        mallopt(_MMAP_THRESHOLD, AT_ONCE)


def settle() -> None:
    """Look at what is loaded by now no more, as it stays, and at the rest seldom."""
    gc.collect()
    gc.set_threshold(GARBAGE)
    gc.freeze()
