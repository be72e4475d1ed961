"""Mlflow: the Tracker of an MLflow store, a sqlite file or a server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field

from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.errors import OrchestratorError, Problem
from orchestrator.events import Event, ProgressMixin, RunFinished, RunStarted, StepFinished
from orchestrator.spec.run_spec import RunSpec
from orchestrator.tracking.mlflow import limits, model_versions, models, runs, store_checks, verdicts
from orchestrator.tracking.mlflow.retries import RetryBudget
from orchestrator.tracking.mlflow.snapshot import StoreSnapshot, store_stamp
from orchestrator.tracking.mlflow.store import ERROR, Store, end_children, exclusive_write, open_store
from orchestrator.tracking.mlflow.uri import StoreUri, sqlite_path, store_uri
from orchestrator.tracking.registered_model import RegisteredModel, TrainingRecord

Seconds = Annotated[float, Field(ge=1)]


def will_train(event: RunStarted) -> bool:
    """Return whether this run will make a new Report: only then is there something to log."""
    return any(step.gives == Report.__name__ and not step.cached for step in event.steps)


def error_text(error: BaseException) -> str:
    """Format an error in one text, with its type unless it is this project's."""
    return str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"


@dataclass
class Mlflow(ProgressMixin):
    """One MLflow run per training result, one registered version per package; existing ones are reused.

    Its fields are its YAML keys. ``tracking_uri`` is an absolute sqlite store (``sqlite:////abs/mlflow.db``) or a
    server (``http://host:5000``). ``artifact_location`` is used when the experiment is created; the default of a sqlite
    store is ``artifacts`` beside it, a server has its own. The jobs of one ``sweep_id`` are nested under one run. A server
    may leave calls unanswered for ``timeout_seconds`` in all.
    """

    tracking_uri: StoreUri
    experiment_name: str
    state_dir: Path
    artifact_location: str | None = None
    parent_run_name: str | None = None
    sweep_id: str | None = None
    timeout_seconds: Seconds = 60.0
    _store: Store | None = field(default=None, init=False, repr=False, compare=False)
    _run_id: str | None = field(default=None, init=False, repr=False, compare=False)
    _sweep_run: str | None = field(default=None, init=False, repr=False, compare=False)
    _model: str | None = field(default=None, init=False, repr=False, compare=False)
    _recorded: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _attached: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _verdicts: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.state_dir = Path(self.state_dir).absolute()
        path = sqlite_path(store_uri(self.tracking_uri))  # validated here too, for trackers that are made in Python
        if path is not None and self.artifact_location is None:
            self.artifact_location = str(path.parent / "artifacts")

    @property
    def registry_name(self) -> str:
        """The store's URI, without a user and password."""
        return re.sub(r"//[^/@]*@", "//", self.tracking_uri)

    @classmethod
    def problems(cls, spec: RunSpec) -> Iterator[Problem]:
        """Yield each name in a spec that MLflow refuses, before anything runs."""
        return limits.name_problems(spec)

    def check_before_run(self, params: Mapping[str, str]) -> None:
        """Find what would make writing fail, before training; ``params`` are the run's parameters as far as known."""
        for note in store_checks.iter_warnings(self.tracking_uri, self.experiment_name, params):
            self._note(note)
        self.check_store()

    def check_store(self) -> None:
        """Check a server's version, experiment and artifacts; check files on this machine."""
        path = sqlite_path(self.tracking_uri)
        if path is not None:
            store_checks.check_local_store(path, self.experiment_name, self.artifact_location)
            return
        store = self._open()
        with exclusive_write(store.uri, store.lock):
            store_checks.check_artifacts(store.client, store.experiment_id)

    def __call__(self, event: Event) -> None:
        """Open a run when something is to be trained, log its Report, close it with its outcome."""
        if isinstance(event, RunStarted) and will_train(event):
            self._open_with_run()
        elif isinstance(event, StepFinished) and isinstance(event.artifact, Report):
            store = self._open_with_run()
            with exclusive_write(store.uri, store.lock):
                runs.log_report(store, self._open_run(store), event.artifact)
        elif isinstance(event, RunFinished):
            self._finish(event.error)

    def record(self, report: Report) -> str:
        """Return the run that holds this Report; a new one if there is none."""
        if self._store is None and (known := self.known_run(report)):
            return known
        store = self._open()
        with exclusive_write(store.uri, store.lock):
            run_id = self._run_id or runs.find_run(store, report) or self._log_again(store, report)
        self._recorded[runs.report_digest(report)] = run_id
        return run_id

    def attach(self, report: Report, files: Mapping[str, bytes], version: ModelVersion | None = None) -> None:
        """Keep files beside the run that holds this Report, a new run if there is none, and beside the version's package."""
        if self._store is None and self.has_attached(report, files, version):
            return
        store = self._open()
        with exclusive_write(store.uri, store.lock):
            run_id = self._run_id or runs.find_run(store, report) or self._log_again(store, report)
            self._write_files(store, run_id, files)
            if version is not None and version.version:
                model_versions.attach(store, version, run_id, files)
        self._attached[runs.report_digest(report)] = runs.files_digest(files, version)

    def _write_files(self, store: Store, run_id: str, files: Mapping[str, bytes]) -> None:
        runs.attach(store, run_id, files)

    def register(self, package: Package, verification: Verification, report: Report) -> ModelVersion:
        """Return the version that holds this package; if there is none, a new one under this Report's run."""
        if self._store is None and (known := self.known_version(package)):
            return known
        self._model, store = package.model_name, self._open()
        with exclusive_write(store.uri, store.lock):
            registered = models.registered_versions(store, package.model_name, package.fingerprint)
            if package.fingerprint in registered:
                version, run_id = registered[package.fingerprint]
                return ModelVersion(package.model_name, version, run_id, package)
            run_id = self._run_id or runs.find_run(store, report) or self._log_again(store, report)
            return models.create_version(store, package, verification, report, run_id)

    def look_up(self, model: str) -> RegisteredModel:
        """Return the current versions of this model in the registry."""
        if self._store is None and (known := self.known_registry(model)):
            return known
        self._model, store = model, self._open()
        with exclusive_write(store.uri, store.lock):
            return model_versions.look_up(store, model)

    def describe(self, model: str) -> Mapping[str, TrainingRecord]:
        """Return what the runs of this model's versions recorded, by the version's number."""
        self._model, store = model, self._open()
        with exclusive_write(store.uri, store.lock):
            return model_versions.describe(store, model_versions.look_up(store, model))

    def download(self, version: ModelVersion, folder: Path) -> None:
        """Download the version's files into an existing, empty folder."""
        self._note(f"downloading version {version.version} of '{version.name}' from {self.registry_name}")
        store = self._open()
        with exclusive_write(store.uri, store.lock):
            model_versions.download(store, version, folder)

    def record_sweep(self, sweep_id: str, file: Path) -> None:
        """Log a file about all jobs of a sweep on the run that they are nested under, if there is one."""
        store = self._open()
        with exclusive_write(store.uri, store.lock):
            runs.log_sweep_file(store, sweep_id, file)
        self._finish(None)

    def promote(self, version: ModelVersion) -> None:
        """Point the alias ``champion`` at this version."""
        if self._store is None and self.is_champion(version):
            return
        self._model, store = version.name, self._open()
        with exclusive_write(store.uri, store.lock):
            model_versions.promote(store, version)
            runs.clear_failure(store, version.run_id)

    def looks(self, holdout: str, sweep: str = "") -> Sequence[str]:
        """Return the hash of each spec of which a run outside of ``sweep`` was scored on the hold-out rows with this digest."""
        store = self._open()
        with exclusive_write(store.uri, store.lock):
            return verdicts.read_looks(store, holdout, sweep)

    def record_verdict(
        self, version: ModelVersion, tags: Mapping[str, str], metrics: Mapping[str, float], alias: str
    ) -> None:
        """Record a decision on the version and its run; ``alias`` is pointed at it, unless that is ""."""
        if self._store is None and self.known_verdict(version) == dict(tags):
            return
        self._model, store = version.name, self._open()
        with exclusive_write(store.uri, store.lock):
            verdicts.record_verdict(store, version, tags, metrics)
            if alias:
                store.client.set_registered_model_alias(version.name, alias, version.version)
        self._verdicts[version.package.fingerprint] = dict(tags)

    def known_verdict(self, version: ModelVersion) -> Mapping[str, str] | None:
        """Return the tags of the decision on a version, if the snapshot knows them."""
        known = self._snapshot(version.name).load().get("verdicts", {})
        return cast("Mapping[str, str] | None", known.get(version.package.fingerprint))

    def known_version(self, package: Package) -> ModelVersion | None:
        """Return the version of this package, if the snapshot knows it without importing mlflow."""
        snapshot = self._snapshot(package.model_name).load()
        known = snapshot.get("versions", {}).get(package.fingerprint)
        return ModelVersion(package.model_name, known[0], known[1], package) if known else None

    def known_run(self, report: Report) -> str | None:
        """Return the run that holds this Report, if the snapshot knows it."""
        run_id: str | None = self._snapshot().load().get("runs", {}).get(runs.report_digest(report))
        return run_id

    def has_attached(self, report: Report, files: Mapping[str, bytes], version: ModelVersion | None = None) -> bool:
        """Return whether the snapshot knows that the run of this Report, and the version, have these files."""
        held = self._snapshot().load().get("files", {}).get(runs.report_digest(report))
        return bool(held == runs.files_digest(files, version))

    def known_registry(self, model: str) -> RegisteredModel | None:
        """Return the versions of this model, if the snapshot knows them."""
        path = sqlite_path(self.tracking_uri)
        if path is not None and not path.exists():
            return RegisteredModel({})
        snapshot = self._snapshot(model).load()
        return RegisteredModel.from_json(snapshot["registry"]) if "entries" in snapshot.get("registry", {}) else None

    def is_champion(self, version: ModelVersion) -> bool:
        """Return whether the snapshot knows that the alias points at this version."""
        snapshot = self._snapshot(version.name).load()
        held = snapshot.get("registry", {}).get("versions", {}).get(version.version)
        same = held == version.package.fingerprint
        return bool(same and snapshot["champion"] == version.version)

    def _snapshot(self, model: str | None = None) -> StoreSnapshot:
        return StoreSnapshot.at(self.state_dir / "tracking", self.tracking_uri, self.experiment_name, model)

    def _open(self) -> Store:
        if self._store is None:
            budget = RetryBudget(self.tracking_uri, self.timeout_seconds, self._note)
            self._store = open_store(
                self.tracking_uri, self.experiment_name, self.artifact_location, self.state_dir, budget
            )
        return self._store

    def _open_with_run(self) -> Store:
        store = self._open()
        with exclusive_write(store.uri, store.lock):
            self._open_run(store)
        return store

    def _open_run(self, store: Store) -> str:
        if self._run_id is None:
            if self.sweep_id is not None:
                self._sweep_run = runs.get_sweep_run(store, self.sweep_id, self.parent_run_name)
            self._run_id = runs.open_run(store, self._sweep_run)
        return self._run_id

    def _log_again(self, store: Store, report: Report) -> str:
        """Log a Report that was cached, but whose run is gone or failed; the run is closed as this one ends."""
        run_id = self._open_run(store)
        runs.log_report(store, run_id, report)
        return run_id

    def _finish(self, error: BaseException | None) -> None:
        store, run_id, sweep_run, model = self._store, self._run_id, self._sweep_run, self._model
        decided, self._verdicts = self._verdicts, {}
        self._store = self._run_id = self._sweep_run = self._model = None
        if store is None:
            return
        with exclusive_write(store.uri, store.lock):
            if run_id is not None:
                if error is not None:
                    end_children(store, run_id)
                    store.client.set_tag(run_id, ERROR, limits.truncate(error_text(error), limits.TAG_LENGTH))
                store.client.set_terminated(run_id, "FINISHED" if error is None else "FAILED")
            if sweep_run is not None:
                runs.end_sweep(store, sweep_run, failed=error is not None)
            if model is not None and (stamp := store_stamp(store.uri)):
                registered = {key: list(value) for key, value in models.registered_versions(store, model).items()}
                champion = model_versions.get_champion(store, model)
                is_settled = champion is not None and runs.is_finished(
                    store, champion.run_id
                )  # else promote must still clear the run
                registry = model_versions.look_up(store, model)
                self._snapshot(model).save(
                    stamp,
                    versions=registered,
                    champion=str(champion.version) if is_settled else None,
                    registry=registry.as_json(),
                    verdicts=decided,
                )
            if (self._recorded or self._attached) and error is None:  # else one of these runs may have FAILED just now
                self._snapshot().save(store_stamp(store.uri), runs=self._recorded, files=self._attached)
            self._recorded, self._attached = {}, {}
