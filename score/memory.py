"""Memory that a long request took is kept for the next one: to give it back and take it again costs a quarter of its time."""

from __future__ import annotations

import ctypes

KEPT = 64 * 2**20  # bytes that an arena of the allocator, of which threads have some, may keep free
AT_ONCE = 32 * 2**20  # a longer piece is given back at once; the C library takes no more
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as its malloc.h numbers them


def keep() -> None:
    """Ask the C library to; there is nothing to ask in another one than GNU's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, KEPT)
        mallopt(_MMAP_THRESHOLD, AT_ONCE)
