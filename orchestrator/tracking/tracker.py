"""Where runs and models are written down: the Tracker boundary. Only this package imports mlflow, inside methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from orchestrator.artifacts import ModelVersion, Package, Proof, Registry, Report
from orchestrator.errors import Problem
from orchestrator.events import Event
from orchestrator.spec.run_spec import RunSpec


class Tracker(Protocol):
    """Writes a run down and keeps model versions. It observes the run: it opens it, and closes it however it ends.

    All methods raise :class:`~orchestrator.errors.TrackingError` with a remedy in the text.
    """

    @property
    def where(self) -> str:
        """The registry's name for people; a version can be promoted only where it was registered. Empty: there is none."""
        ...

    def __call__(self, event: Event) -> None:
        """Observe: open a run when something is to be trained, write its Report down, close it as it ended."""
        ...

    def record(self, report: Report) -> str | None:
        """The id of the run that holds this Report: the one there is, or a new one; None where nothing is tracked."""
        ...

    def register(self, package: Package, proof: Proof, report: Report) -> ModelVersion:
        """The registered version of this package: the one there is, or a new one."""
        ...

    def look_up(self, model: str) -> Registry | None:
        """What the registry holds of this model now, also where other hands changed it; None where there is no registry."""
        ...

    def promote(self, version: ModelVersion) -> None:
        """Point the alias ``champion`` at this version: it is the one that is deployed and tested."""
        ...


@runtime_checkable
class SupportsStoreCheck(Protocol):
    """A Tracker that finds out before anything is trained what would make writing fail."""

    @classmethod
    def problems(cls, spec: RunSpec) -> Iterable[Problem]:
        """Yield what it cannot write of this spec, such as names; nothing is asked of a server."""
        ...

    def check(self, params: Mapping[str, str]) -> None:
        """Look whether the store can be written to; ``params`` are the parameters that are known before the run."""
        ...
