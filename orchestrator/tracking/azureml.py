"""AzureMl: the Tracker of an Azure ML workspace, through ``azureml://`` and what its tracking server supports.

The server has no logged models (404). So a package is logged as files of its run, and its version is made of them;
Azure ML then lists that version with its run and its experiment. It runs in this process: the connection is shared.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.azure.progress import run_with_progress
from orchestrator.azure.sdk import check_installed, translate_sdk_errors
from orchestrator.azure.workspace import workspace
from orchestrator.errors import Problem, TrackingError
from orchestrator.events import Event, RunFinished, RunStarted, StepFinished
from orchestrator.processes import exclusive
from orchestrator.spec.azure import AzureSpec
from orchestrator.spec.run_spec import RunSpec
from orchestrator.tracking.mlflow import limits, mlmodel, model_versions, models, runs, verdicts
from orchestrator.tracking.mlflow.retries import RetryBudget, RetryingClient
from orchestrator.tracking.mlflow.store import LOCK_SECONDS, Store, experiment_id, repair_runs
from orchestrator.tracking.mlflow.tracker import Mlflow
from orchestrator.tracking.mlflow.tracker_process import SETTINGS
from orchestrator.tracking.registered_model import (
    CHALLENGER,
    CHAMPION,
    MEMORY,
    TURN,
    RegisteredModel,
    TrainingRecord,
)

MAX_PARAMETERS = 200  # per run in Azure ML
PACKAGE_FOLDER = "package"  # of the run's artifacts; the registered model has this one folder
T = TypeVar("T")
TAGGED = {True: "true", False: "false"}


@dataclass
class AzureMl(Mlflow):
    """One run per training result and one registered version per package, as in a local store."""

    tracking_uri: str = field(default="", init=False)
    artifact_location: str | None = field(default=None, init=False)
    connection: AzureSpec = field(kw_only=True)
    _default_store: ExitStack = field(default_factory=ExitStack, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Leave the URI empty: the workspace provides it when it is connected."""
        self.state_dir = Path(self.state_dir).absolute()

    @property
    def registry_name(self) -> str:
        """The kind of workspace; its own name is unknown before it is connected."""
        return f"the workspace emulated in {self.connection.emulator}" if self.connection.emulator else "Azure ML"

    def check_installed(self) -> None:
        """Require the extra with the SDK v1."""
        check_installed(TrackingError, "tracking")

    @classmethod
    def problems(cls, spec: RunSpec) -> Iterator[Problem]:
        """Yield what this server refuses; it has no logged models, so model names follow Azure ML's rules only."""
        return limits.name_problems(spec, logged_models=False, most=MAX_PARAMETERS)

    def check_store(self) -> None:
        """Connect to the workspace, and create the experiment if it is missing."""
        self._run_with_progress(self._open)

    def __call__(self, event: Event) -> None:
        """Observe as Mlflow does."""
        if not isinstance(event, RunStarted | StepFinished | RunFinished):
            return  # other events need no call to Azure
        error = event.error if isinstance(event, RunFinished) else None
        try:
            self._run_with_progress(partial(super().__call__, event))
        except TrackingError as failure:
            if error is None:
                raise
            logging.getLogger(__name__).warning("%s", failure)  # the run's own error matters more
        finally:
            if isinstance(event, RunFinished):
                self._default_store.close()

    def record(self, report: Report) -> str:
        """Return the run that holds this Report; a new one if there is none."""
        return self._run_with_progress(partial(super().record, report))

    def attach(self, report: Report, files: Mapping[str, bytes], version: ModelVersion | None = None) -> None:
        """Keep files beside the run that holds this Report; one that is there stays, as no path is written twice."""
        self._run_with_progress(partial(super().attach, report, files, version))

    def _write_files(self, store: Store, run_id: str, files: Mapping[str, bytes]) -> None:
        there = {one.path for one in store.client.list_artifacts(run_id)}
        if new := {name: content for name, content in files.items() if name not in there}:
            runs.attach(store, run_id, new)

    def register(self, package: Package, verification: Verification, report: Report) -> ModelVersion:
        """Return the version that holds this package; if there is none, a new one under this Report's run."""
        return self._run_with_progress(lambda: self._register(package, verification, report))

    def look_up(self, model: str) -> RegisteredModel:
        """Return the current versions of this model in the workspace."""
        return self._run_with_progress(lambda: _read_registry(self._open(), model))

    def describe(self, model: str) -> Mapping[str, TrainingRecord]:
        """Return what the runs of this model's versions recorded, by the version's number."""

        def work() -> Mapping[str, TrainingRecord]:
            store = self._open()
            return model_versions.describe(store, _read_registry(store, model), one_by_one=True)

        return self._run_with_progress(work)

    def download(self, version: ModelVersion, folder: Path) -> None:
        """Download the version's files into an existing, empty folder."""
        self._note(f"downloading version {version.version} of '{version.name}' from {self.registry_name}")
        self._run_with_progress(lambda: model_versions.download(self._open(), version, folder))
        logged = folder / PACKAGE_FOLDER
        if logged.is_dir():  # Azure's client keeps the path below the run
            for path in list(logged.iterdir()):
                path.rename(folder / path.name)
            logged.rmdir()

    def looks(self, holdout: str, sweep: str = "") -> Sequence[str]:
        """Return the hash of each spec of which a run outside of ``sweep`` was scored on the hold-out rows with this digest."""
        return self._run_with_progress(lambda: verdicts.read_looks(self._open(), holdout, sweep))

    def record_verdict(
        self, version: ModelVersion, tags: Mapping[str, str], metrics: Mapping[str, float], alias: str
    ) -> None:
        """Record a decision on the version and its run; it, and no other, is tagged with ``alias``, unless that is ""."""

        def work() -> None:
            store = self._open()
            with _exclusive(store.lock):
                verdicts.record_verdict(store, version, tags, metrics)
                if alias:
                    for one in list(store.client.search_model_versions(f"name = '{version.name}'")):
                        _tag(store, one, alias, is_it=str(one.version) == version.version)

        self._run_with_progress(work)

    def promote(self, version: ModelVersion) -> None:
        """Tag this version, and no other, as the champion: Azure ML's server has no aliases."""
        self._run_with_progress(lambda: self._promote(version))

    def _register(self, package: Package, verification: Verification, report: Report) -> ModelVersion:
        store = self._open()
        with _exclusive(store.lock):
            existing = _find_version(store, package)
            if existing is not None:
                return ModelVersion(package.model_name, str(existing.version), str(existing.run_id), package)
            run_id = self._run_id or runs.find_run(store, report) or self._log_again(store, report)
            return _create_version(store, package, verification, run_id)

    def _promote(self, version: ModelVersion) -> None:
        store = self._open()
        with _exclusive(store.lock):
            versions = list(store.client.search_model_versions(f"name = '{version.name}'"))
            registry = _registry_of(versions)
            if not registry.holds(version):
                raise TrackingError(
                    f"tracking: version {version.version} of '{version.name}' in this workspace is not the package that "
                    "is deployed; was it registered in another one? Register it here with stages=package"
                )
            recorded = dict(registry.promotion_tags(version.version))
            turn = recorded.pop(TURN, "")
            for name, value in recorded.items():
                store.client.set_model_version_tag(version.name, version.version, name, value)
            for one in versions:
                is_new = str(one.version) == version.version
                _tag(store, one, CHAMPION, is_it=is_new)
                if is_new:
                    _tag(store, one, CHALLENGER, is_it=False)
            if turn:
                store.client.set_model_version_tag(version.name, version.version, TURN, turn)

    def _run_with_progress(self, work: Callable[[], T]) -> T:
        """Call Azure with progress notes; MLflow's own output is not shown."""

        def translated(_: object) -> T:
            with translate_sdk_errors(TrackingError, "tracking"):
                return work()

        return run_with_progress(translated, "tracking", self._note, TrackingError)

    def _open(self) -> Store:
        if self._store is None:
            for name, value in SETTINGS.items():
                os.environ.setdefault(name, value)  # before mlflow is imported
            uri = workspace(self.connection).get_mlflow_tracking_uri()
            from mlflow import MlflowClient

            self.state_dir.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.state_dir / "tracking.azureml.lock", timeout=LOCK_SECONDS)
            client = RetryingClient(
                MlflowClient(tracking_uri=uri, registry_uri=uri), RetryBudget(uri, self.timeout_seconds, self._note)
            )
            with _exclusive(lock):
                store = Store(uri, client, experiment_id(client, uri, self.experiment_name, None), lock)
                repair_runs(store)
            self._store = store
            # an artifact's URI holds no credentials: azureml-mlflow uses those of MLflow's default store
            self._default_store.enter_context(models.use_as_default(uri))
        return self._store


