"""Heartbeat: while something takes long, report every few seconds what is being done and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SILENCE_SECONDS = 8.0
SHOWN_CHARACTERS = 100  # of the last output line


class Heartbeat:
    """Knows the current activity and its last output line, and repeats them after a silence."""

    def __init__(self, note: Callable[[str], None], doing: str) -> None:
        self._note = note
        self._doing = doing
        self._last_line = ""
        self._begun = self._reported = time.monotonic()

    def __call__(self, doing: str) -> None:
        """Start another activity and report it."""
        self.quietly(doing)
        self._note(doing)

    def quietly(self, doing: str) -> None:
        """Start another activity, which is reported only if it takes a while."""
        self._doing, self._last_line = doing, ""
        self._begun = self._reported = time.monotonic()

    def hear(self, line: str) -> None:
        """Take a line of output; the last one is what the next heartbeat reports."""
        self._last_line = line.strip()[:SHOWN_CHARACTERS] or self._last_line

    def remind(self) -> None:
        """Report that the activity goes on, if nothing was reported for a while."""
        now = time.monotonic()
        if now - self._reported >= SILENCE_SECONDS:
            self._reported = now
            self._note(f"{now - self._begun:.0f} s: {self._last_line or self._doing}")


@contextmanager
def heartbeat(note: Callable[[str], None], doing: str) -> Iterator[Heartbeat]:
    """Report ``doing`` and then a heartbeat to ``note`` for as long as the block lasts."""
    beat = Heartbeat(note, doing)
    done = threading.Event()

    def remind() -> None:
        while not done.wait(0.2):
            beat.remind()

    thread = threading.Thread(target=remind, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        done.set()
        thread.join()
