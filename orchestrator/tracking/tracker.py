"""The Tracker boundary: records runs and registers models. Implementations import mlflow inside methods only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.errors import Problem
from orchestrator.events import Event
from orchestrator.spec.run_spec import RunSpec
from orchestrator.tracking.registered_model import RegisteredModel, TrainingRecord


class Tracker(Protocol):
    """Records a run and registers model versions. As an observer it opens the run, and closes it however it ends.

    All methods raise :class:`~orchestrator.errors.TrackingError` with a remedy in the text.
    """

    @property
    def registry_name(self) -> str:
        """The registry's name as text for the user, or "". A version can only be promoted where it was registered."""
        ...

    def __call__(self, event: Event) -> None:
        """Observe an event: open a run when something is to be trained, log its Report, close it with its outcome."""
        ...

    def record(self, report: Report) -> str | None:
        """Return the id of the run that holds this Report, existing or new; None if nothing is tracked."""
        ...

    def register(self, package: Package, verification: Verification, report: Report) -> ModelVersion:
        """Return the registered version of this package, existing or new."""
        ...

    def look_up(self, model: str) -> RegisteredModel | None:
        """Return the current versions of this model, however they were changed; None if there is no registry."""
        ...

    def promote(self, version: ModelVersion) -> None:
        """Point the alias ``champion`` at this version: the one that is deployed and tested."""
        ...


@runtime_checkable
class SupportsStoreCheck(Protocol):
    """A Tracker that finds out before training what would make writing fail."""

    @classmethod
    def problems(cls, spec: RunSpec) -> Iterable[Problem]:
        """Yield what it cannot record of this spec, such as names; no server is contacted."""
        ...

    def check_before_run(self, params: Mapping[str, str]) -> None:
        """Check that the store can be written to; ``params`` are the parameters that are known before the run."""
        ...


@runtime_checkable
class RecordsSweeps(Protocol):
    """A Tracker that nests the jobs of a sweep under one run."""

    def record_sweep(self, sweep_id: str, file: Path) -> None:
        """Log a file about all jobs on the run that they are nested under, if there is one."""
        ...


@runtime_checkable
class RecordsVerdicts(Protocol):
    """A Tracker that knows how often hold-out rows were used, and records what the gate decides."""

    def looks(self, holdout: str, sweep: str = "") -> Sequence[str]:
        """Return the hash of each spec of which a run outside of ``sweep`` was scored on the hold-out rows with this digest."""
        ...

    def record_verdict(
        self, version: ModelVersion, tags: Mapping[str, str], metrics: Mapping[str, float], alias: str
    ) -> None:
        """Record a decision on the version and its run; ``alias`` is pointed at it, unless that is ""."""
        ...


@runtime_checkable
class HoldsPackages(Protocol):
    """A Tracker whose registry holds the packages themselves, so that another machine can use them."""

    def describe(self, model: str) -> Mapping[str, TrainingRecord]:
        """Return what the runs of this model's versions recorded, by the version's number; without its run, nothing."""
        ...

    def download(self, version: ModelVersion, folder: Path) -> None:
        """Download the version's files into an existing, empty folder; the caller checks that they are the package."""
        ...


@runtime_checkable
class HoldsFiles(Protocol):
    """A Tracker that keeps files beside a run."""

    def attach(self, report: Report, files: Mapping[str, bytes], version: ModelVersion | None = None) -> None:
        """Keep files, by name, beside the run that holds this Report, in the place of former ones where the store can.

        The version, if there is one, says which run that is, and has them beside its package where the store can.
        """
        ...
