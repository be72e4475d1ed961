"""Base of the targets in an Azure ML workspace: their common options, settings and packages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from orchestrator.artifacts import Package
from orchestrator.azure.progress import run_with_progress
from orchestrator.deploy.azure import registered_package
from orchestrator.deploy.cors import Origins
from orchestrator.deploy.image_builder import ImageBuilder, from_conda
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.deploy.target import ServiceName
from orchestrator.resolving.libraries import Libraries
from orchestrator.spec.azure import AzureSpec

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class AzureTarget(ImageBuilder, ABC):
    """A service of a workspace. ``kind`` is the target's name.

    ``apart`` are the options that are no settings: a change of them does not deploy the same package again.
    """

    kind: ClassVar[str]
    apart: ClassVar[frozenset[str]] = frozenset(
        {"service_name", "connection", "state_dir", "timeout_seconds", "allow_origins"}
    )

    service_name: ServiceName
    connection: AzureSpec
    state_dir: Path
    allow_origins: Origins = ()
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def libraries(self, package: Package) -> Libraries:
        """Return what the environment installs; Azure's server is one of them."""
        return from_conda(registered_package.conda(package, self.allow_origins))

    @abstractmethod
    def _download(self, package: Package) -> None:
        """Download a package from the workspace to its path."""

    def _settings(self) -> dict[str, Any]:
        own = {name: value for name, value in vars(self).items() if not name.startswith("_") and name not in self.apart}
        # without origins not even the key, so that services older than the key keep their shape
        origins = {"allow_origins": list(self.allow_origins)} if self.allow_origins else {}
        return {**own, "tags": dict(self.tags), **origins}

    @property
    def _folder(self) -> ServiceDirectory:
        return ServiceDirectory(self.state_dir / "services" / f"{self.service_name}.{self.kind}")

    def _azure(self, work: Callable[[Callable[[str], None]], T]) -> T:
        """Return what ``work`` gets from Azure, with its progress noted."""
        return run_with_progress(work, "deploy", self._note)

    def _package(self, tags: Mapping[str, str]) -> Package:
        """Return the package of a service with these tags, downloaded if this machine does not have it."""
        names = (tags[registered_package.FINGERPRINT], tags[registered_package.MODEL])
        package = Package.stored(self.state_dir, *names)
        if not package.path.is_dir():
            self._download(package)
        return package
