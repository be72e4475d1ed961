"""The memory that a training takes, estimated from the size of its table, and the memory that there is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

BASE = 400e6  # bytes of a process with its libraries
WORKER = 250e6  # of a worker process
NUMBER = 8  # bytes of a number
_CGROUP = Path("/sys/fs/cgroup")


def training_bytes(rows: int, row_bytes: float, encoded: int, folds: int, processes: int = 1) -> float:
    """Return about how many bytes the search holds at once, besides the fitted models.

    The table and its two parts are held all the time. Each process that fits holds the rows of a fold and, for a moment,
    what two steps of the preprocessing make of them; a worker process also gets the training rows.

    Args:
        rows: The rows of the table, of which a fifth is assumed to be held out.
        row_bytes: The size of a row in a data frame.
        encoded: The number of columns behind the preprocessing, all of them numbers.
        folds: The number of folds.
        processes: How many processes fit at once; 1 is this one.
    """
    table, training = rows * row_bytes, 0.8 * rows
    fold = training * (1 - 1 / max(2, folds))
    fitting = training * row_bytes + 2.5 * fold * encoded * NUMBER
    workers = 0.0 if processes == 1 else processes * (WORKER + training * row_bytes + fitting)
    return BASE + 2 * table + (workers or fitting)


def reading_bytes(rows: int, row_bytes: float, more: float) -> float:
    """Return about how many bytes reading a table holds, with ``more`` bytes a row besides the frame."""
    return BASE + rows * (row_bytes + more)


def available_bytes() -> float:
    """Return how many bytes this process may still take: of the machine, or of its container if that is less."""
    import psutil

    there = float(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or no limit ("max")
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        there = min(there, float(limit - used + int(stat.get("inactive_file", 0))))
    return there
