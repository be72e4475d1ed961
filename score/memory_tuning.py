"""Process-wide settings of the garbage collector."""

from __future__ import annotations

import gc

GC_THRESHOLD = 50_000  # objects between two collections: Python's own 700 are those of a few requests in flight


def freeze_gc() -> None:
    """Freeze the objects loaded so far (``gc.freeze``) and raise the collection threshold."""
    gc.collect()
    gc.set_threshold(GC_THRESHOLD)
    gc.freeze()
