"""NoTracking: records nothing; a package is its own and only version."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.artifacts import ModelVersion, Package, Report, Verification
from orchestrator.events import Event


@dataclass(frozen=True)
class NoTracking:
    """A Tracker that records nothing."""

    @property
    def registry_name(self) -> str:
        """There is no registry."""
        return ""

    def __call__(self, event: Event) -> None:
        """Ignore the event."""

    def record(self, report: Report) -> None:
        """Record no run."""

    def register(self, package: Package, verification: Verification, report: Report) -> ModelVersion:  # noqa: ARG002 -- the boundary's signature
        """Return the package as a version without a number."""
        return ModelVersion(name=package.model_name, version="", run_id=None, package=package)

    def look_up(self, model: str) -> None:
        """Return no registry."""

    def promote(self, version: ModelVersion) -> None:
        """Do nothing: there is no alias."""
