"""Shared by the tracking tests: a Report, the events around it, and queries of a store."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from orchestrator.artifacts import Candidate, ModelVersion, Package, Report, Verification
from orchestrator.errors import OrchestratorError
from orchestrator.events import Event, Progress, RunFinished, RunStarted, StepFinished, StepNote, StepPlan
from orchestrator.tracking.mlflow.subprocess_tracker import SubprocessMlflow
from orchestrator.tracking.mlflow.tracker import Mlflow
from orchestrator.tracking.tracker import Tracker

REPO = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200_000)  # four exceed a socket's buffer
TRAIN = StepPlan("report", (), "Report")
STARTED, CACHED = RunStarted((TRAIN,)), RunStarted((StepPlan("report", (), "Report", cached=True),))


def candidate(i: int) -> Candidate:
    return Candidate(
        {"n_estimators": 10 * i, "max_depth": 7},
        {"roc_auc": 0.8 - i / 1e4, "f1": 0.6},
        {"roc_auc": 0.02, "f1": 0.1},
        i + 1,
        0.25,
    )


def report_of(candidates: int) -> Report:
    found = [candidate(i) for i in range(candidates)]
    return Report(
        params={
            "model.estimator": "sklearn.ensemble.RandomForestClassifier",
            "seed": "0",
            "data.path": "/data/diabetes.csv",
        },
        tags={"git_commit": "abc", "data_fingerprint": "d" * 32},
        best_params=found[0].params,
        metrics={"mean_test_roc_auc": 0.8, "std_test_roc_auc": 0.02, "test_roc_auc": 0.79},
        candidates=found,
        figures={f"{name}.png": PNG for name in ("roc", "precision_recall", "confusion_matrix", "search")},
        config="name: diabetes\n",
    )


def in_subprocess(mlflow: Mlflow) -> SubprocessMlflow:
    """Return the same tracker in a subprocess."""
    return SubprocessMlflow(**{key.name: getattr(mlflow, key.name) for key in fields(mlflow) if key.init})


def notes_of(tracker: Mlflow) -> list[str]:
    """Collect the notes that a tracker reports from now on."""
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepNote):
            notes.append(event.text)

    tracker.report_to(Progress(listen))
    return notes


def client_of(tracker: Mlflow) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracker.tracking_uri, registry_uri=tracker.tracking_uri)


def runs_of(tracker: Mlflow, wanted: str = "") -> list[Any]:
    client = client_of(tracker)
    return list(client.search_runs([client.get_experiment_by_name("diabetes").experiment_id], wanted))


def top_runs(tracker: Mlflow) -> list[Any]:
    return [run for run in runs_of(tracker) if "mlflow.parentRunId" not in run.data.tags]


def failed_run(tracker: Tracker, package: Package, verification: Verification, reported: StepFinished) -> ModelVersion:
    """Do a run that fails after its model was registered, when it is deployed."""
    tracker(STARTED)
    tracker(reported)
    version = tracker.register(package, verification, reported.artifact)
    tracker(RunFinished(1.0, OrchestratorError("port 8000 is taken")))
    return version


def whole_run(tracker: Tracker, package: Package, verification: Verification, reported: StepFinished) -> ModelVersion:
    tracker(STARTED)
    tracker(reported)
    version = tracker.register(package, verification, reported.artifact)
    tracker.promote(version)
    tracker(RunFinished(1.0))
    return version
