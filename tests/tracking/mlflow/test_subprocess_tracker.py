from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from orchestrator.artifacts import Package, Proof, Report
from orchestrator.errors import TrackingError
from orchestrator.events import RunFinished, StepFailed, StepFinished, StepProgress
from orchestrator.tracking.mlflow.store_checks import connect
from orchestrator.tracking.mlflow.tracker import Mlflow
from tests.tracking.kit import (
    CACHED,
    REPO,
    STARTED,
    TRAIN,
    client_of,
    detached,
    failed_run,
    runs_of,
    top_runs,
    whole_run,
)

Make = Callable[..., Mlflow]
ENV = os.environ | {"PYTHONPATH": str(REPO)}
JOB = """
import sys, pickle
from tests.tracking.kit import detached
mlflow, events, package, proof, report, end = pickle.loads(bytes.fromhex(sys.stdin.read()))
tracker = detached(mlflow)
for event in events:
    tracker(event)
print("sent", flush=True)
if end is None:
    import time; time.sleep(60)
tracker.promote(tracker.register(package, proof, report))
tracker(end)
"""


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


def wait_for(what: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def test_events_return_at_once_and_all_is_written_in_the_end(
    tracker: Make, package: Package, proof: Proof, reported: StepFinished, report: Report
) -> None:
    beside = detached(tracker())
    begin = time.perf_counter()
    beside(STARTED)
    beside(reported)
    assert time.perf_counter() - begin < 1, "no import and no store creation in the pipeline's way"
    child = beside._child
    version = beside.register(package, proof, report)
    beside.promote(version)
    beside(RunFinished(1.0))
    assert child is not None
    assert child.process.returncode == 0
    (run,) = top_runs(tracker())
    assert (run.info.status, run.info.run_id) == ("FINISHED", version.run_id)
    assert len(runs_of(tracker())) == 10
    assert tracker().known(package) == version, "the memo holds after the last write"
    assert tracker().is_champion(version)


def test_a_failed_run_ends_failed_whatever_its_error_holds(tracker: Make) -> None:
    class UnpicklableError(ValueError):
        held = open(os.devnull)  # noqa: PTH123, SIM115 -- it cannot be sent

    beside, error = detached(tracker()), UnpicklableError("out of memory")
    beside(STARTED)
    beside(StepFailed(TRAIN, 1.0, error))
    beside(RunFinished(1.0, error))
    UnpicklableError.held.close()
    (run,) = runs_of(tracker())
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "UnpicklableError: out of memory")


def test_a_killed_pipeline_ends_failed(tracker: Make) -> None:
    process = job(tracker(), [STARTED], None, None, None, None)
    assert process.stdout
    process.stdout.readline()
    wait_for(lambda: (tracker().state_dir / "mlflow.db").exists() and runs_of(tracker()))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: runs_of(tracker())[0].info.status == "FAILED")
    assert runs_of(tracker())[0].data.tags["error"] == "the orchestrator was killed"


def test_the_process_is_nobodys_child_and_is_gone_when_the_run_is_over(tracker: Make, report: Report) -> None:
    import psutil

    beside = detached(tracker())
    beside(STARTED)
    run_id = beside.record(report)
    assert beside._child
    process = psutil.Process(beside._child.pid)
    assert process.pid not in {child.pid for child in psutil.Process().children(recursive=True)}
    beside(RunFinished(1.0))
    process.wait(10)
    assert beside.record(report) == run_id, "known now: no process is started"
    assert beside._child is None


def test_a_deleted_store_is_made_anew(
    tracker: Make, package: Package, proof: Proof, reported: StepFinished, report: Report
) -> None:
    whole_run(detached(tracker()), package, proof, reported)
    shutil.rmtree(tracker().state_dir / "artifacts")
    (tracker().state_dir / "mlflow.db").unlink()
    process = job(tracker(), [CACHED], package, proof, report, RunFinished(1.0))
    assert process.communicate(timeout=60)[1] == ""
    # read in a fresh place: this process may still hold the deleted file open
    copy = tracker().state_dir / "copy.db"
    shutil.copy(tracker().state_dir / "mlflow.db", copy)
    made = Mlflow(f"sqlite:///{copy}", "diabetes", copy.parent)
    (run,) = top_runs(made)
    assert (run.info.status, run.data.metrics) == ("FINISHED", report.metrics)
    assert client_of(made).get_model_version_by_alias("diabetes_model", "champion").run_id == run.info.run_id


