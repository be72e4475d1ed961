"""Log rotation for a server whose standard output is a file.

The process that owns the file renames it when it is full and opens a new one; its workers, which share the file, notice
and follow. Until then they write into the renamed one, so only the oldest lines are ever lost. The file descriptors
themselves are redirected, so that tracebacks and the output of libraries are bounded as well.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "SCORE_LOG_FILE"  # the environment variable that names the log file
MAX_BYTES = 64 * 2**20
FORMER = 3  # full files that are kept: <name>.1 is the newest
CHECK_SECONDS = 1


def keep_bounded(*, owner: bool) -> None:
    """Rotate the log from a thread; does nothing where no file is named, as in a container."""
    named = os.environ.get(VARIABLE)
    if named:
        threading.Thread(target=_rotate_forever, args=(Path(named), owner), name="log", daemon=True).start()


def _rotate_forever(log: Path, owner: bool) -> None:
    while True:
        time.sleep(CHECK_SECONDS)
        with suppress(OSError):  # such as a full disk: the server keeps the file that it has
            _rotate_if_full(log, owner=owner)


def _rotate_if_full(log: Path, *, owner: bool) -> None:
    current = os.fstat(1)
    in_place = log.exists() and os.path.samestat(current, log.stat())
    if in_place and owner and current.st_size >= MAX_BYTES:
        for number in range(FORMER, 0, -1):
            with suppress(FileNotFoundError):
                former(log, number - 1).replace(former(log, number))
        in_place = False
    if not in_place:
        new = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for descriptor in (1, 2):
            os.dup2(new, descriptor)
        os.close(new)


def former(log: Path, number: int) -> Path:
    """Return the name of the log that was rotated ``number`` times; 0 is the one being written."""
    return log.with_name(f"{log.name}.{number}") if number else log
