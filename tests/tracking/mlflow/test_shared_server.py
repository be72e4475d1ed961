"""A shared tracking server: concurrent users, lost answers, and the checks before a run."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.errors import TrackingError
from orchestrator.events import RunFinished, StepFinished
from orchestrator.tracking.mlflow.tracker import Mlflow
from tests.nightly import at_night
from tests.tracking.kit import STARTED, TRAIN, client_of, in_subprocess, notes_of, report_of, whole_run
from tests.tracking.servers import POSTGRES, dropping, mlflow_server, postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as uri:
        yield uri


def user(folder: Path, uri: str, experiment: str, **options: Any) -> Mlflow:
    return Mlflow(uri, experiment, folder, **options)


def runs_in(mlflow: Mlflow) -> list[Any]:
    client = client_of(mlflow)
    return list(client.search_runs([client.get_experiment_by_name(mlflow.experiment_name).experiment_id]))


def package_of(package: Package) -> Package:
    """Return the same files under a new fingerprint, so that each test registers a new package."""
    return Package(package.path, uuid4().hex * 2, package.model_name)


@pytest.mark.nightly
def test_lost_answers_create_nothing_twice(
    server: str, tmp_path: Path, package: Package, verification: Verification, report: Report
) -> None:
    fresh = package_of(package)
    with dropping(server, every=5) as (uri, lost):
        mlflow = user(tmp_path, uri, "lossy")
        version = whole_run(mlflow, fresh, verification, StepFinished(TRAIN, 1.0, report))
    assert len(lost) >= 10
    runs = runs_in(user(tmp_path, server, "lossy"))
    assert len(runs) == 1 + len(report.candidates)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all(len(run.data.metrics) for run in runs)
    (held,) = client_of(user(tmp_path, server, "lossy")).search_model_versions(
        f"name = '{package.model_name}' and tags.package_fingerprint = '{fresh.fingerprint}'"
    )
    assert (str(held.version), held.run_id) == (version.version, version.run_id)


@pytest.mark.parametrize("begin", [0, *map(at_night, range(1, 5))])
def test_any_answer_may_be_lost(
    server: str, tmp_path: Path, package: Package, verification: Verification, begin: int
) -> None:
    """Lose every fifth answer, from five offsets, so that each call of a run loses its answer in one of them."""
    fresh, name = package_of(package), f"lossy-{begin}"
    with dropping(server, every=5, begin=begin) as (uri, lost):
        whole_run(user(tmp_path, uri, name), fresh, verification, StepFinished(TRAIN, 1.0, report_of(1)))
    assert len(lost) >= 5
    mlflow = user(tmp_path, server, name)
    runs = runs_in(mlflow)
    assert sorted(run.info.status for run in runs) == ["FINISHED"] * 2
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parent.outputs.model_outputs) == 1
    client = client_of(mlflow)
    assert len(client.search_logged_models([parent.info.experiment_id])) == 1
    assert len(client.search_model_versions(f"tags.package_fingerprint = '{fresh.fingerprint}'")) == 1


def register_concurrently(
    server: str, folder: Path, package: Package, verification: Verification, name: str, users: int
) -> list[ModelVersion]:
    """Let several users, each with a state_dir, create one experiment and register one package concurrently."""
    made: list[ModelVersion] = []
    failed: list[BaseException] = []
    together = threading.Barrier(users)

    def run(number: int) -> None:
        mlflow = in_subprocess(user(folder / str(number), server, name))  # a process of its own
        together.wait()
        try:
            made.append(whole_run(mlflow, package, verification, StepFinished(TRAIN, 1.0, report_of(1))))
        except BaseException as error:  # noqa: BLE001 -- it is raised below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    return made


@pytest.mark.nightly
def test_concurrent_users_have_one_experiment_and_one_version(
    server: str, tmp_path: Path, package: Package, verification: Verification
) -> None:
    fresh = package_of(package)
    made = register_concurrently(server, tmp_path, fresh, verification, "together", 3)
    assert len({(one.version, one.run_id) for one in made}) == 1
    client = client_of(user(tmp_path, server, "together"))
    (held,) = client.search_model_versions(f"tags.package_fingerprint = '{fresh.fingerprint}'")
    assert str(held.version) == made[0].version
    assert client.get_model_version_by_alias(package.model_name, "champion").version == held.version
    assert Counter(run.info.status for run in runs_in(user(tmp_path, server, "together"))) == {"FINISHED": 6}


@pytest.mark.nightly
@pytest.mark.skipif(not (POSTGRES / "postgres").exists(), reason="needs PostgreSQL")
def test_concurrent_users_of_a_server_with_postgresql(
    tmp_path: Path, package: Package, verification: Verification
) -> None:
    pytest.importorskip("psycopg2")
    import tempfile

    with (
        tempfile.TemporaryDirectory(prefix="postgres-") as folder,
        postgres(Path(folder, "db")) as database,
        mlflow_server(tmp_path / "server", database, workers=2) as uri,
    ):
        fresh = package_of(package)
        made = register_concurrently(uri, tmp_path, fresh, verification, "together", 2)
        assert len({(one.version, one.run_id) for one in made}) == 1
        client = client_of(user(tmp_path, uri, "together"))
        assert len(client.search_model_versions(f"tags.package_fingerprint = '{fresh.fingerprint}'")) == 1


def test_a_candidate_that_a_killed_process_left_open_is_ended(server: str, tmp_path: Path) -> None:
    mlflow = user(tmp_path, server, "killed")
    mlflow(STARTED)
    mlflow(StepFinished(TRAIN, 1.0, report_of(2)))
    mlflow(RunFinished(1.0))
    client = client_of(mlflow)
    child = next(run for run in runs_in(mlflow) if "orchestrator.candidate" in run.data.tags)
    client.update_run(child.info.run_id, "RUNNING")  # as if the process had been killed right there
    user(tmp_path, server, "killed")._open()
    assert client.get_run(child.info.run_id).info.status == "RUNNING", "its process, this one, lives"
    client.set_tag(child.info.run_id, "orchestrator.started", "1.0")
    user(tmp_path, server, "killed")._open()
    assert client.get_run(child.info.run_id).info.status == "KILLED"


def test_a_run_that_fails_leaves_no_candidate_open(server: str, tmp_path: Path) -> None:
    mlflow = user(tmp_path, server, "failed")
    mlflow(STARTED)
    assert mlflow._run_id
    client = client_of(mlflow)
    experiment = client.get_experiment_by_name("failed").experiment_id
    child = client.create_run(experiment, tags={"mlflow.parentRunId": mlflow._run_id})
    mlflow(RunFinished(1.0, KeyboardInterrupt()))
    assert client.get_run(child.info.run_id).info.status == "KILLED"


def test_a_check_leaves_nothing_behind(server: str, tmp_path: Path) -> None:
    tracker_in_subprocess = in_subprocess(user(tmp_path, server, "checked"))
    tracker_in_subprocess.check_before_run({})
    tracker_in_subprocess(RunFinished(1.0))
    assert tracker_in_subprocess._child is None
    assert runs_in(user(tmp_path, server, "checked")) == []
    assert client_of(user(tmp_path, server, "checked")).get_experiment_by_name("checked")


def test_artifacts_that_cannot_be_written_are_reported_before_a_run(tmp_path: Path, server: str) -> None:
    (tmp_path / "file").touch()
    for number, location in enumerate((f"{tmp_path}/file/artifacts", "s3://nowhere/artifacts", "/proc/artifacts")):
        name = f"unwritable-{number}"
        client_of(user(tmp_path, server, name)).create_experiment(name, artifact_location=location)
        with pytest.raises(TrackingError, match="written") as failure:
            user(tmp_path, server, name).check_before_run({})
        assert location in str(failure.value)
        assert "tracking.artifact_location" in str(failure.value)


def test_a_vanished_server_is_retried_within_the_budget(tmp_path: Path, server: str) -> None:
    from mlflow.utils.request_utils import _cached_get_request_session

    with dropping(server, every=10**9) as (uri, _):
        mlflow = user(tmp_path, uri, "gone", timeout_seconds=2)
        notes = notes_of(mlflow)
        store = mlflow._open()
    _cached_get_request_session.cache_clear()  # connections that are open still reach the proxy
    with pytest.raises(TrackingError, match=r"within 2 s \(tracking\.timeout_seconds\): the server does not answer"):
        store.client.search_runs([store.experiment_id])
    assert any("trying again for at most" in note for note in notes)
