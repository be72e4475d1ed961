"""A bound on the log of a server whose standard output is a file, however long it serves.

The process that owns the file renames it when it is full and goes on in a new one; its workers, which share the file, see
that it has gone and follow. What they write until then is in the renamed one, so only the oldest lines are ever lost.
It is the descriptors that move on: tracebacks and what libraries print are bounded as well.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "SCORE_LOG_FILE"  # in the environment: the file that whoever started the server gave it to write to
MAX_BYTES = 64 * 2**20
FORMER = 3  # full ones that are kept: <name>.1 is the newest
LOOK_SECONDS = 1


def keep_bounded(*, owner: bool) -> None:
    """Look after the log from a thread; where no file is named, as in a container, all stays as it is."""
    named = os.environ.get(VARIABLE)
    if named:
        threading.Thread(target=_look_after, args=(Path(named), owner), name="log", daemon=True).start()


def _look_after(log: Path, owner: bool) -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        with suppress(OSError):  # a full disk, say: the server goes on in the file that it has
            _look(log, owner=owner)


def _look(log: Path, *, owner: bool) -> None:
    writing = os.fstat(1)
    here = log.exists() and os.path.samestat(writing, log.stat())
    if here and owner and writing.st_size >= MAX_BYTES:
        for number in range(FORMER, 0, -1):
            with suppress(FileNotFoundError):
                former(log, number - 1).replace(former(log, number))
        here = False
    if not here:
        new = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for descriptor in (1, 2):
            os.dup2(new, descriptor)
        os.close(new)


def former(log: Path, number: int) -> Path:
    """The name of the log that was full so many logs ago; 0 is the one being written."""
    return log.with_name(f"{log.name}.{number}") if number else log
