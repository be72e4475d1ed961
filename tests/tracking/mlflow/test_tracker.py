from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.artifacts import BESIDE_PACKAGE, Package, Report, Verification
from orchestrator.errors import TrackingError
from orchestrator.events import RunFinished, StepFinished
from orchestrator.tracking.mlflow.runs import report_digest
from orchestrator.tracking.mlflow.snapshot import store_stamp
from orchestrator.tracking.mlflow.tracker import Mlflow
from orchestrator.uncertainty.interval import Interval
from tests.tracking.kit import CACHED, REPO, STARTED, client_of, failed_run, runs_of, top_runs, whole_run

MakeTracker = Callable[..., Mlflow]


def test_a_run_holds_the_report(new_tracker: MakeTracker, reported: StepFinished, report: Report) -> None:
    mlflow = new_tracker()
    mlflow(STARTED)
    assert [run.info.status for run in runs_of(mlflow)] == ["RUNNING"]
    mlflow(reported)
    mlflow(RunFinished(1.0))

    (run,) = top_runs(mlflow)
    assert run.info.status == "FINISHED"
    assert run.data.params == {**report.params, "best_n_estimators": "0", "best_max_depth": "7"}
    assert run.data.metrics == report.metrics
    assert run.data.tags["git_commit"] == "abc"
    assert run.info.run_name == "RandomForestClassifier seed=0"
    client = client_of(mlflow)
    assert {one.path for one in client.list_artifacts(run.info.run_id)} == {"config.yaml", "figures"}
    assert {one.path for one in client.list_artifacts(run.info.run_id, "figures")} == {
        f"figures/{name}" for name in report.figures
    }


def test_intervals_are_metrics_and_decide_which_run_holds_a_report(tracker: MakeTracker, report: Report) -> None:
    mlflow, uncertain = tracker(), replace(report, intervals={"roc_auc": Interval(0.72, 0.86, "delong-logit")})
    mlflow(STARTED)
    mlflow(StepFinished(STARTED.steps[0], 1.0, uncertain))
    mlflow(RunFinished(1.0))
    (run,) = top_runs(mlflow)
    assert run.data.metrics == {**report.metrics, "holdout_roc_auc_low": 0.72, "holdout_roc_auc_high": 0.86}
    wider = replace(uncertain, intervals={"roc_auc": Interval(0.7, 0.88, "delong-logit")})
    assert len({report_digest(one) for one in (report, uncertain, wider)}) == 3


