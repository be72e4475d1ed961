"""AzureMl: the Tracker that writes to an Azure ML workspace, through ``azureml://`` and what its server really supports.

It has no logged models (404). So a package is logged as files of its run, and its version is made of them; Azure ML
then lists that version with its run and its experiment. It runs in this process: the connection is shared.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from orchestrator.artifacts import ModelVersion, Package, Proof, Registry, Report
from orchestrator.azure.progress import run_with_progress
from orchestrator.azure.sdk import check_installed, translate_sdk_errors
from orchestrator.azure.workspace import workspace
from orchestrator.errors import Problem, TrackingError
from orchestrator.events import Event, RunFinished, RunStarted, StepFinished
from orchestrator.spec.run_spec import AzureSpec, RunSpec
from orchestrator.tracking.mlflow import limits, models, runs
from orchestrator.tracking.mlflow.retries import Client, Patience
from orchestrator.tracking.mlflow.store import LOCK_SECONDS, Store, experiment_id, repair_runs
from orchestrator.tracking.mlflow.subprocess_tracker import SETTINGS
from orchestrator.tracking.mlflow.tracker import Mlflow

MOST_PARAMETERS = 200  # of a run in Azure ML
FOLDER = "package"  # of the run's artifacts; the registered model has this one folder
T = TypeVar("T")
CHAMPION = {True: "true", False: "false"}


@dataclass
class AzureMl(Mlflow):
    """One run per training result and one registered version per package, as in a store on this machine."""

    tracking_uri: str = field(default="", init=False)
    artifact_location: str | None = field(default=None, init=False)
    connection: AzureSpec = field(kw_only=True)
    _default: ExitStack = field(default_factory=ExitStack, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """The URI is the workspace's own, known when it is connected to."""
        self.state_dir = Path(self.state_dir).absolute()

    @property
    def where(self) -> str:
        """Which kind of workspace; its own name is not known before it is connected to."""
        return f"the workspace emulated in {self.connection.emulator}" if self.connection.emulator else "Azure ML"

    def check_installed(self) -> None:
        """SDK v1 is an extra."""
        check_installed(TrackingError, "tracking")

    @classmethod
    def problems(cls, spec: RunSpec) -> Iterator[Problem]:
        """Yield what this server refuses; it has no logged models, so a model may be called as Azure ML allows."""
        return limits.problems(spec, logged_models=False, most=MOST_PARAMETERS)

    def check_store(self) -> None:
        """Connect to the workspace, and make the experiment if it is not there."""
        self._asked(self._opened)

    def __call__(self, event: Event) -> None:
        """Observe as every Mlflow does."""
        if not isinstance(event, RunStarted | StepFinished | RunFinished):
            return  # most events are of no concern here, and asking Azure is not free
        error = event.error if isinstance(event, RunFinished) else None
        try:
            self._asked(partial(super().__call__, event))
        except TrackingError as failure:
            if error is None:
                raise
            logging.getLogger(__name__).warning("%s", failure)  # the run's own error is the one to be told
        finally:
            if isinstance(event, RunFinished):
                self._default.close()

    def record(self, report: Report) -> str:
        """The run that holds this Report; a new one if there is none."""
        return self._asked(partial(super().record, report))

    def register(self, package: Package, proof: Proof, report: Report) -> ModelVersion:
        """The version that holds this package; if there is none, a new one under the run that holds this Report."""
        return self._asked(lambda: self._register(package, proof, report))

    def look_up(self, model: str) -> Registry:
        """What the workspace holds of this model now."""
        return self._asked(lambda: _looked_up(self._opened(), model))

    def promote(self, version: ModelVersion) -> None:
        """Tag this version, and no other, as the champion: aliases are more than Azure ML's server has."""
        self._asked(lambda: self._promote(version))

    def _register(self, package: Package, proof: Proof, report: Report) -> ModelVersion:
        store = self._opened()
        with store.lock:
            found = _found(store, package)
            if found is not None:
                return ModelVersion(package.model_name, str(found.version), str(found.run_id), package)
            run_id = self._run_id or runs.find_run(store, report) or self._write_again(store, report)
            return _create(store, package, proof, run_id)

    def _promote(self, version: ModelVersion) -> None:
        store = self._opened()
        with store.lock:
            held = list(store.client.search_model_versions(f"name = '{version.name}'"))
            fingerprints = {str(one.version): one.tags.get(models.FINGERPRINT) for one in held}
            if fingerprints.get(version.version) != version.package.fingerprint:
                raise TrackingError(
                    f"tracking: version {version.version} of '{version.name}' in this workspace is not the package that "
                    "is deployed; was it registered in another one? Register it here with stages=package"
                )
            for one in held:
                wanted = CHAMPION[str(one.version) == version.version]
                if one.tags.get(models.CHAMPION, CHAMPION[False]) != wanted:
                    store.client.set_model_version_tag(version.name, one.version, models.CHAMPION, wanted)

    def _asked(self, work: Callable[[], T]) -> T:
        """What Azure answers; it may take its time, which is told. What MLflow prints is not."""

        def silently(_: object) -> T:
            with translate_sdk_errors(TrackingError, "tracking"):
                return work()

        return run_with_progress(silently, "tracking", self._note, TrackingError)

    def _opened(self) -> Store:
        if self._store is None:
            for name, value in SETTINGS.items():
                os.environ.setdefault(name, value)  # before mlflow is imported
            uri = workspace(self.connection).get_mlflow_tracking_uri()
            from mlflow import MlflowClient

            self.state_dir.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.state_dir / "tracking.azureml.lock", timeout=LOCK_SECONDS)
            client = Client(
                MlflowClient(tracking_uri=uri, registry_uri=uri), Patience(uri, self.timeout_seconds, self._note)
            )
            with lock:
                store = Store(uri, client, experiment_id(client, uri, self.experiment_name, None), lock)
                repair_runs(store)
            self._store = store
            # an artifact's URI names no credentials: azureml-mlflow takes those of MLflow's default store
            self._default.enter_context(models.as_default(uri))
        return self._store


