"""Waiting for Azure with people looking on: what the SDK prints becomes notes, and there is no long silence."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from orchestrator.azure.talk import talking
from orchestrator.errors import DeployError

SILENCE_SECONDS = 8.0
# the SDK's advertisements, and a time of day before each line of the build log
NOISE = re.compile(r"Tips:|To leverage|please refer|For more information|To disable|https://")
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ")
T = TypeVar("T")


def attended(work: Callable[[Callable[[str], None]], T], at: str, note: Callable[[str], None]) -> T:
    """Do the work in a thread, in :func:`talking`, and tell meanwhile what the SDK prints, or how long it has been.

    The work takes a function that tells a line of its own.

    Raises:
        DeployError: what the work failed with.
    """
    said: SimpleQueue[str] = SimpleQueue()
    done: dict[str, Any] = {}

    def run() -> None:
        try:
            with talking(DeployError, at, said.put):
                done["value"] = work(lambda line: said.put(f"{line}\n"))
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
            done["error"] = error

    thread = threading.Thread(target=run, daemon=True)  # Ctrl-C does not wait for Azure
    begun = told = time.monotonic()
    thread.start()
    text = ""
    while thread.is_alive() or not said.empty():
        try:
            text += said.get(timeout=0.1)
        except Empty:
            lines, text = spoken(text), ""
            now = time.monotonic()
            if not lines and now - told > SILENCE_SECONDS:
                lines = [f"still waiting for Azure, {now - begun:.0f} s"]
            for line in lines:
                note(line)
                told = now
    for line in spoken(text):
        note(line)
    if "error" in done:
        raise done["error"]
    value: T = done["value"]
    return value


def spoken(text: str) -> list[str]:
    """The lines of what the SDK printed that tell something: no dots, stamps or advertisements."""
    lines = (STAMP.sub("", line.strip()).rstrip(".").strip() for line in text.splitlines())
    return [line for line in lines if line and not NOISE.match(line)]
