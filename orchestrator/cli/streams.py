"""Standard streams that never end a run, also where the output is closed, full or hung up.

Without this, a descriptor that was closed (``>&-``) is given to the next file that is opened, such as a database, and
what is printed lands in it.
"""

from __future__ import annotations

import io
import os
import select
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from orchestrator.errors import one_line
from orchestrator.invocation import wants_traceback


class LossyOutput(io.RawIOBase):
    """A file descriptor to write to; once a write fails, the rest is dropped, and ``notice`` gets the reason once."""

    def __init__(self, descriptor: int, notice: TextIO | None = None) -> None:
        self._descriptor, self._notice, self._works = descriptor, notice, True

    def writable(self) -> bool:
        """True: it is an output."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal that still takes output."""
        return self._works and os.isatty(self._descriptor)

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # the stub's Buffer is newer than 3.10
        """Write some bytes, or drop them; return their number."""
        while self._works:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # another program made the terminal non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:  # EPIPE, ENOSPC, EIO of a closed terminal, EBADF
                self._works = False
                if self._notice is not None and not isinstance(error, BrokenPipeError):  # a pipe is closed on purpose
                    self._notice.write(f"standard output: {error.strerror}; what follows is not shown\n")
        return len(data)


def keep_running_without_output() -> None:
    """Replace the standard streams by ones that drop what cannot be written, and ignore the hang-up of the terminal."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, often this one
            if opened == descriptor:
                os.set_inheritable(descriptor, True)
            else:
                os.dup2(opened, descriptor)
                os.close(opened)
    if sys.stderr is sys.__stderr__:  # a program may have replaced them
        sys.stderr = _text(LossyOutput(2), sys.stderr, errors="backslashreplace")
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(LossyOutput(1, sys.stderr), sys.stdout, errors="replace")
    with suppress(AttributeError):  # Windows has no SIGHUP
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Write each distinct warning once, in one line without a place in a library's code; HYDRA_FULL_ERROR=1 shows that."""
    written, before = set[str](), warnings.showwarning

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = one_line(message)
        if text not in written:
            written.add(text)
            sys.stderr.write(f"warning: {text}\n")

    if not wants_traceback():
        warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _text(raw: LossyOutput, before: TextIO | None, errors: str) -> TextIO:
    encoding = getattr(before, "encoding", None) or "utf-8"
    if before is not None:
        with suppress(OSError):
            before.flush()
    buffered: Any = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding, errors, line_buffering=True)
