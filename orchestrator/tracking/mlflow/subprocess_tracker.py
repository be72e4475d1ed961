"""SubprocessMlflow: Mlflow in a process of its own, so that importing mlflow and writing runs stand in nobody's way.

Both ends talk over one socket: the pipeline sends ``(number, method, arguments)`` and the process answers each with
``(number, whether it went well, result or the error's text)``; lines for people come between, under the number NOTE.
Events are sent and not waited for.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, cast

import orchestrator
from orchestrator.artifacts import ModelVersion, Package, Proof, Registry, Report
from orchestrator.errors import OrchestratorError, TrackingError
from orchestrator.events import Event, Progress, RunFinished, RunStarted, StepFinished, StepNote
from orchestrator.privacy import TELEMETRY_OFF
from orchestrator.tracking.mlflow.retries import SILENCE_SECONDS
from orchestrator.tracking.mlflow.runs import plain
from orchestrator.tracking.mlflow.store import LOCK_SECONDS
from orchestrator.tracking.mlflow.store_checks import connect
from orchestrator.tracking.mlflow.tracker import Mlflow, told, trains
from orchestrator.tracking.mlflow.uri import sqlite_path
from orchestrator.tracking.tracker import Tracker

# A process that died is noticed at once; these guard against one that hangs. A failed run has less to wait for.
CALL_SECONDS, FAILED_SECONDS = 600, 60
IMPORT_SECONDS = 60  # of mlflow, on a busy machine
STARTED, NOTE = 0, -1  # numbers of messages that answer nothing
SETTINGS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a request and two lines for every candidate
}


@dataclass
class SubprocessMlflow(Mlflow):
    """Mlflow in a child process, started when there is something to write and ended with the run.

    Its YAML keys are Mlflow's, and so are the answers that need no store: those are given without the process.
    """

    _child: _TrackerProcess | None = field(default=None, init=False, repr=False, compare=False)

    def check_store(self) -> None:
        """Let the process ask a server; look at files on this machine without it."""
        if sqlite_path(self.tracking_uri) is not None:
            super().check_store()
            return
        connect(self.tracking_uri)
        child = self._started()
        try:
            child.call("check_store", within=self.timeout_seconds + LOCK_SECONDS + IMPORT_SECONDS)
        except BaseException:  # Ctrl-C, too: nothing was begun that the process would have to end
            self._child = None
            child.kill()
            raise

    def __call__(self, event: Event) -> None:
        """Pass on what a tracker needs, as plain data; at the end wait until everything is written."""
        if isinstance(event, RunStarted) and trains(event):
            self._started().send("__call__", event)
        elif isinstance(event, StepFinished) and isinstance(event.product, Report):
            self._started().send("__call__", replace(event, product=plain(event.product)))
        elif isinstance(event, RunFinished):
            self._hang_up(event)
        elif self._child is not None:
            self._child.check()

    def record(self, report: Report) -> str:
        """The run that holds this Report, found or made."""
        known = self.known_run(report) if self._child is None else None
        return known or cast("str", self._started().call("record", plain(report)))

    def register(self, package: Package, proof: Proof, report: Report) -> ModelVersion:
        """The version that holds this package, found or made."""
        known = self.known(package) if self._child is None else None
        return known or cast("ModelVersion", self._started().call("register", package, proof, plain(report)))

    def look_up(self, model: str) -> Registry:
        """What the registry holds of this model now."""
        known = self.known_registry(model) if self._child is None else None
        return known or cast("Registry", self._started().call("look_up", model))

    def promote(self, version: ModelVersion) -> None:
        """Point the alias ``champion`` at this version."""
        if self._child is not None or not self.is_champion(version):
            self._started().call("promote", version)

    def _started(self) -> _TrackerProcess:
        if self._child is None:
            keys = {key.name: getattr(self, key.name) for key in fields(self) if key.init}
            log = self.state_dir / "logs" / "tracking.log"
            self._child = _TrackerProcess(Mlflow(**keys), log, self._note)
        return self._child

    def _hang_up(self, event: RunFinished) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        error = event.error
        sent = replace(event, error=None if error is None else OrchestratorError(told(error)))
        try:
            child.call("__call__", sent, within=CALL_SECONDS if error is None else FAILED_SECONDS)
        except TrackingError as failure:
            if error is None:
                raise
            if str(failure) != str(error):  # the run's own error is the one to be told
                logging.getLogger(__name__).warning("%s", failure)
        finally:
            child.end()


class _TrackerProcess:
    """The pipeline's end: the process and what was asked of it."""

    def __init__(self, tracker: Mlflow, log: Path, note: Callable[[str], None]) -> None:
        self.log, self.note, self.number, self.failure, self.pid = log, note, 0, "", 0
        self.where = tracker.where
        root = str(Path(orchestrator.__file__).parents[1])
        log.parent.mkdir(parents=True, exist_ok=True)
        self.connection, theirs = Pipe()
        with theirs, log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**TELEMETRY_OFF, **os.environ, **SETTINGS},
                cwd=root,  # the folder of `-m` comes first on the path: nothing of the user's may shadow ours
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for the pipeline, which says here how the run ended
            )
        self.connection.send(tracker)

    def send(self, method: str, *arguments: Any) -> None:
        """Ask, and leave without the answer."""
        self.check()
        self._send(method, arguments)

    def call(self, method: str, *arguments: Any, within: float = CALL_SECONDS) -> Any:
        """Ask, and wait for the answer; a failure of anything asked before is told instead."""
        self._send(method, arguments)
        began = time.monotonic()
        while (now := time.monotonic()) < began + within:
            if self.connection.poll(min(SILENCE_SECONDS, began + within - now)):
                number, value = self._receive()
                if number == self.number:
                    self._tell()
                    return value
            else:
                self.note(f"still waiting for the tracking store {self.where}, {time.monotonic() - began:.0f} s")
        raise TrackingError(f"tracking did not finish {method} within {within:.0f} s; see {self.log}")

    def check(self) -> None:
        """Tell a failure that was answered meanwhile."""
        while self.connection.poll():
            self._receive()
        self._tell()

    def end(self) -> None:
        """Leave no process behind: it hangs up when it has answered the end of the run."""
        with self.connection:
            try:
                while self.connection.poll(5):
                    self._receive()
                if self.pid:
                    os.kill(self.pid, signal.SIGKILL)
            except (TrackingError, ProcessLookupError):  # it has gone
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
            raise TrackingError(self._died()) from error

    def _receive(self) -> tuple[int, Any]:
        try:
            number, well, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise TrackingError(self._died()) from error
        if number == STARTED:
            self.pid = value
        elif number == NOTE:
            self.note(value)
        if not well:
            self.failure = self.failure or value
        return number, value

    def _tell(self) -> None:
        failure, self.failure = self.failure, ""
        if failure:
            raise TrackingError(failure)

    def _died(self) -> str:
        return f"the tracking process ended before its work was done; see {self.log}"


