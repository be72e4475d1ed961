"""What a service on this machine serves, and where: the state that the local and the Docker target have in common."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from orchestrator.artifacts import Package


class ServedPackage(BaseModel):
    """A package on a port. ``accepted`` is False until the service passed its test."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    host: str
    port: int
    auth: bool
    path: Path
    fingerprint: str
    model_name: str
    model_version: str
    origin: str = ""
    limits: str = ""
    accepted: bool = False

    @property
    def package(self) -> Package:
        """The package that is served."""
        return Package(self.path, self.fingerprint, self.model_name)
