"""No target: the run ends with a registered package. conf/deploy/none.yaml takes the stages that deploy out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from orchestrator.artifacts import ModelVersion, Package, ServiceStatus
from orchestrator.deploy.target import RollbackResult
from orchestrator.errors import DeployError


@dataclass(frozen=True)
class NoTarget:
    """Serves nothing, and says so when asked for a service."""

    def deploy(self, package: Package, version: ModelVersion) -> NoReturn:  # noqa: ARG002 - the protocol's parameters
        """Refuse: there is nowhere to deploy to."""
        self._refuse()

    def rollback(self) -> RollbackResult:
        """Nothing was changed."""
        return RollbackResult.NOTHING

    def accept(self) -> None:
        """Nothing was deployed."""

    def endpoint(self) -> NoReturn:
        """Refuse: there is no endpoint."""
        self._refuse()

    def remove(self) -> None:
        """Nothing is there."""

    def status(self) -> ServiceStatus:
        """Always absent."""
        return ServiceStatus("(deploy=none)", "absent")

    def logs(self) -> NoReturn:
        """Refuse: there is no service."""
        self._refuse()

    def keys(self) -> NoReturn:
        """Refuse: there is no service."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise DeployError("deploy: nothing is served with deploy=none; choose a target such as deploy=local")
