"""Store: an MLflow tracking store and registry, opened: created whole if absent, our dead runs in it closed."""

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

from filelock import FileLock, Timeout

from orchestrator.errors import TrackingError
from orchestrator.tracking.mlflow.migration import migrate
from orchestrator.tracking.mlflow.retries import Client, Patience
from orchestrator.tracking.mlflow.server_errors import NoMlflowError, describe
from orchestrator.tracking.mlflow.store_checks import check_server, connect
from orchestrator.tracking.mlflow.uri import PREFIX, sqlite_path

HOST, PID, STARTED = "orchestrator.host", "orchestrator.pid", "orchestrator.started"
CANDIDATE = "orchestrator.candidate"  # marks a child run that is no training of its own
KEY = "orchestrator.key"  # of what is created: it is found by it where the answer was lost
ERROR = "error"  # the tag that says why a run FAILED
FOREIGN = {"mlflow", "sqlalchemy", "sqlite3", "requests", "urllib3"}
LOCK_SECONDS = 300  # a search of a thousand candidates is written in 20


@dataclass(frozen=True)
class Store:
    """An open store: MLflow's client for it, our experiment in it, and the lock under which we write."""

    uri: str
    client: Any
    experiment_id: str
    lock: FileLock


def open_store(uri: str, experiment: str, artifacts: str | None, state: Path, patience: Patience) -> Store:
    """Open the store at ``uri``; make it and the experiment if they are not there; end what a dead process left."""
    path = sqlite_path(uri)
    folder = state / "tracking" if path is None else path.parent
    lock = FileLock(folder / f"{'server' if path is None else path.name}.lock", timeout=LOCK_SECONDS)
    connect(uri)
    with writing(uri, lock):
        from mlflow import MlflowClient

        if path is not None and not _is_database(path):
            _create(path, artifacts)
        elif path is not None:
            migrate(path, uri, patience.note)
        client = Client(MlflowClient(tracking_uri=uri, registry_uri=uri), patience)
        check_server(client, uri)
        store = Store(uri, client, experiment_id(client, uri, experiment, artifacts), lock)
        repair_runs(store)
        _repair_models(store)
    return store


@contextmanager
def writing(uri: str, lock: FileLock) -> Iterator[None]:
    """Write alone, without MLflow's chatter, and tell what fails in one line.

    Parallel jobs of a sweep wait here, in order, instead of inside sqlite, which gives up with "database is locked".
    """
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        with lock, _quiet():
            yield
    except Timeout as error:
        raise TrackingError(
            f"tracking store {uri}: another process has held {lock.lock_file} for {LOCK_SECONDS} s; "
            "end it, or give this run its own state_dir"
        ) from error
    except TrackingError:
        raise
    except Exception as error:
        if isinstance(error, OSError | NoMlflowError) or type(error).__module__.split(".")[0] in FOREIGN:
            raise TrackingError(f"tracking store {uri}: {describe(error, uri)}") from error
        raise


def owner() -> dict[str, str]:
    """Tags that say which process holds an open run, also after its number was given to another."""
    import psutil

    return {HOST: socket.gethostname(), PID: str(os.getpid()), STARTED: str(psutil.Process().create_time())}


def _gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that wrote these tags on this host has ended."""
    from orchestrator.processes import find_process

    with suppress(ValueError):
        return find_process(int(tags[PID]), float(tags[STARTED])) is None
    return True


def repair_runs(store: Store) -> None:
    """End the runs that a killed process left open on this host: candidates as KILLED, others as FAILED."""
    client, written_here = store.client, f"tags.`{HOST}` = '{socket.gethostname()}'"
    for run in client.search_runs([store.experiment_id], f"attributes.status = 'RUNNING' and {written_here}"):
        if not _gone(run.data.tags):
            continue
        end_children(store, run.info.run_id)
        if CANDIDATE in run.data.tags:
            client.set_terminated(run.info.run_id, "KILLED")
        else:
            client.set_tag(run.info.run_id, ERROR, "the process that wrote this run was killed")
            client.set_terminated(run.info.run_id, "FAILED")


def end_children(store: Store, run_id: str) -> None:
    """End the candidates of a run that are still open, as KILLED."""
    of_it = f"attributes.status = 'RUNNING' and tags.`mlflow.parentRunId` = '{run_id}'"
    for child in store.client.search_runs([store.experiment_id], of_it):
        store.client.set_terminated(child.info.run_id, "KILLED")


def _repair_models(store: Store) -> None:
    """End the models of ours that a killed process left unfinished on this host."""
    client, ours = store.client, f"tags.`{HOST}` = '{socket.gethostname()}'"
    for model in client.search_logged_models([store.experiment_id], ours):  # sqlite finds none by its status (3.17)
        if str(model.status) == "PENDING" and _gone(model.tags):
            client.finalize_logged_model(model.model_id, "FAILED")


def _is_database(path: Path) -> bool:
    """Whether there is a database to open; what is no database is told at once (MLflow would retry for minutes)."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise TrackingError(f"{path} is no readable sqlite store ({error}); move it away and run again") from error
    return True


def _create(path: Path, artifacts: str | None) -> None:
    """Make the database beside its place, then move it there: a kill inside the migrations leaves no broken store."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        SqlAlchemyStore(f"{PREFIX}{fresh}", artifacts).engine.dispose()
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def experiment_id(client: Any, uri: str, name: str, artifacts: str | None) -> str:
    """The experiment of this name, made if it is not there; another user may make it at the same moment."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment {name!r} was deleted in {uri}; bring it back with `MLFLOW_TRACKING_URI={uri} "
            f"mlflow experiments restore --experiment-id {found.experiment_id}`, or set tracking.experiment_name"
        )
    return str(found.experiment_id)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let MLflow and its migrations tell warnings only, for as long as we call them."""
    import mlflow  # noqa: F401 -- it sets its own loggers up when imported; afterwards is soon enough

    levels = {name: logging.getLogger(name).level for name in ("mlflow", "alembic")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
