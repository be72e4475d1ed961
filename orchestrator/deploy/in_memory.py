"""A target in memory: serves nothing, but keeps the contract. For tests of stages, wiring and other targets' users."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestrator.artifacts import Endpoint, Keys, ModelVersion, Package, ServiceStatus
from orchestrator.deploy.target import RollbackResult
from orchestrator.errors import DeployError


@dataclass(frozen=True)
class Service:
    """What is served, whether it passed its test, and what it replaced."""

    endpoint: Endpoint
    accepted: bool = False
    former: Service | None = None


@dataclass(frozen=True)
class InMemoryTarget:
    """A service in ``services``, which several fakes may share as commands share a machine.

    ``fails`` makes every deployment fail with that text; ``calls`` lists the methods called that change something.
    """

    service_name: str = "fake"
    auth_enabled: bool = False
    fails: str = ""
    services: dict[str, Service] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list, init=False, compare=False)
    _deployed: list[Service] = field(default_factory=list, init=False, repr=False, compare=False)

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:  # noqa: ARG002 -- the contract's signature
        """Put the package in the service's place."""
        self.calls.append("deploy")
        self._deployed.clear()
        if self.fails:
            raise DeployError(self.fails)
        old = self.services.get(self.service_name)
        headers = {"Authorization": "Bearer fake-primary"} if self.auth_enabled else {}
        new = Endpoint(f"http://fake/{self.service_name}/score", "fake", self.auth_enabled, package, headers)
        if old is None or new != old.endpoint:
            better = old.former if old and not old.accepted and old.former and old.former.accepted else old
            old = self.services[self.service_name] = Service(new, former=better)
        if not old.accepted:
            self._deployed.append(old)
        return new

    def rollback(self) -> RollbackResult:
        """Put back what the last deployment replaced."""
        self.calls.append("rollback")
        if not self._is_mine():
            return RollbackResult.NOTHING
        former = self._deployed.pop().former
        if former is None:
            del self.services[self.service_name]
            return RollbackResult.REMOVED
        self.services[self.service_name] = replace(former, former=None)
        return RollbackResult.FORMER

    def accept(self) -> None:
        """Keep what the last deployment put there."""
        self.calls.append("accept")
        if self._is_mine():
            self.services[self.service_name] = replace(self._deployed.pop(), accepted=True)

    def endpoint(self) -> Endpoint:
        """The service's endpoint."""
        if self.service_name not in self.services:
            raise DeployError(f"deploy: no service '{self.service_name}' is running; deploy it first")
        return self.services[self.service_name].endpoint

    def remove(self) -> None:
        """Forget the service."""
        self.calls.append("remove")
        self.services.pop(self.service_name, None)

    def status(self) -> ServiceStatus:
        """Healthy once deployed."""
        there = self.services.get(self.service_name)
        if there is None:
            return ServiceStatus(self.service_name, "absent")
        endpoint = there.endpoint
        return ServiceStatus(self.service_name, "healthy", endpoint.url, {"fingerprint": endpoint.package.fingerprint})

    def logs(self) -> str:
        """One line."""
        return f"Serving package {self.endpoint().package.fingerprint}\n"

    def keys(self) -> Keys:
        """The same two keys always."""
        if not self.endpoint().auth:
            raise DeployError(
                f"deploy.auth_enabled: service '{self.service_name}' needs no key; deploy with deploy.auth_enabled=true"
            )
        return Keys("fake-primary", "fake-secondary")

    def _is_mine(self) -> bool:
        return self._deployed == [self.services.get(self.service_name)]