def test_parallel_jobs_of_a_sweep_make_one_store_and_one_parent(
    tracker: Make, package: Package, proof: Proof, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker(sweep_id="2026-11-22/10-00", parent_run_name="sweep")
    jobs = [job(mlflow, [STARTED, reported], package, proof, report, RunFinished(1.0)) for _ in range(4)]
    assert [process.communicate(timeout=120)[1] for process in jobs] == [""] * 4
    (parent,) = top_runs(mlflow)
    children = runs_of(mlflow, f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert (parent.info.run_name, parent.info.status) == ("sweep", "FINISHED")
    assert [run.info.status for run in children] == ["FINISHED"] * 4
    assert len(runs_of(mlflow)) == 1 + 4 + 4 * 9
    assert len(client_of(mlflow).search_model_versions("name = 'diabetes_model'")) == 1


def test_a_store_that_fails_is_told_at_the_end_with_its_text(tracker: Make) -> None:
    mlflow = tracker()
    mlflow.state_dir.mkdir()
    (mlflow.state_dir / "mlflow.db").write_text("no database" * 100)
    beside = detached(mlflow)
    beside(STARTED)
    with pytest.raises(TrackingError, match="no readable sqlite store"):
        beside(RunFinished(1.0))


def test_a_dead_tracking_process_is_told_with_its_log(
    tracker: Make, package: Package, proof: Proof, report: Report
) -> None:
    beside = detached(tracker())
    beside(STARTED)
    assert beside._child is not None
    beside._child.process.kill()
    with pytest.raises(TrackingError, match=r"ended before its work was done; see .*tracking\.log"):
        beside.register(package, proof, report)
    beside(RunFinished(1.0, KeyboardInterrupt()))


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def test_a_server_that_is_down_is_told_while_the_first_stage_runs(tracker: Make) -> None:
    uri, begin = f"http://127.0.0.1:{free_port()}", time.perf_counter()
    beside = detached(tracker(tracking_uri=uri))
    beside(STARTED)

    def work() -> None:
        while time.perf_counter() < begin + 60:
            time.sleep(0.02)
            beside(StepProgress(1, 9))

    with pytest.raises(
        TrackingError, match=rf"{uri}: the server does not answer; start it, or correct tracking.tr"
    ) as told:
        work()
    assert time.perf_counter() - begin < 2.5, "neither mlflow's import nor its retries were waited for"
    beside(RunFinished(1.0, told.value))


def test_a_server_that_is_there_is_not_judged_by_its_answer() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(int(self.path[1:]))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        connect(uri)
        connect(f"{uri}/401")
        server.shutdown()
    with pytest.raises(TrackingError, match=r"does not answer; start it, .* refused"):
        connect(uri)
    with pytest.raises(TrackingError, match=r"there is no host 'nowhere\.invalid'"):
        connect("http://nowhere.invalid")


def test_a_failed_run_is_finished_once_its_model_is_deployed_and_tested(
    tracker: Make, package: Package, proof: Proof, reported: StepFinished, report: Report
) -> None:
    first = failed_run(detached(tracker()), package, proof, reported)
    again = detached(tracker())
    again(CACHED)
    assert again.register(package, proof, report) == first
    assert again._child is None
    again.promote(first)
    again(RunFinished(1.0))
    assert [run.info.status for run in top_runs(tracker())] == ["FINISHED"]
    assert tracker().is_champion(first), "a later unchanged run need not import mlflow"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    uri = f"http://127.0.0.1:{(port := free_port())}"
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mlflow",
                "server",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--workers",
                "1",
                "--backend-store-uri",
                f"sqlite:///{tmp_path}/server.db",
                "--artifacts-destination",
                str(tmp_path / "files"),
            ],
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            start_new_session=True,
        )

        def answers() -> bool:
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=1):
                    return True
            except OSError:
                return False

        try:
            wait_for(answers, 60)
            yield uri
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.slow
def test_a_server_holds_runs_and_versions_too(
    server: str, tracker: Make, package: Package, proof: Proof, reported: StepFinished, report: Report
) -> None:
    mlflow = tracker(tracking_uri=server)
    version = whole_run(detached(mlflow), package, proof, reported)
    (run,) = top_runs(mlflow)
    assert (run.info.status, run.data.metrics, run.info.run_id) == ("FINISHED", report.metrics, version.run_id)
    assert len(runs_of(mlflow)) == 10
    held = client_of(mlflow).get_model_version_by_alias("diabetes_model", "champion")
    assert held.tags["package_fingerprint"] == package.fingerprint
    assert mlflow.known(package) is None, "a server has no cheap stamp"
    again = detached(mlflow)
    again(CACHED)
    assert again.register(package, proof, report) == version
    again(RunFinished(1.0))
