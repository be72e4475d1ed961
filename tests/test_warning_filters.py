"""Warning filters of runs in several threads of one process."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable

from orchestrator.warning_filters import WarningFilters


def test_the_last_run_restores_the_filters() -> None:
    filters, before, show = WarningFilters(), list(warnings.filters), warnings.showwarning
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def run(entered: threading.Event, go_on: threading.Event, left: Callable[[], None]) -> None:
        with filters.restored(), warnings.catch_warnings(record=True):
            warnings.simplefilter("ignore")
            entered.set()
            assert go_on.wait(10)
        left()

    threads = [
        threading.Thread(target=run, args=(first_in, second_in, first_out.set)),
        threading.Thread(target=run, args=(second_in, first_out, lambda: None)),
    ]
    threads[0].start()
    assert first_in.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
    assert warnings.showwarning is show


def test_filters_of_a_run_alone_do_not_outlive_it() -> None:
    filters, before = WarningFilters(), list(warnings.filters)
    for _ in range(2):
        with filters.restored():
            warnings.simplefilter("error")
        assert list(warnings.filters) == before
