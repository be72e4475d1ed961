"""Find a process again, also when its number was given to another one since."""

from __future__ import annotations

import psutil

CLOCK_SECONDS = 2  # Linux counts start times from a boot time that moves when the clock is set


def find_process(pid: int, created: float) -> psutil.Process | None:
    """Return the running process with this number and start time (seconds since the epoch), or None."""
    try:
        process = psutil.Process(pid) if pid else None
        same = process is not None and abs(process.create_time() - created) < CLOCK_SECONDS
    except (psutil.Error, ValueError):
        return None
    return process if same and process is not None and is_running(process) else None


def is_running(process: psutil.Process) -> bool:
    """Return whether the process still holds sockets or files.

    A zombie does not, unless only its first thread has ended: the others hold them a moment longer.
    """
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.Error:
        return False
