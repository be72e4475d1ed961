"""SubprocessMlflow: Mlflow in a child process, so that importing mlflow and writing runs do not delay the pipeline.

The pipeline does not wait for the answers to events.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.errors import OrchestratorError, TrackingError
from orchestrator.events import Event, RunFinished, RunStarted, StepFinished
from orchestrator.tracking.mlflow.runs import to_plain_report
from orchestrator.tracking.mlflow.store import LOCK_SECONDS
from orchestrator.tracking.mlflow.store_checks import check_connection
from orchestrator.tracking.mlflow.tracker import Mlflow, error_text, will_train
from orchestrator.tracking.mlflow.tracker_process import CALL_SECONDS, TrackerProcess
from orchestrator.tracking.mlflow.uri import sqlite_path
from orchestrator.tracking.registered_model import RegisteredModel, TrainingRecord

FAILED_SECONDS = 60  # to wait for a child after a failed run, which has less to wait for
IMPORT_SECONDS = 60  # for mlflow, on a busy machine


@dataclass
class SubprocessMlflow(Mlflow):
    """Mlflow in a child process, started when there is something to write and ended with the run.

    Its YAML keys are Mlflow's. What the snapshot answers is answered without the process.
    """

    _child: TrackerProcess | None = field(default=None, init=False, repr=False, compare=False)

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

    def attach(self, report: Report, files: Mapping[str, bytes], version: ModelVersion | None = None) -> None:
        """Keep files beside the run that holds this Report, without waiting for it."""
        if self._child is not None or not self.has_attached(report, files, version):
            self._get_child().send("attach", to_plain_report(report), files, version)

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

    def looks(self, holdout: str, sweep: str = "") -> Sequence[str]:
        """Return the hash of each spec that was scored on these rows outside of ``sweep``."""
        return cast("Sequence[str]", self._get_child().call("looks", holdout, sweep))

    def record_verdict(self, version: ModelVersion, *decided: Any) -> None:
        """Record a decision on the version and its run."""
        if self._child is not None or self.known_verdict(version) != dict(decided[0]):
            self._get_child().call("record_verdict", version, *decided)

    def promote(self, version: ModelVersion) -> None:
        """Point the alias ``champion`` at this version."""
        if self._child is not None or not self.is_champion(version):
            self._get_child().call("promote", version)

    def _get_child(self) -> TrackerProcess:
        if self._child is None:
            keys = {key.name: getattr(self, key.name) for key in fields(self) if key.init}
            log = self.state_dir / "logs" / "tracking.log"
            self._child = TrackerProcess(Mlflow(**keys), log, self._note)
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
