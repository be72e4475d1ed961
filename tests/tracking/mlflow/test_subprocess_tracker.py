from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.artifacts import Package, Report, Verification
from orchestrator.errors import TrackingError
from orchestrator.events import RunFinished, StepFailed, StepFinished, StepProgress
from orchestrator.tracking.mlflow.store_checks import check_connection
from orchestrator.tracking.mlflow.tracker import Mlflow
from tests.tracking.kit import (
    CACHED,
    REPO,
    STARTED,
    TRAIN,
    client_of,
    failed_run,
    in_subprocess,
    runs_of,
    top_runs,
    whole_run,
)
from tests.tracking.servers import answering, free_port, mlflow_server
from tests.waiting import wait_for

MakeTracker = Callable[..., Mlflow]
ENV = os.environ | {"PYTHONPATH": str(REPO)}
JOB = """
import sys, pickle
from tests.tracking.kit import in_subprocess
mlflow, events, package, verification, report, end = pickle.loads(bytes.fromhex(sys.stdin.read()))
tracker = in_subprocess(mlflow)
for event in events:
    tracker(event)
print("sent", flush=True)
if end is None:
    import time; time.sleep(60)
tracker.promote(tracker.register(package, verification, report))
tracker(end)
"""


@pytest.fixture
def tracker(new_tracker: MakeTracker) -> MakeTracker:
    return new_tracker


def job(*sent: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", JOB],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENV,
    )
    assert process.stdin
    process.stdin.write(pickle.dumps(sent).hex())
    process.stdin.close()
    process.stdin = None
    return process


def test_events_return_immediately_and_all_is_written_at_the_end(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, report: Report
) -> None:
    tracker_in_subprocess = in_subprocess(tracker())
    begin = time.perf_counter()
    tracker_in_subprocess(STARTED)
    tracker_in_subprocess(reported)
    assert time.perf_counter() - begin < 1, "neither the import nor the store's creation delays the pipeline"
    child = tracker_in_subprocess._child
    version = tracker_in_subprocess.register(package, verification, report)
    tracker_in_subprocess.promote(version)
    tracker_in_subprocess(RunFinished(1.0))
    assert child is not None
    assert child.process.returncode == 0
    (run,) = top_runs(tracker())
    assert (run.info.status, run.info.run_id) == ("FINISHED", version.run_id)
    assert len(runs_of(tracker())) == 10
    assert tracker().known_version(package) == version, "the snapshot is valid after the last write"
    assert tracker().is_champion(version)


@pytest.mark.nightly
def test_a_failed_run_ends_failed_whatever_its_error_holds(tracker: MakeTracker) -> None:
    class UnpicklableError(ValueError):
        held = open(os.devnull)  # noqa: PTH123, SIM115 -- it cannot be sent

    tracker_in_subprocess, error = in_subprocess(tracker()), UnpicklableError("out of memory")
    tracker_in_subprocess(STARTED)
    tracker_in_subprocess(StepFailed(TRAIN, 1.0, error))
    tracker_in_subprocess(RunFinished(1.0, error))
    UnpicklableError.held.close()
    (run,) = runs_of(tracker())
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "UnpicklableError: out of memory")


def test_a_killed_pipeline_ends_failed(tracker: MakeTracker) -> None:
    process = job(tracker(), [STARTED], None, None, None, None)
    assert process.stdout
    process.stdout.readline()
    wait_for(lambda: (tracker().state_dir / "mlflow.db").exists() and runs_of(tracker()))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: runs_of(tracker())[0].info.status == "FAILED")
    assert runs_of(tracker())[0].data.tags["error"] == "the orchestrator was killed"


@pytest.mark.nightly
def test_the_process_is_detached_and_ends_with_the_run(tracker: MakeTracker, report: Report) -> None:
    import psutil

    tracker_in_subprocess = in_subprocess(tracker())
    tracker_in_subprocess(STARTED)
    run_id = tracker_in_subprocess.record(report)
    assert tracker_in_subprocess._child
    process = psutil.Process(tracker_in_subprocess._child.pid)
    assert process.pid not in {child.pid for child in psutil.Process().children(recursive=True)}
    tracker_in_subprocess(RunFinished(1.0))
    process.wait(10)
    assert tracker_in_subprocess.record(report) == run_id, "the snapshot knows it: no process is started"
    assert tracker_in_subprocess._child is None


@pytest.mark.nightly
def test_a_deleted_store_is_created_again(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, report: Report
) -> None:
    whole_run(in_subprocess(tracker()), package, verification, reported)
    shutil.rmtree(tracker().state_dir / "artifacts")
    (tracker().state_dir / "mlflow.db").unlink()
    process = job(tracker(), [CACHED], package, verification, report, RunFinished(1.0))
    assert process.communicate(timeout=60)[1] == ""
    # read a copy: this process may still hold the deleted file open
    copy = tracker().state_dir / "copy.db"
    shutil.copy(tracker().state_dir / "mlflow.db", copy)
    made = Mlflow(f"sqlite:///{copy}", "diabetes", copy.parent)
    (run,) = top_runs(made)
    assert (run.info.status, run.data.metrics) == ("FINISHED", report.metrics)
    assert client_of(made).get_model_version_by_alias("diabetes_model", "champion").run_id == run.info.run_id


