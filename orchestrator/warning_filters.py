"""Python's warning filters: one list for all threads of a process, which runs in several of them leave as it was."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class WarningFilters:
    """Counts the runs of a process: the first saves the filters, the last restores them.

    ``warnings.catch_warnings`` alone would let a thread restore what another one had set for its own work.
    """

    def __init__(self) -> None:
        self._lock, self._runs = threading.Lock(), 0
        self._saved = warnings.catch_warnings()

    @contextmanager
    def kept(self) -> Iterator[None]:
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
