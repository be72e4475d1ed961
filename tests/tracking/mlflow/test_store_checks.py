"""Checks of a store on this machine before anything is trained, and their messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config.compose import compose
from orchestrator.errors import TrackingError
from orchestrator.events import RunFinished
from orchestrator.spec.run_spec import RunSpec
from orchestrator.tracking.azureml import AzureMl
from orchestrator.tracking.mlflow import limits, runs
from orchestrator.tracking.mlflow.tracker import Mlflow
from tests.nightly import at_night
from tests.tracking.kit import STARTED, client_of, in_subprocess, notes_of, report_of

MakeTracker = Callable[..., Mlflow]


def warnings_of(mlflow: Mlflow, **params: str) -> list[str]:
    notes = notes_of(mlflow)
    mlflow.check_before_run(params)
    return notes


def test_a_missing_store_is_accepted_and_not_created(tracker: MakeTracker) -> None:
    tracker_in_subprocess = in_subprocess(tracker())
    assert warnings_of(tracker_in_subprocess) == []
    assert tracker_in_subprocess._child is None
    assert not tracker().state_dir.exists()


@pytest.mark.parametrize("location", ["{0}/file", "{0}/file/below", "file://{0}/file/below", "/proc/nowhere"])
def test_artifacts_that_cannot_be_written(tracker: MakeTracker, tmp_path: Path, location: str) -> None:
    (tmp_path / "file").touch()
    mlflow = in_subprocess(tracker(artifact_location=location.format(tmp_path)))
    with pytest.raises(
        TrackingError, match=r"the artifacts of this experiment cannot be written to .*artifact_location"
    ):
        mlflow.check_before_run({})


def test_the_existing_experiments_location_is_checked(tracker: MakeTracker, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mlflow = tracker(artifact_location=f"{tmp_path}/artifacts")
    mlflow._open()
    client_of(mlflow).create_experiment("other", artifact_location=f"{tmp_path}/file/artifacts")
    mlflow(RunFinished(1.0))
    mlflow.check_before_run({})
    with pytest.raises(TrackingError, match="file is no folder"):
        tracker(experiment_name="other").check_before_run({})
    tracker(artifact_location=f"{tmp_path}/file/artifacts").check_before_run({})


def test_a_store_that_is_a_folder(tracker: MakeTracker, tmp_path: Path) -> None:
    (tmp_path / "state/mlflow.db").mkdir(parents=True)
    with pytest.raises(TrackingError, match=r"mlflow\.db is a folder; name a file in it"):
        in_subprocess(tracker()).check_before_run({})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MLFLOW_TRACKING_URI", "http://me:s3cr3t@mlflow:5000", "is set and not used: this run has sqlite:///"),
        ("MLFLOW_REGISTRY_URI", "http://registry", "versions are registered where runs are tracked"),
        ("MLFLOW_EXPERIMENT_NAME", "churn", "this run has diabetes; set tracking.experiment_name to use it"),
    ],
)
def test_an_ignored_variable_is_reported(
    tracker: MakeTracker, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    (note,) = warnings_of(in_subprocess(tracker()))
    assert note.startswith(name)
    assert expected in note
    assert "s3cr3t" not in note
    monkeypatch.setenv(name, "diabetes" if "EXPERIMENT" in name else tracker().tracking_uri)
    assert warnings_of(in_subprocess(tracker())) == []


def test_a_truncated_value_is_reported_and_marked(tracker: MakeTracker) -> None:
    (note,) = warnings_of(in_subprocess(tracker()), **{"data.drop": "x" * 7000, "seed": "0"})
    assert note == "data.drop has 7,000 characters; MLflow keeps 6,000 of them, the run's config.yaml all"
    kept = limits.to_texts({"data.drop": "x" * 7000, "columns": "y" * 6000})
    assert [len(value) for value in kept.values()] == [6000, 6000]
    assert kept["data.drop"].endswith("… (cut; the run's config.yaml has all of it)")
    assert kept["columns"] == "y" * 6000


def test_every_accepted_name_is_accepted_by_mlflow(tracker: MakeTracker) -> None:
    spec = RunSpec.parse(compose("preprocess=tabular").values)
    assert list(Mlflow.problems(spec)) == []
    mlflow = tracker()
    mlflow(STARTED)
    assert mlflow._store
    assert mlflow._run_id
    runs.log_values(mlflow._store, mlflow._run_id, params=limits.known_parameters(spec))
    assert client_of(mlflow).get_run(mlflow._run_id).data.params == limits.known_parameters(spec)
    mlflow(RunFinished(1.0))


@pytest.mark.parametrize(
    "name", ["a (%)", at_night("a/../b"), at_night("/a"), at_night("a//b"), at_night("ü%"), "x" * 251]
)
def test_every_refused_name_is_refused_by_mlflow(tracker: MakeTracker, name: str) -> None:
    from mlflow.exceptions import MlflowException

    assert limits._refusal(name)
    mlflow = tracker()
    mlflow(STARTED)
    assert mlflow._store
    with pytest.raises(MlflowException):
        runs.log_values(mlflow._store, str(mlflow._run_id), params={name: "1"})


def test_azure_ml_takes_any_model_name_and_200_parameters() -> None:
    typed = ("tracking=azureml", "deploy=none", "package.model_name=my.model")
    spec = RunSpec.parse(compose(*typed).values)
    assert list(AzureMl.problems(spec)) == []
    wide = ",".join(f"p{number}:1" for number in range(200))
    spec = spec.model_copy(
        update={"model": spec.model.model_copy(update={"params": dict.fromkeys(wide.split(","), 1)})}
    )
    (problem,) = AzureMl.problems(spec)
    assert problem.at == "tracking"
    assert "the server takes 200" in problem.message


def test_a_long_search_has_no_candidate_in_two_runs(tracker: MakeTracker) -> None:
    mlflow = tracker()
    mlflow(STARTED)
    assert mlflow._store
    runs.log_report(mlflow._store, str(mlflow._run_id), report_of(3))
    client, experiment = client_of(mlflow), mlflow._store.experiment_id
    keys = [run.data.tags["orchestrator.key"] for run in client.search_runs([experiment])]
    assert len(set(keys)) == 4
    mlflow(RunFinished(1.0))
