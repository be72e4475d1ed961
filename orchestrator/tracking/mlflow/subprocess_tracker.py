"""SubprocessMlflow: Mlflow in a child process, so that importing mlflow and writing runs do not delay the pipeline.

Both ends share one socket: the pipeline sends ``(number, method, arguments)``, and the child answers each request with
``(number, whether it succeeded, result or the error's text)``; progress notes come in between, under the number NOTE.
The pipeline does not wait for the answers to events.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, cast

import orchestrator
from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.errors import OrchestratorError, TrackingError
from orchestrator.events import Event, Progress, RunFinished, RunStarted, StepFinished, StepNote
from orchestrator.privacy import TELEMETRY_OFF
from orchestrator.tracking.mlflow.retries import NOTE_INTERVAL_SECONDS
from orchestrator.tracking.mlflow.runs import to_plain_report
from orchestrator.tracking.mlflow.store import LOCK_SECONDS
from orchestrator.tracking.mlflow.store_checks import check_connection
from orchestrator.tracking.mlflow.tracker import Mlflow, error_text, will_train
from orchestrator.tracking.mlflow.uri import sqlite_path
from orchestrator.tracking.registered_model import RegisteredModel, TrainingRecord
from orchestrator.tracking.tracker import Tracker

# A dead process is noticed at once; these limits are for one that hangs. A failed run has less to wait for.
CALL_SECONDS, FAILED_SECONDS = 600, 60
IMPORT_SECONDS = 60  # for mlflow, on a busy machine
STARTED, NOTE = 0, -1  # numbers of messages that are no answers
SETTINGS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a request and two lines for every candidate
}


@dataclass
class SubprocessMlflow(Mlflow):
    """Mlflow in a child process, started when there is something to write and ended with the run.

    Its YAML keys are Mlflow's. What the snapshot answers is answered without the process.
    """

    _child: _TrackerProcess | None = field(default=None, init=False, repr=False, compare=False)

    def check_store(self) -> None:
        """Check a server through the child process; check files on this machine without it."""
        if sqlite_path(self.tracking_uri) is not None:
            super().check_store()
            return
        check_connection(self.tracking_uri)
        child = self._get_child()
        try:
            child.call("check_store", within=self.timeout_seconds + LOCK_SECONDS + IMPORT_SECONDS)
        except BaseException:  # Ctrl-C too: nothing is open that the process would have to close
            self._child = None
            child.kill()
            raise

    def __call__(self, event: Event) -> None:
        """Send the events that a tracker needs, as plain data; at the end wait until everything is written."""
        if isinstance(event, RunStarted) and will_train(event):
            self._get_child().send("__call__", event)
        elif isinstance(event, StepFinished) and isinstance(event.artifact, Report):
            self._get_child().send("__call__", replace(event, artifact=to_plain_report(event.artifact)))
        elif isinstance(event, RunFinished):
            self._finish_in_child(event)
        elif self._child is not None:
            self._child.raise_failures()

    def record(self, report: Report) -> str:
        """Return the run that holds this Report, existing or new."""
        known = self.known_run(report) if self._child is None else None
        return known or cast("str", self._get_child().call("record", to_plain_report(report)))

    def attach(self, report: Report, files: Mapping[str, bytes]) -> None:
        """Keep files beside the run that holds this Report, without waiting for it."""
        if self._child is not None or not self.has_attached(report, files):
            self._get_child().send("attach", to_plain_report(report), files)

    def register(self, package: Package, verification: Verification, report: Report) -> ModelVersion:
        """Return the version that holds this package, existing or new."""
        known = self.known_version(package) if self._child is None else None
        return known or cast(
            "ModelVersion", self._get_child().call("register", package, verification, to_plain_report(report))
        )

    def look_up(self, model: str) -> RegisteredModel:
        """Return the current versions of this model."""
        known = self.known_registry(model) if self._child is None else None
        return known or cast("RegisteredModel", self._get_child().call("look_up", model))

    def describe(self, model: str) -> Mapping[str, TrainingRecord]:
        """Return what the runs of this model's versions recorded, by the version's number."""
        return cast("Mapping[str, TrainingRecord]", self._get_child().call("describe", model))

    def download(self, version: ModelVersion, folder: Path) -> None:
        """Download the version's files into an existing, empty folder."""
        self._get_child().call("download", version, folder)

    def record_sweep(self, sweep_id: str, file: Path) -> None:
        """Log a file about all jobs of a sweep on the run that they are nested under, if there is one."""
        self._get_child().call("record_sweep", sweep_id, file)
        self._finish_in_child(RunFinished(0.0))

    def looks(self, holdout: str) -> Sequence[str]:
        """Return the hash of each spec that was scored on these rows."""
        return cast("Sequence[str]", self._get_child().call("looks", holdout))

    def record_verdict(self, version: ModelVersion, *decided: Any) -> None:
        """Record a decision on the version and its run."""
        if self._child is not None or self.known_verdict(version) != dict(decided[0]):
            self._get_child().call("record_verdict", version, *decided)

    def promote(self, version: ModelVersion) -> None:
        """Point the alias ``champion`` at this version."""
        if self._child is not None or not self.is_champion(version):
            self._get_child().call("promote", version)

    def _get_child(self) -> _TrackerProcess:
        if self._child is None:
            keys = {key.name: getattr(self, key.name) for key in fields(self) if key.init}
            log = self.state_dir / "logs" / "tracking.log"
            self._child = _TrackerProcess(Mlflow(**keys), log, self._note)
        return self._child

    def _finish_in_child(self, event: RunFinished) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        error = event.error
        sent = replace(event, error=None if error is None else OrchestratorError(error_text(error)))
        try:
            child.call("__call__", sent, within=CALL_SECONDS if error is None else FAILED_SECONDS)
        except TrackingError as failure:
            if error is None:
                raise
            if str(failure) != str(error):  # the run's own error matters more
                logging.getLogger(__name__).warning("%s", failure)
        finally:
            child.end()


class _TrackerProcess:
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
