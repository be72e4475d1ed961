"""Mlflow: the Tracker that writes to an MLflow store, a sqlite file or a server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from orchestrator.artifacts import ModelVersion, Package, Proof, Registry, Report
from orchestrator.errors import OrchestratorError, Problem
from orchestrator.events import Event, ProgressMixin, RunFinished, RunStarted, StepFinished
from orchestrator.spec.run_spec import RunSpec
from orchestrator.tracking.mlflow import limits, models, runs, store_checks
from orchestrator.tracking.mlflow.retries import Patience
from orchestrator.tracking.mlflow.snapshot import StoreSnapshot, stamp_of
from orchestrator.tracking.mlflow.store import ERROR, Store, end_children, open_store, writing
from orchestrator.tracking.mlflow.uri import StoreUri, sqlite_path, store_uri

Seconds = Annotated[float, Field(ge=1)]


def trains(event: RunStarted) -> bool:
    """Whether this run will make a new Report: only then is there something to write down."""
    return any(step.gives == Report.__name__ and not step.cached for step in event.steps)


def told(error: BaseException) -> str:
    """An error in one text: ours speak for themselves, others say what they are."""
    return str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"


@dataclass
class Mlflow(ProgressMixin):
    """One MLflow run per training result, one registered version per package; what is there is left alone.

    Its fields are its YAML keys. ``tracking_uri`` is an absolute sqlite store (``sqlite:////abs/mlflow.db``) or a
    server (``http://host:5000``). ``artifact_location`` is used when the experiment is made; a sqlite store's default
    is ``artifacts`` beside it, a server's its own. The jobs of one ``sweep_id`` are nested under one run. A server
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

    def __post_init__(self) -> None:
        self.state_dir = Path(self.state_dir).absolute()
        path = sqlite_path(store_uri(self.tracking_uri))  # checked here, too: Python code may make one
        if path is not None and self.artifact_location is None:
            self.artifact_location = str(path.parent / "artifacts")

    @property
    def where(self) -> str:
        """The store's URI, without the user and password that it may hold."""
        return re.sub(r"//[^/@]*@", "//", self.tracking_uri)

    @classmethod
    def problems(cls, spec: RunSpec) -> Iterator[Problem]:
        """Yield each name in a spec that MLflow refuses, before anything runs."""
        return limits.problems(spec)

    def check(self, params: Mapping[str, str]) -> None:
        """Find what would make writing fail, before anything is trained; ``params`` are known of the run's parameters."""
        for note in store_checks.notes(self.tracking_uri, self.experiment_name, params):
            self._note(note)
        self.check_store()

    def check_store(self) -> None:
        """Ask a server for its version, the experiment and a place for artifacts; look at files on this machine."""
        path = sqlite_path(self.tracking_uri)
        if path is not None:
            store_checks.check_local(path, self.experiment_name, self.artifact_location)
            return
        store = self._opened()
        with writing(store.uri, store.lock):
            store_checks.check_artifacts(store.client, store.experiment_id)

    def __call__(self, event: Event) -> None:
        """Open a run when something is to be trained, write its Report down, close it as it ended."""
        if isinstance(event, RunStarted) and trains(event):
            self._start()
        elif isinstance(event, StepFinished) and isinstance(event.product, Report):
            store = self._start()
            with writing(store.uri, store.lock):
                runs.log_report(store, self._open_run(store), event.product)
        elif isinstance(event, RunFinished):
            self._finish(event.error)

    def record(self, report: Report) -> str:
        """The run that holds this Report; a new one if there is none."""
        if self._store is None and (known := self.known_run(report)):
            return known
        store = self._opened()
        with writing(store.uri, store.lock):
            run_id = self._run_id or runs.find_run(store, report) or self._write_again(store, report)
        self._recorded[runs.digest(report)] = run_id
        return run_id

    def register(self, package: Package, proof: Proof, report: Report) -> ModelVersion:
        """The version that holds this package; if there is none, a new one under the run that holds this Report."""
        if self._store is None and (known := self.known(package)):
            return known
        self._model, store = package.model_name, self._opened()
        with writing(store.uri, store.lock):
            held = models.versions(store, package.model_name, package.fingerprint)
            if package.fingerprint in held:
                version, run_id = held[package.fingerprint]
                return ModelVersion(package.model_name, version, run_id, package)
            run_id = self._run_id or runs.find_run(store, report) or self._write_again(store, report)
            return models.create(store, package, proof, report, run_id)

    def look_up(self, model: str) -> Registry:
        """What the registry holds of this model now."""
        if self._store is None and (known := self.known_registry(model)):
            return known
        self._model, store = model, self._opened()
        with writing(store.uri, store.lock):
            return models.look_up(store, model)

    def promote(self, version: ModelVersion) -> None:
        """Point the alias ``champion`` at this version."""
        if self._store is None and self.is_champion(version):
            return
        self._model, store = version.name, self._opened()
        with writing(store.uri, store.lock):
            models.promote(store, version)
            runs.clear(store, version.run_id)

    def known(self, package: Package) -> ModelVersion | None:
        """The version of this package, if that is certain without asking the store (and importing mlflow)."""
        memo = self._memo(package.model_name).read()
        held = memo.get("versions", {}).get(package.fingerprint)
        return ModelVersion(package.model_name, held[0], held[1], package) if held else None

    def known_run(self, report: Report) -> str | None:
        """The run that holds this Report, if that is certain without asking the store."""
        held: str | None = self._memo().read().get("runs", {}).get(runs.digest(report))
        return held

    def known_registry(self, model: str) -> Registry | None:
        """What the registry holds of this model, if that is certain without asking the store."""
        path = sqlite_path(self.tracking_uri)
        if path is not None and not path.exists():
            return Registry({})
        memo = self._memo(model).read()
        return Registry(memo["registry"], memo["alias"]) if "registry" in memo else None

    def is_champion(self, version: ModelVersion) -> bool:
        """Whether it is certain, without asking the store, that the alias points at this version."""
        memo = self._memo(version.name).read()
        same = memo.get("registry", {}).get(version.version) == version.package.fingerprint
        return bool(same and memo["champion"] == version.version)

    def _memo(self, model: str | None = None) -> StoreSnapshot:
        return StoreSnapshot.at(self.state_dir / "tracking", self.tracking_uri, self.experiment_name, model)

    def _opened(self) -> Store:
        if self._store is None:
            patience = Patience(self.tracking_uri, self.timeout_seconds, self._note)
            self._store = open_store(
                self.tracking_uri, self.experiment_name, self.artifact_location, self.state_dir, patience
            )
        return self._store

    def _start(self) -> Store:
        store = self._opened()
        with writing(store.uri, store.lock):
            self._open_run(store)
        return store

    def _open_run(self, store: Store) -> str:
        if self._run_id is None:
            if self.sweep_id is not None:
                self._sweep_run = runs.sweep_run(store, self.sweep_id, self.parent_run_name)
            self._run_id = runs.open_run(store, self._sweep_run)
        return self._run_id

    def _write_again(self, store: Store, report: Report) -> str:
        """A run for a Report that was cached, but whose run is gone or failed; it is closed as this run ends."""
        run_id = self._open_run(store)
        runs.log_report(store, run_id, report)
        return run_id

    def _finish(self, error: BaseException | None) -> None:
        store, run_id, sweep_run, model = self._store, self._run_id, self._sweep_run, self._model
        self._store = self._run_id = self._sweep_run = self._model = None
        if store is None:
            return
        with writing(store.uri, store.lock):
            if run_id is not None:
                if error is not None:
                    end_children(store, run_id)
                    store.client.set_tag(run_id, ERROR, limits.cut(told(error), limits.TAG_LENGTH))
                store.client.set_terminated(run_id, "FINISHED" if error is None else "FAILED")
            if sweep_run is not None:
                runs.end_sweep(store, sweep_run, failed=error is not None)
            if model is not None and (stamp := stamp_of(store.uri)):
                held = {key: list(value) for key, value in models.versions(store, model).items()}
                best = models.champion(store, model)
                settled = best is not None and runs.is_finished(store, best.run_id)  # else promote is to clear the run
                all_ = models.look_up(store, model)
                self._memo(model).write(
                    stamp,
                    versions=held,
                    champion=str(best.version) if settled else None,
                    registry=all_.versions,
                    alias=all_.champion,
                )
            if self._recorded and error is None:  # else a run among them may have FAILED just now
                self._memo().write(stamp_of(store.uri), runs=self._recorded)
            self._recorded = {}