def main(handle: int) -> None:
    """The other end: do what is asked, in order; if the pipeline dies, end its run as FAILED."""
    if os.fork():  # be nobody's child: a parallel launcher that is interrupted kills all that its workers started
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(handle)
    connection.send((STARTED, True, os.getpid()))
    tracker: Mlflow = connection.recv()

    def pass_on(event: Event) -> None:
        if isinstance(event, StepNote):
            _answer(connection, NOTE, True, event.text)

    tracker.report_to(Progress(pass_on))
    inbox: SimpleQueue[tuple[int, str, tuple[Any, ...]] | None] = SimpleQueue()
    Thread(target=_read, args=(connection, inbox), daemon=True).start()
    finished = False
    while not finished:
        asked = inbox.get()
        if asked is None:
            tracker(RunFinished(0.0, OrchestratorError("the orchestrator was killed")))
            break
        number, method, arguments = asked
        finished = bool(arguments) and isinstance(arguments[0], RunFinished)
        _answer(connection, number, *_do(tracker, method, arguments))


def _read(connection: Connection[Any, Any], inbox: SimpleQueue[Any]) -> None:
    """Take messages as they come, so that sending never waits for mlflow."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        inbox.put(None)


def _do(tracker: Tracker, method: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return True, getattr(tracker, method)(*arguments)
    except TrackingError as error:
        return False, str(error)
    except Exception as error:  # noqa: BLE001 -- told at the other end; the whole of it is in the log
        traceback.print_exc()
        return False, f"tracking failed with {told(error)}"


def _answer(connection: Connection[Any, Any], number: int, well: bool, value: Any) -> None:
    try:
        connection.send((number, well, value))
    except OSError:  # the pipeline is gone; the inbox says so too
        return


if __name__ == "__main__":
    main(int(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to write, and taking mlflow down in order would take another 0.2 s