@pytest.mark.nightly
def test_parallel_jobs_of_a_sweep_make_one_store_and_one_parent(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker(sweep_id="2026-11-22/10-00", parent_run_name="sweep")
    jobs = [job(mlflow, [STARTED, reported], package, verification, report, RunFinished(1.0)) for _ in range(4)]
    assert [process.communicate(timeout=120)[1] for process in jobs] == [""] * 4
    (parent,) = top_runs(mlflow)
    children = runs_of(mlflow, f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert (parent.info.run_name, parent.info.status) == ("sweep", "FINISHED")
    assert [run.info.status for run in children] == ["FINISHED"] * 4
    assert len(runs_of(mlflow)) == 1 + 4 + 4 * 9
    assert len(client_of(mlflow).search_model_versions("name = 'diabetes_model'")) == 1


def test_a_store_error_is_raised_at_the_end(tracker: MakeTracker) -> None:
    mlflow = tracker()
    mlflow.state_dir.mkdir()
    (mlflow.state_dir / "mlflow.db").write_text("no database" * 100)
    tracker_in_subprocess = in_subprocess(mlflow)
    tracker_in_subprocess(STARTED)
    with pytest.raises(TrackingError, match="no readable sqlite store"):
        tracker_in_subprocess(RunFinished(1.0))


def test_a_dead_tracking_process_is_reported_with_its_log(
    tracker: MakeTracker, package: Package, verification: Verification, report: Report
) -> None:
    tracker_in_subprocess = in_subprocess(tracker())
    tracker_in_subprocess(STARTED)
    assert tracker_in_subprocess._child is not None
    tracker_in_subprocess._child.process.kill()
    with pytest.raises(TrackingError, match=r"ended before its work was done; see .*tracking\.log"):
        tracker_in_subprocess.register(package, verification, report)
    tracker_in_subprocess(RunFinished(1.0, KeyboardInterrupt()))


def test_a_server_that_is_down_is_reported_during_the_first_stage(tracker: MakeTracker) -> None:
    uri, begin = f"http://127.0.0.1:{free_port()}", time.perf_counter()
    tracker_in_subprocess = in_subprocess(tracker(tracking_uri=uri))
    tracker_in_subprocess(STARTED)

    def work() -> None:
        while time.perf_counter() < begin + 60:
            time.sleep(0.02)
            tracker_in_subprocess(StepProgress(1, 9))

    with pytest.raises(
        TrackingError, match=rf"{uri}: the server does not answer; start it, or correct tracking.tr"
    ) as raised:
        work()
    assert time.perf_counter() - begin < 2.5, "neither mlflow's import nor its retries delay the report"
    tracker_in_subprocess(RunFinished(1.0, raised.value))


def test_a_connection_check_ignores_the_answer() -> None:
    with answering(lambda _, path: (int(path[1:] or 404), "")) as uri:
        check_connection(uri)
        check_connection(f"{uri}/401")
    with pytest.raises(TrackingError, match=r"does not answer; start it, .* refused"):
        check_connection(uri)
    with pytest.raises(TrackingError, match=r"there is no host 'nowhere\.invalid'"):
        check_connection("http://nowhere.invalid")


@pytest.mark.nightly
def test_a_failed_run_is_finished_once_its_model_is_deployed_and_tested(
    tracker: MakeTracker, package: Package, verification: Verification, reported: StepFinished, report: Report
) -> None:
    first = failed_run(in_subprocess(tracker()), package, verification, reported)
    again = in_subprocess(tracker())
    again(CACHED)
    assert again.register(package, verification, report) == first
    assert again._child is None
    again.promote(first)
    again(RunFinished(1.0))
    assert [run.info.status for run in top_runs(tracker())] == ["FINISHED"]
    assert tracker().is_champion(first), "a later unchanged run need not import mlflow"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with mlflow_server(tmp_path / "server") as uri:
        yield uri


@pytest.mark.nightly
@pytest.mark.slow
def test_a_server_holds_runs_and_versions_too(
    server: str,
    tracker: MakeTracker,
    package: Package,
    verification: Verification,
    reported: StepFinished,
    report: Report,
) -> None:
    mlflow = tracker(tracking_uri=server)
    version = whole_run(in_subprocess(mlflow), package, verification, reported)
    (run,) = top_runs(mlflow)
    assert (run.info.status, run.data.metrics, run.info.run_id) == ("FINISHED", report.metrics, version.run_id)
    assert len(runs_of(mlflow)) == 10
    held = client_of(mlflow).get_model_version_by_alias("diabetes_model", "champion")
    assert held.tags["package_fingerprint"] == package.fingerprint
    assert mlflow.known_version(package) is None, "a server has no cheap stamp"
    again = in_subprocess(mlflow)
    again(CACHED)
    assert again.register(package, verification, report) == version
    again(RunFinished(1.0))
