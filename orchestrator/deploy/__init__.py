"""Where a package can be served: the Target boundary. One module per kind of target, its SDK imported inside methods."""

from __future__ import annotations

from typing import Protocol

from orchestrator.products import Endpoint, Keys, ModelVersion, Package, ServiceStatus


class Target(Protocol):
    """Somewhere a package can be served. A target is a frozen dataclass whose fields are its YAML keys.

    All methods raise :class:`~orchestrator.errors.DeployError` with a remedy in the text.
    """

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:
        """Make it so: serve this package and answer once it is ready; the same package alive is left alone."""
        ...

    def rollback(self) -> None:
        """Undo what the last :meth:`deploy` of this object changed: the former service is back, or none is."""
        ...

    def endpoint(self) -> Endpoint:
        """The live service's endpoint."""
        ...

    def remove(self) -> None:
        """Take the service down; taking down nothing is fine."""
        ...

    def status(self) -> ServiceStatus:
        """What is there now; never raises for a service that is absent or ill."""
        ...

    def logs(self) -> str:
        """The newest log text of the service, at most about 5000 lines."""
        ...

    def keys(self) -> Keys:
        """The service's keys."""
        ...
