"""NoTracking: nothing is written down, and a package is its own and only version."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.artifacts import ModelVersion, Package, Proof, Report
from orchestrator.events import Event


@dataclass(frozen=True)
class NoTracking:
    """A Tracker that keeps nothing."""

    @property
    def where(self) -> str:
        """Nowhere."""
        return ""

    def __call__(self, event: Event) -> None:
        """Observe nothing."""

    def record(self, report: Report) -> None:
        """No run."""

    def register(self, package: Package, proof: Proof, report: Report) -> ModelVersion:  # noqa: ARG002 -- the boundary's signature
        """The package, under a version without a number."""
        return ModelVersion(name=package.model_name, version="", run_id=None, package=package)

    def look_up(self, model: str) -> None:
        """No registry."""

    def promote(self, version: ModelVersion) -> None:
        """Nothing to point at."""