def test_every_candidate_is_a_child_run(tracker: MakeTracker, reported: StepFinished) -> None:
    mlflow = tracker()
    mlflow(STARTED)
    mlflow(reported)
    mlflow(RunFinished(1.0))

    (run,) = top_runs(mlflow)
    children = runs_of(mlflow, f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    best = next(child for child in children if child.data.metrics["rank"] == 1)
    assert len(children) == 9
    assert {child.info.status for child in children} == {"FINISHED"}
    assert best.data.params == {"n_estimators": "0", "max_depth": "7"}
    assert best.info.run_name == "n_estimators=0, max_depth=7"
    assert best.data.metrics == {
        "mean_test_roc_auc": 0.8,
        "std_test_roc_auc": 0.02,
        "mean_test_f1": 0.6,
        "std_test_f1": 0.1,
        "rank": 1,
        "fit_seconds": 0.25,
    }


def test_a_candidate_that_failed_is_a_failed_child_run(tracker: MakeTracker, report: Report) -> None:
    nan = float("nan")
    failed = replace(
        report.candidates[1], params={"monotonic_cst": {"Age (years)": 1}}, mean={"f1": nan}, std={"f1": nan}
    )
    failed = replace(failed, error="ValueError: no such thing")
    mlflow = tracker()
    mlflow(STARTED)
    mlflow(StepFinished(STARTED.steps[0], 1.0, replace(report, candidates=(report.candidates[0], failed))))
    mlflow(RunFinished(1.0))
    (run,) = top_runs(mlflow)
    children = runs_of(mlflow, f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    (child,) = [child for child in children if child.info.status == "FAILED"]
    assert child.data.tags["error"] == "ValueError: no such thing"
    assert child.data.params == {"monotonic_cst": '{"Age (years)": 1}'}
    assert set(child.data.metrics) == {"rank", "fit_seconds"}


def test_more_parameters_than_one_batch_takes_are_all_logged(tracker: MakeTracker, report: Report) -> None:
    mlflow, many = tracker(), {f"p{i}": str(i) for i in range(120)}
    mlflow(STARTED)
    mlflow(StepFinished(STARTED.steps[0], 1.0, replace(report, params=many, best_params={}, candidates=())))
    mlflow(RunFinished(1.0))
    assert top_runs(mlflow)[0].data.params == many


def test_a_failed_run_ends_failed_and_says_why(tracker: MakeTracker) -> None:
    mlflow = tracker()
    mlflow(STARTED)
    mlflow(RunFinished(1.0, ValueError("no such column")))
    (run,) = runs_of(mlflow)
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "ValueError: no such column")


def test_an_unchanged_run_does_not_import_mlflow(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker()
    first = whole_run(mlflow, package, verification, reported)
    before = store_stamp(mlflow.tracking_uri)
    code = (
        "import sys, pickle; from pathlib import Path; from tests.tracking.kit import in_subprocess\n"
        "mlflow, package, verification, report, cached, end = pickle.loads(bytes.fromhex(sys.stdin.read()))\n"
        "for tracker in (mlflow, in_subprocess(mlflow)):\n"
        "    tracker(cached); version = tracker.register(package, verification, report); tracker.promote(version); tracker(end)\n"
        "print(version.version, version.run_id, 'mlflow' in sys.modules, tracker._child)"
    )
    import pickle

    sent = pickle.dumps((tracker(), package, verification, report, CACHED, RunFinished(1.0))).hex()
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-c", code], input=sent, capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout.split() == [first.version, first.run_id, "False", "None"], done.stderr
    assert store_stamp(mlflow.tracking_uri) == before


def test_a_store_that_another_user_wrote_to_is_queried_again(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker()
    first = whole_run(mlflow, package, verification, reported)
    assert tracker().known_version(package) == first
    client_of(mlflow).delete_registered_model("diabetes_model")
    assert tracker().known_version(package) is None

    again = tracker()
    again(CACHED)
    second = again.register(package, verification, report)
    again(RunFinished(1.0))
    assert second.run_id == first.run_id, "the run that holds this report is still there"
    assert len(top_runs(mlflow)) == 1


def test_a_deleted_run_is_logged_again(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker()
    first = whole_run(mlflow, package, verification, reported)
    client_of(mlflow).delete_run(first.run_id)
    again = tracker()
    again(CACHED)
    second = again.register(package, verification, report)
    again(RunFinished(1.0))
    (run,) = [one for one in top_runs(mlflow) if one.info.run_id == second.run_id]
    assert (second.version, run.info.status, run.data.metrics) == ("2", "FINISHED", report.metrics)


@pytest.mark.nightly
def test_a_champions_run_is_finished(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker()
    first = failed_run(mlflow, package, verification, reported)
    (failed,) = top_runs(mlflow)
    assert (failed.info.status, failed.data.tags["error"]) == ("FAILED", "port 8000 is taken")

    again = tracker()
    again(CACHED)
    again.promote(again.register(package, verification, report))
    again(RunFinished(1.0))
    (run,) = top_runs(mlflow)
    assert (run.info.run_id, run.info.status, run.info.end_time) == (first.run_id, "FINISHED", failed.info.end_time)
    assert "error" not in run.data.tags
    assert tracker().is_champion(first)


@pytest.mark.nightly
def test_a_run_that_fails_after_its_promotion_is_cleared_later(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished
) -> None:
    mlflow = tracker()
    for event in (STARTED, reported):
        mlflow(event)
    version = mlflow.register(package, verification, reported.artifact)
    mlflow.promote(version)
    mlflow(RunFinished(1.0, KeyboardInterrupt()))
    assert mlflow.known_version(package) == version
    assert not mlflow.is_champion(version), "the run must still be cleared"
    mlflow.promote(version)
    mlflow(RunFinished(1.0))
    assert [run.info.status for run in top_runs(mlflow)] == ["FINISHED"]
    assert mlflow.is_champion(version)


@pytest.mark.nightly
def test_only_a_complete_run_is_cleared(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished
) -> None:
    mlflow = tracker()
    version = failed_run(mlflow, package, verification, reported)
    client_of(mlflow).delete_tag(version.run_id, "orchestrator.report")
    mlflow.promote(version)
    mlflow(RunFinished(1.0))
    (run,) = top_runs(mlflow)
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "port 8000 is taken")


def test_open_runs_of_a_killed_process_are_ended_by_the_next(tracker: MakeTracker) -> None:
    mlflow = tracker()
    mlflow(STARTED)
    client, (run,) = client_of(mlflow), runs_of(mlflow)
    model = client.create_logged_model(run.info.experiment_id, tags=run.data.tags)
    child = client.create_run(run.info.experiment_id, tags={"mlflow.parentRunId": run.info.run_id})

    tracker()._open()
    assert client.get_run(run.info.run_id).info.status == "RUNNING", "its process, this one, lives"
    started = ("orchestrator.started", "1.0")  # the pid was reused
    client.set_tag(run.info.run_id, *started)
    client.set_logged_model_tags(model.model_id, dict([started]))
    tracker()._open()
    assert client.get_run(run.info.run_id).info.status == "FAILED"
    assert client.get_run(child.info.run_id).info.status == "KILLED"
    assert client.get_logged_model(model.model_id).status == "FAILED"


def test_a_file_that_is_no_store_is_reported_at_once(new_tracker: MakeTracker, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/mlflow.db").write_text("no database" * 100)
    with pytest.raises(TrackingError, match=r"no readable sqlite store .*; move it away"):
        new_tracker()(STARTED)


def test_a_deleted_experiment_is_reported_with_the_remedy(tracker: MakeTracker) -> None:
    mlflow = tracker()
    experiment = mlflow._open().experiment_id
    client_of(mlflow).delete_experiment(experiment)
    with pytest.raises(TrackingError, match=f"was deleted.*restore --experiment-id {experiment}"):
        tracker()(STARTED)


@pytest.mark.nightly
def test_a_corrupt_snapshot_is_ignored(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished
) -> None:
    mlflow = tracker()
    whole_run(mlflow, package, verification, reported)
    (snapshot,) = mlflow.state_dir.glob("tracking/*.json")
    snapshot.write_text("{")
    assert mlflow.known_version(package) is None


def test_a_recorded_run_that_failed_is_not_known(tracker: MakeTracker, reported: StepFinished, report: Report) -> None:
    mlflow = tracker()
    for event in (STARTED, reported):
        mlflow(event)
    failed = mlflow.record(report)
    mlflow(RunFinished(1.0, KeyboardInterrupt()))
    assert mlflow.known_run(report) is None
    assert mlflow.record(report) != failed
    mlflow(RunFinished(1.0))
    assert mlflow.known_run(report)


def test_a_report_without_a_model_is_one_run_and_is_known_without_the_store(
    tracker: MakeTracker, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker()
    for event in (STARTED, reported):
        mlflow(event)
    run_id = mlflow.record(report)
    mlflow(RunFinished(1.0))
    assert [run.info.run_id for run in top_runs(mlflow)] == [run_id]
    assert tracker().known_run(report) == run_id

    client_of(mlflow).set_tag(run_id, "note", "another user wrote to the store")
    again = tracker()
    assert again.known_run(report) is None
    assert again.record(report) == run_id
    again(RunFinished(1.0))
    assert [run.info.run_id for run in top_runs(mlflow)] == [run_id]


def test_files_lie_beside_the_run_and_are_written_again_only_where_they_changed(
    tracker: MakeTracker, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker()
    for event in (STARTED, reported):
        mlflow(event)
    mlflow.attach(report, {"report.html": b"one"})
    mlflow(RunFinished(1.0))
    (run,) = top_runs(mlflow)
    held = Path(str(run.info.artifact_uri).removeprefix("file://"), "report.html")
    assert held.read_bytes() == b"one"

    before = store_stamp(mlflow.tracking_uri)
    cached = tracker()
    cached.attach(report, {"report.html": b"one"})
    cached(RunFinished(1.0))
    assert (cached._store, store_stamp(mlflow.tracking_uri)) == (None, before)

    cached.attach(report, {"report.html": b"two"})
    cached(RunFinished(1.0))
    assert held.read_bytes() == b"two"
    assert tracker().has_attached(report, {"report.html": b"two"})
    assert len(top_runs(mlflow)) == 1


def test_a_version_has_the_file_beside_its_package_and_says_which_run_it_is_of(
    tracker: MakeTracker,
    package: Package,
    verification: Verification,
    reported: StepFinished,
    report: Report,
    tmp_path: Path,
) -> None:
    mlflow, page = tracker(), {"report.html": b"one"}
    version = whole_run(mlflow, package, verification, reported)
    mlflow.attach(report, page, version)
    mlflow(RunFinished(1.0))
    registered = client_of(mlflow).get_model_version(version.name, version.version)
    assert registered.tags["report"] == f"runs:/{version.run_id}/report.html"
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    mlflow.download(version, fetched)
    assert (fetched / "report.html").read_bytes() == b"one"
    for name in BESIDE_PACKAGE:  # no fingerprint covers these
        (fetched / name).unlink()
    assert replace(package, path=fetched).is_intact()
    mlflow(RunFinished(1.0))
    assert tracker().has_attached(report, page, version)
    assert not tracker().has_attached(report, page, replace(version, version="2"))
