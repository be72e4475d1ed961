"""Waiting for Azure with people looking on: what the SDK prints becomes notes, and there is no long silence."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from orchestrator.azure.sdk import translate_sdk_errors
from orchestrator.errors import DeployError, OrchestratorError

SILENCE_SECONDS = 8.0
PAUSE_SECONDS = 0.1
# the SDK's advertisements, and a time of day before each line of the build log
NOISE = re.compile(r"Tips:|To leverage|please refer|For more information|To disable|https://")
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ")
T = TypeVar("T")


def run_with_progress(
    work: Callable[[Callable[[str], None]], T],
    at: str,
    note: Callable[[str], None],
    error: type[OrchestratorError] = DeployError,
) -> T:
    """Do the work in a thread, in :func:`translate_sdk_errors`, and tell meanwhile what the SDK prints, or how long it has been.

    The work takes a function that tells a line of its own.

    Raises:
        OrchestratorError: what the work failed with, as ``error`` if it is Azure's.
    """
    said: SimpleQueue[str | None] = SimpleQueue()  # None: that was all
    done: dict[str, Any] = {}

    def run() -> None:
        try:
            with translate_sdk_errors(error, at, said.put):
                done["value"] = work(lambda line: said.put(f"{line}\n"))
        except BaseException as raised:  # noqa: BLE001 - raised where somebody waits for it
            done["error"] = raised
        finally:
            said.put(None)

    begun = told = time.monotonic()
    threading.Thread(target=run, daemon=True).start()  # Ctrl-C does not wait for Azure
    text = ""
    while (piece := _next(said)) is not None:
        text += piece
        ended = text.rfind("\n") + 1 if piece else len(text)  # a pause ends a line, too
        lines, text = spoken(text[:ended]), text[ended:]
        if not lines and time.monotonic() - told > SILENCE_SECONDS:
            lines = [f"still waiting for Azure, {time.monotonic() - begun:.0f} s"]
        for line in lines:
            note(line)
            told = time.monotonic()
    for line in spoken(text):
        note(line)
    if "error" in done:
        raise done["error"]
    value: T = done["value"]
    return value


def _next(said: SimpleQueue[str | None]) -> str | None:
    """What is said next; nothing after a pause, None at the end."""
    try:
        return said.get(timeout=PAUSE_SECONDS)
    except Empty:
        return ""


def spoken(text: str) -> list[str]:
    """The lines of what the SDK printed that tell something: no dots, stamps or advertisements."""
    lines = (STAMP.sub("", line.strip()).rstrip(".").strip() for line in text.splitlines())
    return [line for line in lines if line and not NOISE.match(line)]
