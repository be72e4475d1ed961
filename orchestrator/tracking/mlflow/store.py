"""Open an MLflow tracking store and registry: create it if it is missing and end runs whose process was killed."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from orchestrator.errors import TrackingError
from orchestrator.processes import exclusive
from orchestrator.tracking.mlflow.migration import migrate
from orchestrator.tracking.mlflow.retries import RetryBudget, RetryingClient
from orchestrator.tracking.mlflow.server_errors import NotMlflowError, describe_error
from orchestrator.tracking.mlflow.store_checks import check_connection, check_server
from orchestrator.tracking.mlflow.uri import PREFIX, sqlite_path

HOST, PID, STARTED = "orchestrator.host", "orchestrator.pid", "orchestrator.started"
CANDIDATE = "orchestrator.candidate"  # marks a candidate's child run
KEY = "orchestrator.key"  # finds what was created if the answer was lost
ERROR = "error"  # the tag with the reason why a run FAILED
FOREIGN_PACKAGES = {"mlflow", "sqlalchemy", "sqlite3", "requests", "urllib3"}
LOCK_SECONDS = 300  # logging a search of a thousand candidates takes 20


@dataclass(frozen=True)
class Store:
    """An open store: MLflow's client for it, the experiment in it, and the lock for writing."""

    uri: str
    client: Any
    experiment_id: str
    lock: FileLock


def open_store(uri: str, experiment: str, artifacts: str | None, state: Path, budget: RetryBudget) -> Store:
    """Open the store at ``uri``; create it and the experiment if missing; end what a killed process left open."""
    path = sqlite_path(uri)
    folder = state / "tracking" if path is None else path.parent
    lock = FileLock(folder / f"{'server' if path is None else path.name}.lock", timeout=LOCK_SECONDS)
    check_connection(uri)
    with exclusive_write(uri, lock):
        from mlflow import MlflowClient

        if path is not None and not _is_database(path):
            _create(path, artifacts)
        elif path is not None:
            migrate(path, uri, budget.note)
        client = RetryingClient(MlflowClient(tracking_uri=uri, registry_uri=uri), budget)
        check_server(client, uri)
        store = Store(uri, client, experiment_id(client, uri, experiment, artifacts), lock)
        repair_runs(store)
        _repair_models(store)
    return store


@contextmanager
def exclusive_write(uri: str, lock: FileLock) -> Iterator[None]:
    """Hold the store's lock, silence MLflow's log, and convert its failures to a one-line TrackingError.

    Parallel jobs of a sweep wait for the lock, in order, and not in sqlite, which fails with "database is locked".
    """
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        busy = f"tracking store {uri}: another process writes to it"
        with exclusive(lock, TrackingError, busy, "; or give this run its own state_dir"), _quiet():
            yield
    except TrackingError:
        raise
    except Exception as error:
        if isinstance(error, OSError | NotMlflowError) or type(error).__module__.split(".")[0] in FOREIGN_PACKAGES:
            raise TrackingError(f"tracking store {uri}: {describe_error(error, uri)}") from error
        raise


def owner_tags() -> dict[str, str]:
    """Return tags that identify the process that holds an open run, also after its pid was reused."""
    import psutil

    return {HOST: socket.gethostname(), PID: str(os.getpid()), STARTED: str(psutil.Process().create_time())}


def _has_ended(tags: Mapping[str, str]) -> bool:
    """Return whether the process that wrote these tags on this host has ended."""
    from orchestrator.processes import find_process

    with suppress(ValueError):
        return find_process(int(tags[PID]), float(tags[STARTED])) is None
    return True


def repair_runs(store: Store) -> None:
    """End the runs that a killed process left open on this host: candidates as KILLED, others as FAILED."""
    client, of_this_host = store.client, f"tags.`{HOST}` = '{socket.gethostname()}'"
    for run in client.search_runs([store.experiment_id], f"attributes.status = 'RUNNING' and {of_this_host}"):
        if not _has_ended(run.data.tags):
            continue
        end_children(store, run.info.run_id)
        if CANDIDATE in run.data.tags:
            client.set_terminated(run.info.run_id, "KILLED")
        else:
            client.set_tag(run.info.run_id, ERROR, "the process that wrote this run was killed")
            client.set_terminated(run.info.run_id, "FAILED")


def end_children(store: Store, run_id: str) -> None:
    """End the candidates of a run that are still open, as KILLED."""
    of_this_run = f"attributes.status = 'RUNNING' and tags.`mlflow.parentRunId` = '{run_id}'"
    for child in store.client.search_runs([store.experiment_id], of_this_run):
        store.client.set_terminated(child.info.run_id, "KILLED")


def _repair_models(store: Store) -> None:
    """End the logged models that a killed process left unfinished on this host."""
    client, of_this_host = store.client, f"tags.`{HOST}` = '{socket.gethostname()}'"
    for model in client.search_logged_models(
        [store.experiment_id], of_this_host
    ):  # a filter by status finds nothing in sqlite (3.17)
        if str(model.status) == "PENDING" and _has_ended(model.tags):
            client.finalize_logged_model(model.model_id, "FAILED")


def _is_database(path: Path) -> bool:
    """Return whether there is a database to open; fail at once if it is none (MLflow would retry for minutes)."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise TrackingError(f"{path} is no readable sqlite store ({error}); move it away and run again") from error
    return True


def _create(path: Path, artifacts: str | None) -> None:
    """Create the database under a temporary name and rename it: a kill inside the migrations leaves no broken store."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        SqlAlchemyStore(f"{PREFIX}{temporary}", artifacts).engine.dispose()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def experiment_id(client: Any, uri: str, name: str, artifacts: str | None) -> str:
    """Return the experiment of this name, created if missing; another user may create it concurrently."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        experiment = client.get_experiment_by_name(name)
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment {name!r} was deleted in {uri}; bring it back with `MLFLOW_TRACKING_URI={uri} "
            f"mlflow experiments restore --experiment-id {experiment.experiment_id}`, or set tracking.experiment_name"
        )
    return str(experiment.experiment_id)


@contextmanager
def _quiet() -> Iterator[None]:
    """Restrict MLflow's and its migrations' logs to warnings."""
    import mlflow  # noqa: F401 -- the import configures its loggers, so it must come first

    levels = {name: logging.getLogger(name).level for name in ("mlflow", "alembic")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
