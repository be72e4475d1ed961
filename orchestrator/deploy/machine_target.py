"""Base of the targets on this machine: a port of it, and a folder with the service's keys and logs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from orchestrator.artifacts import Endpoint, ModelVersion
from orchestrator.deploy import ports
from orchestrator.deploy.served_package import ServedPackage
from orchestrator.deploy.server_options import ServerOptions, origin
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.deploy.target import ServiceName, needs_no_key
from orchestrator.errors import DeployError
from orchestrator.services import Keys


@dataclass(frozen=True)
class MachineTarget(ServerOptions, ABC):
    """A service on a port of this machine; ``kind`` is the target's name, ``suffix`` ends its folder's name."""

    service_name: ServiceName
    state_dir: Path
    port: Annotated[int, Field(ge=1, le=65535)] = 6789
    host: str = "127.0.0.1"
    auth_enabled: bool | None = None  # None: as the service has it, see deploy.authentication
    timeout_seconds: Annotated[float, Field(gt=0)] = 60

    kind: ClassVar[str]
    suffix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "state_dir", Path(self.state_dir).expanduser().resolve())

    @property
    def asks_for_key(self) -> bool:
        """Whether a service asks for a key; a new one does not unless an option says so."""
        return bool(self.auth_enabled)

    def endpoint(self) -> Endpoint:
        """Return the live service's endpoint."""
        return self._endpoint(self._alive())

    def keys(self) -> Keys:
        """Return the service's two keys."""
        if not self._alive().auth:
            raise needs_no_key(self.service_name)
        return self._folder.read_keys()

    @abstractmethod
    def _alive(self) -> ServedPackage:
        """Return what the live service serves.

        Raises:
            DeployError: no service is running.
        """

    @property
    def _folder(self) -> ServiceDirectory:
        return ServiceDirectory(self.state_dir / "services" / f"{self.service_name}{self.suffix}")

    def _wanted_fields(self, version: ModelVersion) -> dict[str, Any]:
        """Return the fields of a :class:`ServedPackage` that describe how this version is to be served."""
        return {
            "host": self.host,
            "port": self.port,
            "auth": self.asks_for_key,
            "path": version.package.path.absolute(),
            "fingerprint": version.package.fingerprint,
            "model_name": version.package.model_name,
            "model_version": version.version,
            "origin": origin(version),
            "limits": self.limits,
        }

    def _endpoint(self, served: ServedPackage) -> Endpoint:
        headers = {"Authorization": f"Bearer {self._folder.read_keys().primary}"} if served.auth else {}
        return Endpoint(ports.url(served.host, served.port), self.kind, served.auth, served.package, headers)

    def _newest_log(self, current: Path | None = None) -> Path:
        """Return the ``current`` server's log; without one, the log that was written last, of a failed start too.

        Raises:
            DeployError: there is no log.
        """
        logs = self._folder.logs_and_failures() if current is None else [current]
        newest = max(filter(Path.exists, logs), key=lambda log: log.stat().st_mtime, default=None)
        if newest is None:
            raise DeployError(f"deploy: service '{self.service_name}' has no log yet; deploy it first")
        return newest
