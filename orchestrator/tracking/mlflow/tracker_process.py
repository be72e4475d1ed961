"""The child process in which a tracker runs, and the pipeline's end of the socket between them.

The pipeline sends ``(number, method, arguments)``, and the child answers each request with ``(number, whether it succeeded,
result or the error's text)``; progress notes come in between, under the number NOTE.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import orchestrator
from orchestrator.errors import OrchestratorError, TrackingError
from orchestrator.events import Event, Progress, RunFinished, StepNote
from orchestrator.privacy import TELEMETRY_OFF
from orchestrator.tracking.mlflow.retries import NOTE_INTERVAL_SECONDS
from orchestrator.tracking.mlflow.tracker import Mlflow, error_text
from orchestrator.tracking.tracker import Tracker

CALL_SECONDS = 600  # for a child that hangs; a dead one is noticed at once
STARTED, NOTE = 0, -1  # numbers of messages that are no answers
SETTINGS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a request and two lines for every candidate
}


class TrackerProcess:
    """The pipeline's end: the child process and the requests to it."""

    def __init__(self, tracker: Mlflow, log: Path, note: Callable[[str], None]) -> None:
        self.log, self.note, self.number, self.failure, self.pid = log, note, 0, "", 0
        self.registry_name = tracker.registry_name
        root = str(Path(orchestrator.__file__).parents[1])
        log.parent.mkdir(parents=True, exist_ok=True)
        self.connection, child_end = Pipe()
        with child_end, log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(child_end.fileno())],
                pass_fds=[child_end.fileno()],
                env={**TELEMETRY_OFF, **os.environ, **SETTINGS},
                cwd=root,  # `-m` puts it first on sys.path, so that no module of the user shadows this package
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C reaches the pipeline only, which sends the outcome
            )
        self.connection.send(tracker)

    def send(self, method: str, *arguments: Any) -> None:
        """Send a request without waiting for its answer."""
        self.raise_failures()
        self._send(method, arguments)

    def call(self, method: str, *arguments: Any, within: float = CALL_SECONDS) -> Any:
        """Send a request and wait for its answer; raise the first failure of any earlier request instead."""
        self._send(method, arguments)
        began = time.monotonic()
        while (now := time.monotonic()) < began + within:
            if self.connection.poll(min(NOTE_INTERVAL_SECONDS, began + within - now)):
                number, value = self._receive()
                if number == self.number:
                    self._raise_failure()
                    return value
            else:
                self.note(
                    f"still waiting for the tracking store {self.registry_name}, {time.monotonic() - began:.0f} s"
                )
        raise TrackingError(f"tracking did not finish {method} within {within:.0f} s; see {self.log}")

    def raise_failures(self) -> None:
        """Raise a failure that was answered in the meantime."""
        while self.connection.poll():
            self._receive()
        self._raise_failure()

    def end(self) -> None:
        """Wait for the child to close the connection after the last answer, or kill it."""
        with self.connection:
            try:
                while self.connection.poll(5):
                    self._receive()
                if self.pid:
                    os.kill(self.pid, signal.SIGKILL)
            except (TrackingError, ProcessLookupError):  # it has ended
                pass
        self.process.wait()

    def kill(self) -> None:
        """End the process at once."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.connection.close()
        self.process.wait()

    def _send(self, method: str, arguments: tuple[Any, ...]) -> None:
        self.number += 1
        try:
            self.connection.send((self.number, method, arguments))
        except OSError as error:
            raise TrackingError(self._death_message()) from error

    def _receive(self) -> tuple[int, Any]:
        try:
            number, ok, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise TrackingError(self._death_message()) from error
        if number == STARTED:
            self.pid = value
        elif number == NOTE:
            self.note(value)
        if not ok:
            self.failure = self.failure or value
        return number, value

    def _raise_failure(self) -> None:
        failure, self.failure = self.failure, ""
        if failure:
            raise TrackingError(failure)

    def _death_message(self) -> str:
        return f"the tracking process ended before its work was done; see {self.log}"


def main(handle: int) -> None:
    """Run the child's end: serve requests in order; if the pipeline dies, end its run as FAILED."""
    if os.fork():  # detach: a parallel launcher that is interrupted kills all children of its workers
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(handle)
    connection.send((STARTED, True, os.getpid()))
    tracker: Mlflow = connection.recv()

    def pass_on(event: Event) -> None:
        if isinstance(event, StepNote):
            _reply(connection, NOTE, True, event.text)

    tracker.report_to(Progress(pass_on))
    requests: SimpleQueue[tuple[int, str, tuple[Any, ...]] | None] = SimpleQueue()
    Thread(target=_receive_requests, args=(connection, requests), daemon=True).start()
    finished = False
    while not finished:
        request = requests.get()
        if request is None:
            tracker(RunFinished(0.0, OrchestratorError("the orchestrator was killed")))
            break
        number, method, arguments = request
        finished = bool(arguments) and isinstance(arguments[0], RunFinished)
        _reply(connection, number, *_execute(tracker, method, arguments))


def _receive_requests(connection: Connection[Any, Any], requests: SimpleQueue[Any]) -> None:
    """Queue messages as they arrive, so that the pipeline never waits for mlflow when it sends."""
    try:
        while True:
            requests.put(connection.recv())
    except (EOFError, OSError):
        requests.put(None)


def _execute(tracker: Tracker, method: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return True, getattr(tracker, method)(*arguments)
    except TrackingError as error:
        return False, str(error)
    except Exception as error:  # noqa: BLE001 -- reported by the pipeline; the traceback is in the log
        traceback.print_exc()
        return False, f"tracking failed with {error_text(error)}"


def _reply(connection: Connection[Any, Any], number: int, ok: bool, value: Any) -> None:
    try:
        connection.send((number, ok, value))
    except OSError:  # the pipeline is gone; _receive_requests notices it too
        return


if __name__ == "__main__":
    main(int(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to write, and shutting mlflow down takes 0.2 s
