"""Run an SDK call in a thread and forward its output as progress notes, with a heartbeat."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from orchestrator.azure.sdk import translate_sdk_errors
from orchestrator.errors import DeployError, OrchestratorError
from orchestrator.progress import Heartbeat

PAUSE_SECONDS = 0.1
# the SDK's advertisements, and the time stamp before each line of the build log
NOISE = re.compile(r"Tips:|To leverage|please refer|For more information|To disable|https://")
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ")
T = TypeVar("T")


def run_with_progress(
    work: Callable[[Callable[[str], None]], T],
    at: str,
    note: Callable[[str], None],
    error: type[OrchestratorError] = DeployError,
) -> T:
    """Return what ``work`` returns, run in a thread inside :func:`translate_sdk_errors`; note what the SDK prints.

    ``work`` takes a function that notes a line of its own.

    Raises:
        OrchestratorError: what the work failed with, as ``error`` if it is Azure's.
    """
    output: SimpleQueue[str | None] = SimpleQueue()  # None: the end
    done: dict[str, Any] = {}

    def run() -> None:
        try:
            with translate_sdk_errors(error, at, output.put):
                done["value"] = work(lambda line: output.put(f"{line}\n"))
        except BaseException as raised:  # noqa: BLE001 - raised again in the calling thread
            done["error"] = raised
        finally:
            output.put(None)

    heartbeat = Heartbeat(note, "still waiting for Azure")
    threading.Thread(target=run, daemon=True).start()  # Ctrl-C does not wait for Azure
    text = ""
    while (piece := _next(output)) is not None:
        text += piece
        end = text.rfind("\n") + 1 if piece else len(text)  # a pause ends a line, too
        lines, text = clean_sdk_output(text[:end]), text[end:]
        for line in lines:
            heartbeat.note(line)
        heartbeat.beat()
    for line in clean_sdk_output(text):
        note(line)
    if "error" in done:
        raise done["error"]
    value: T = done["value"]
    return value


def _next(output: SimpleQueue[str | None]) -> str | None:
    """Return the next piece of output; empty after a pause, None at the end."""
    try:
        return output.get(timeout=PAUSE_SECONDS)
    except Empty:
        return ""


def clean_sdk_output(text: str) -> list[str]:
    """Return the lines that say something, without dots, time stamps and advertisements."""
    lines = (STAMP.sub("", line.strip()).rstrip(".").strip() for line in text.splitlines())
    return [line for line in lines if line and not NOISE.match(line)]
