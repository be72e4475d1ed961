"""Other processes: find one again, also when its number was given to another since; take turns with them by a file lock."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from orchestrator.errors import OrchestratorError, one_line

if TYPE_CHECKING:
    from filelock import BaseFileLock

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


@contextmanager
def exclusive(lock: BaseFileLock, error: type[OrchestratorError], busy: str, remedy: str = "") -> Iterator[None]:
    """Hold a lock of a file; others that want it wait, as long as its timeout says.

    Raises:
        OrchestratorError: of the type ``error``, if another process does not release it. ``busy`` says what that one
            does, such as "deploy: another command is changing this service".
    """
    from filelock import Timeout

    try:
        lock.acquire()
    except Timeout:
        text = (
            f"{busy}, for {lock.timeout:g} s now: {find_holder(Path(lock.lock_file))}; wait for it, or end it{remedy}"
        )
        raise error(text) from None
    try:
        yield
    finally:
        lock.release()


def find_holder(file: Path) -> str:
    """Return which other process has this file open, as text for the user; the file where that cannot be seen."""
    file = file.resolve()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # another user's, or it has just ended
            if process.pid != os.getpid() and any(Path(opened.path) == file for opened in process.open_files()):
                program = one_line(shlex.join(process.cmdline()[:2]))  # options may hold a password
                return f"process {process.pid} ({program}) holds {file}"
    return f"it holds {file}"
