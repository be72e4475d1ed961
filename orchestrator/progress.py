"""Heartbeat: notes about what takes long, so that there is no long silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SILENCE_SECONDS = 8.0
SHOWN_CHARACTERS = 100  # of a line that says how far something is


class Heartbeat:
    """What is being done, since when, and the latest line about it; ``note`` is called with each text."""

    def __init__(self, note: Callable[[str], None], activity: str) -> None:
        self._note = note
        self.begin(activity)

    def __call__(self, activity: str) -> None:
        """Begin something else, and note it."""
        self.begin(activity)
        self._note(activity)

    def begin(self, activity: str) -> None:
        """Begin something else, which is noted only if it takes long."""
        self._activity, self._latest = activity, ""
        self._begun = self._noted = time.monotonic()

    def update(self, line: str) -> None:
        """Remember a line that says how far it is; the latest one is shown by the next :meth:`beat`."""
        self._latest = line.strip()[:SHOWN_CHARACTERS] or self._latest

    def note(self, line: str) -> None:
        """Note a line at once."""
        self._noted = time.monotonic()
        self._note(line)

    def beat(self) -> None:
        """Note that it still goes on, if nothing was noted for a while."""
        now = time.monotonic()
        if now - self._noted >= SILENCE_SECONDS:
            self.note(f"{now - self._begun:.0f} s: {self._latest or self._activity}")


@contextmanager
def heartbeat(note: Callable[[str], None], activity: str) -> Iterator[Heartbeat]:
    """Run the block with a heartbeat in a thread, which begins with ``activity``."""
    beating = Heartbeat(note, activity)
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.2):
            beating.beat()

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield beating
    finally:
        done.set()
        thread.join()
