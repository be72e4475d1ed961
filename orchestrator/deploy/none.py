"""The target of deploy=none: the run ends with a registered package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from orchestrator.artifacts import ModelVersion
from orchestrator.errors import DeployError
from orchestrator.services import ServiceStatus


def describe_absence(status: ServiceStatus) -> str:
    """Return what is said of a service that is absent; NoTarget has no name for one."""
    return f"no service '{status.name}' is running" if status.name else "nothing is served with deploy=none"


@dataclass(frozen=True)
class NoTarget:
    """Serve nothing, and raise where a service is needed. conf/deploy/none.yaml takes out the stages that deploy."""

    def deploy(self, version: ModelVersion) -> NoReturn:  # noqa: ARG002 - the protocol's parameters
        """Refuse: there is nowhere to deploy to."""
        self._refuse()

    def endpoint(self) -> NoReturn:
        """Refuse: there is no endpoint."""
        self._refuse()

    def remove(self) -> None:
        """Do nothing: nothing is served."""

    def status(self) -> ServiceStatus:
        """Return that it is absent."""
        return ServiceStatus("", "absent")

    def logs(self) -> NoReturn:
        """Refuse: there is no service."""
        self._refuse()

    def keys(self) -> NoReturn:
        """Refuse: there is no service."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise DeployError("deploy: nothing is served with deploy=none; choose a target such as deploy=local")
