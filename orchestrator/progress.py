"""Notes while something takes long: what is being done, and how long already, so that there is no long silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SILENCE_SECONDS = 8.0
SHOWN_CHARACTERS = 100  # of a line that says how far something is


class Heartbeat:
    """What is being done now, and the last that was heard of it."""

    def __init__(self, note: Callable[[str], None], doing: str) -> None:
        self._note = note
        self._doing = doing
        self._heard = ""
        self._begun = self._told = time.monotonic()

    def __call__(self, doing: str) -> None:
        """Tell what is done from now on."""
        self.quietly(doing)
        self._note(doing)

    def quietly(self, doing: str) -> None:
        """This is done from now on, as people hear only if it takes a while."""
        self._doing, self._heard = doing, ""
        self._begun = self._told = time.monotonic()

    def hear(self, line: str) -> None:
        """A line that says how far it is; told if it is the last one when it is time to tell something."""
        self._heard = line.strip()[:SHOWN_CHARACTERS] or self._heard

    def remind(self) -> None:
        """Tell that it is still going on, if nothing was told for a while."""
        now = time.monotonic()
        if now - self._told >= SILENCE_SECONDS:
            self._told = now
            self._note(f"{now - self._begun:.0f} s: {self._heard or self._doing}")


@contextmanager
def heartbeat(note: Callable[[str], None], doing: str) -> Iterator[Heartbeat]:
    """As long as the block lasts, ``note`` hears at least every few seconds what is going on; ``doing`` at first."""
    told = Heartbeat(note, doing)
    done = threading.Event()

    def remind() -> None:
        while not done.wait(0.2):
            told.remind()

    thread = threading.Thread(target=remind, name="waiting", daemon=True)
    thread.start()
    try:
        yield told
    finally:
        done.set()
        thread.join()