def _exclusive(lock: FileLock) -> AbstractContextManager[None]:
    return exclusive(lock, TrackingError, "tracking: another process writes to this workspace")


def _tag(store: Store, version: Any, name: str, *, is_it: bool) -> None:
    """Tag one of MLflow's versions, unless it is tagged so."""
    if version.tags.get(name, TAGGED[False]) != TAGGED[is_it]:
        store.client.set_model_version_tag(version.name, version.version, name, TAGGED[is_it])


def _read_registry(store: Store, model: str) -> RegisteredModel:
    return _registry_of(store.client.search_model_versions(f"name = '{model}'"))


def _registry_of(versions: Iterable[Any]) -> RegisteredModel:
    """Return the versions and what their tags say; of two that are tagged alike, the newest."""
    ordered = sorted(versions, key=lambda one: int(one.version))
    aliases = {
        name: str(one.version)
        for one in ordered
        for name in (CHAMPION, CHALLENGER)
        if one.tags.get(name) == TAGGED[True]
    }
    return RegisteredModel.of({str(one.version): model_versions.entry_of(one) for one in ordered}, aliases)


def _find_version(store: Store, package: Package) -> Any:
    """Return the newest version of this package whose run still exists. The server cannot filter by tags."""
    from mlflow.exceptions import MlflowException

    versions = store.client.search_model_versions(f"name = '{package.model_name}'")
    for one in sorted(versions, key=lambda version: -int(version.version)):
        if one.tags.get(models.FINGERPRINT) == package.fingerprint and one.run_id:
            with suppress(MlflowException):
                store.client.get_run(one.run_id)
                return one
    return None


def _create_version(store: Store, package: Package, verification: Verification, run_id: str) -> ModelVersion:
    """Log the package as an MLflow model among the run's files, and make a version of them."""
    from mlflow.exceptions import MlflowException

    client, name = store.client, package.model_name
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, PACKAGE_FOLDER)
        shutil.copytree(package.path, folder, ignore=shutil.ignore_patterns("__pycache__"))
        mlmodel.write_mlmodel(folder, name, run_id, None)
        existing = {one.path for one in client.list_artifacts(run_id)}
        if PACKAGE_FOLDER not in existing:  # the server refuses to write a path twice
            client.log_artifacts(run_id, str(folder), PACKAGE_FOLDER)
    with suppress(MlflowException):  # it exists already; the next call reports any other problem
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/{PACKAGE_FOLDER}"
    version = client.create_once(
        lambda bare: bare.create_model_version(
            name,
            source=source,
            run_id=run_id,
            tags={models.FINGERPRINT: package.fingerprint, MEMORY: str(verification.memory_bytes)},
            description=f"Package {package.short_id}; {verification.requests} golden requests answered in a clean process",
        ),
        lambda _: _find_version(store, package),
    )
    return ModelVersion(name, str(version.version), run_id, package)