def _looked_up(store: Store, model: str) -> Registry:
    held = list(store.client.search_model_versions(f"name = '{model}'"))
    best = [str(one.version) for one in held if one.tags.get(models.CHAMPION) == CHAMPION[True]]
    return Registry(
        {str(one.version): one.tags.get(models.FINGERPRINT, "") for one in held}, best[-1] if best else None
    )


def _found(store: Store, package: Package) -> Any:
    """The newest version that is this package and whose run is still there. Its tags are compared here, not there."""
    from mlflow.exceptions import MlflowException

    held = store.client.search_model_versions(f"name = '{package.model_name}'")
    for one in sorted(held, key=lambda version: -int(version.version)):
        if one.tags.get(models.FINGERPRINT) == package.fingerprint and one.run_id:
            with suppress(MlflowException):
                store.client.get_run(one.run_id)
                return one
    return None


def _create(store: Store, package: Package, proof: Proof, run_id: str) -> ModelVersion:
    """Log the package as an MLflow model among the run's files, and make a version of them."""
    from mlflow.exceptions import MlflowException

    client, name = store.client, package.model_name
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, FOLDER)
        shutil.copytree(package.path, folder, ignore=shutil.ignore_patterns("__pycache__"))
        models.describe(folder, name, run_id, None)
        there = {one.path for one in client.list_artifacts(run_id)}
        if FOLDER not in there:  # it refuses the same path twice
            client.log_artifacts(run_id, str(folder), FOLDER)
    with suppress(MlflowException):  # there already; what else may be wrong, the next call tells
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/{FOLDER}"
    version = client.once(
        lambda bare: bare.create_model_version(
            name,
            source=source,
            run_id=run_id,
            tags={models.FINGERPRINT: package.fingerprint},
            description=f"Package {package.short_id}; {proof.requests} golden requests proven in a clean process",
        ),
        lambda _: _found(store, package),
    )
    return ModelVersion(name, str(version.version), run_id, package)
