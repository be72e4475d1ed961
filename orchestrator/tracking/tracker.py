"""The Tracker boundary: records runs and registers models. Implementations import mlflow inside methods only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from orchestrator.artifacts import ModelVersion, Package, RegisteredModel, Report, Verification
from orchestrator.errors import Problem
from orchestrator.events import Event
from orchestrator.spec.run_spec import RunSpec


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
