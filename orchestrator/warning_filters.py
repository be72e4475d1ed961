"""Restore Python's warning filters after runs in several threads: the filters are one list for the whole process."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class WarningFilters:
    """Counts the runs of a process: the first saves the filters, the last restores them.

    ``warnings.catch_warnings`` alone would let one thread restore filters in the middle of another thread's run.
    """

    def __init__(self) -> None:
        self._lock, self._runs = threading.Lock(), 0
        self._saved = warnings.catch_warnings()

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Restore the filters at the end, once no other run is under way."""
        with self._lock:
            if self._runs == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
            self._runs += 1
        try:
            yield
        finally:
            with self._lock:
                self._runs -= 1
                if self._runs == 0:
                    self._saved.__exit__(None, None, None)


FILTERS = WarningFilters()
