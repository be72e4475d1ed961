"""A target in memory: serves nothing, but fulfils the contract. For tests of stages and of whatever uses targets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter

from orchestrator.artifacts import Endpoint, ModelVersion
from orchestrator.deploy.rollback import rollback_target
from orchestrator.deploy.target import Deployment, RollbackResult, needs_no_key, not_running
from orchestrator.errors import DeployError
from orchestrator.services import Keys, ServiceStatus


@dataclass(frozen=True)
class Service:
    """An endpoint, whether it was accepted, and what a rollback goes back to."""

    endpoint: Endpoint
    accepted: bool = False
    former: Service | None = None


@dataclass(frozen=True)
class InMemoryTarget:
    """A service in ``services``, which several targets may share as commands share a machine.

    ``fails`` makes every deployment fail with that text; ``calls`` lists the calls that change something.
    """

    service_name: str = "fake"
    auth_enabled: bool | None = None
    fails: str = ""
    services: dict[str, Service] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list, init=False, compare=False)

    @property
    def asks_for_key(self) -> bool:
        """Whether a service asks for a key; a new one does not unless an option says so."""
        return bool(self.auth_enabled)

    def deploy(self, version: ModelVersion) -> Deployment:
        """Replace the service's package."""
        self.calls.append("deploy")
        if self.fails:
            raise DeployError(self.fails)
        service = self.services.get(self.service_name)
        headers = {"Authorization": "Bearer fake-primary"} if self.asks_for_key else {}
        new = Endpoint(f"http://fake/{self.service_name}/score", "fake", self.asks_for_key, version.package, headers)
        if service is None or new != service.endpoint:
            former = rollback_target(service, service and service.former, attrgetter("accepted"), alive=True)
            service = self.services[self.service_name] = Service(new, former=former)
        return Deployment(new, partial(self._accept, service), partial(self._rollback, service))

    def _accept(self, deployed: Service) -> None:
        self.calls.append("accept")
        if self._is_untested(deployed):
            self.services[self.service_name] = replace(deployed, accepted=True)

    def _rollback(self, deployed: Service) -> RollbackResult:
        self.calls.append("rollback")
        if not self._is_untested(deployed):
            return RollbackResult.NOTHING
        if deployed.former is None:
            del self.services[self.service_name]
            return RollbackResult.REMOVED
        self.services[self.service_name] = replace(deployed.former, former=None)
        return RollbackResult.FORMER

    def _is_untested(self, deployed: Service) -> bool:
        return self.services.get(self.service_name) == deployed and not deployed.accepted

    def endpoint(self) -> Endpoint:
        """Return the service's endpoint."""
        if self.service_name not in self.services:
            raise not_running(self.service_name)
        return self.services[self.service_name].endpoint

    def remove(self) -> None:
        """Delete the service."""
        self.calls.append("remove")
        self.services.pop(self.service_name, None)

    def status(self) -> ServiceStatus:
        """Return that it is healthy, once it is deployed."""
        there = self.services.get(self.service_name)
        if there is None:
            return ServiceStatus(self.service_name, "absent")
        endpoint = there.endpoint
        details = {"fingerprint": endpoint.package.fingerprint}
        return ServiceStatus(self.service_name, "healthy", endpoint.url, details, auth=endpoint.auth)

    def logs(self) -> str:
        """Return one line."""
        return f"Serving package {self.endpoint().package.fingerprint}\n"

    def keys(self) -> Keys:
        """Return the same two keys always."""
        if not self.endpoint().auth:
            raise needs_no_key(self.service_name)
        return Keys("fake-primary", "fake-secondary")
