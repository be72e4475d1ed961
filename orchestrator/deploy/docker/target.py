"""Serve a package in a Docker container, on an engine of this machine.

The container's labels hold what it serves and what a rollback goes back to. Only the keys, the logs, the lock and the
id of the last accepted container lie in ``<state_dir>/services/<service_name>.docker/``.

A replacement is built and started while the former container serves; once it is ready, the former one is stopped and
the new one gets the port. Requests under way are answered; new ones are refused or reset until the port is
published again, so clients should retry. That lasts less than a second as a rule; up to 5 s while a client holds an
idle connection, and up to 30 s while an answer takes that long. A command that is killed in between leaves no
service on the port; killed at any other moment it leaves the former service or the new one. The next ``deploy`` or
``remove`` cleans up.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy import ports
from orchestrator.deploy.docker import container as containers
from orchestrator.deploy.docker import image as images
from orchestrator.deploy.docker.client import connected
from orchestrator.deploy.docker.labels import ContainerLabels
from orchestrator.deploy.docker.service import DockerService
from orchestrator.deploy.image_builder import ImageBuilder
from orchestrator.deploy.machine_target import MachineTarget
from orchestrator.deploy.target import Deployment, RollbackResult, not_running
from orchestrator.progress import Heartbeat, heartbeat
from orchestrator.resolving.libraries import Libraries
from orchestrator.services import ServiceStatus

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True)
class Docker(ImageBuilder, MachineTarget):
    """A service in a container."""

    kind = "docker"
    suffix = ".docker"

    cpu_cores: Annotated[float, Field(ge=0.01)] = 1
    memory_gb: Annotated[float, Field(ge=0.01)] = 1
    base_image: str | None = None
    network_mode: str | None = None
    build_args: Mapping[str, str | None] = field(default_factory=dict, repr=False)  # an index's URL may hold a password

    def libraries(self, package: Package) -> Libraries:
        """Return the package's libraries, with the index and the proxy that the build uses."""
        args = images.arguments(package, self.base_image, self.build_args)
        return images.libraries_of(package, args)

    def deploy(self, version: ModelVersion) -> Deployment:
        """Serve the version's package; the same one alive, healthy and as wanted is left alone."""
        args = images.arguments(version.package, self.base_image, self.build_args)
        wanted = self._wanted(version, args[images.BASE])
        with self._working("looking at what serves now") as (service, say):
            current = service.reconcile()
            before = service.served(current)
            if current is None or before is None or not before.serves_like(wanted) or not self._is_healthy(before):
                with service.report_surviving_service(current, "the former service"):
                    service.check(current, wanted)
                    self._warn(version)
                    images.build(service.client, wanted, args, self.network_mode, self._folder, say)
                    alive = current is not None and current.status == "running"
                    labels = wanted.replacing(before, alive=alive)
                    current = service.replace(current, labels, self.timeout_seconds, say)
            endpoint, deployed = self._endpoint(wanted), str(current.id)
            return Deployment(endpoint, partial(self._accept, deployed), partial(self._rollback, deployed))

    def preflight(self) -> None:
        """Raise a DeployError if there is no engine, or it lacks the processors, or the port is taken."""
        with connected() as client:
            service = self._service(client)
            service.check(service.current(), self)

    def _rollback(self, deployed: str) -> RollbackResult:
        with self._working("looking at what is to be undone") as (service, say):
            current = service.reconcile()
            served = service.served(current)
            if current is None or served is None or current.id != deployed or served.accepted:
                return RollbackResult.NOTHING  # another command has deployed since, or has tested it
            if served.former is None:
                say("removing the container")
                service.end(current)  # the keys stay: they may be older than this deployment, and clients hold them
                return RollbackResult.REMOVED
            say("putting the former service back")
            with service.report_surviving_service(current, "what was to be undone"):
                service.check(current, served.former)
                if not images.has_image(service.client, served.former.image):
                    args = images.arguments(served.former.package, served.former.base_image, self.build_args)
                    images.build(service.client, served.former, args, self.network_mode, self._folder, say)
                service.replace(current, served.former, self.timeout_seconds, say)
            return RollbackResult.FORMER

    def _accept(self, deployed: str) -> None:
        with self._working("removing the images of former services") as (service, _):
            current = service.current()
            if current is not None and current.id == deployed:
                service.accept(current)

    def remove(self) -> None:
        """Stop the service and delete its containers, images and keys. Its logs stay: they may say why it was removed."""
        with self._working("removing the service") as (service, say):
            service.clear(say)
            self._folder.keys.unlink(missing_ok=True)

    def status(self) -> ServiceStatus:
        """Return healthy if the container is, and answers where it is published; absent if there is none."""
        with connected() as client:
            current = self._service(client).current()
            served = ContainerLabels.of(current) if current else None
        if current is None or served is None:
            return ServiceStatus(self.service_name, "absent")
        details = {
            "container": f"{current.name} ({current.status})",
            "image": served.image,
            "since": current.attrs["State"]["StartedAt"],
            "model": f"{served.model_name} {served.model_version}".strip(),
            "fingerprint": served.fingerprint,
            "port": str(served.port),
            "limits": f"{served.cpu_cores:g} processors, {served.memory_gb:g} GB",
        }
        health = current.attrs["State"].get("Health", {}).get("Status")  # "starting" until the engine's first check
        healthy = health != "unhealthy" and served.answers()
        url = ports.url(served.host, served.port)
        state, names = "healthy" if healthy else "unhealthy", (served.model_name, served.model_version)
        return ServiceStatus(self.service_name, state, url, details, *names, served.fingerprint, served.auth)

    def logs(self) -> str:
        """Return the newest lines of the container's log; without a container, of the last one's."""
        with connected() as client:
            current = self._service(client).current()
            if current is not None:
                return containers.log_of(current)
        return self._newest_log().read_text(errors="replace")

    @property
    def _name(self) -> str:
        """The service's name in the engine: the same for each command, another for another state folder."""
        return f"{self.service_name}-{hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:8]}"

    def _warn(self, version: ModelVersion) -> None:
        needed = version.memory_bytes / 2**30
        if needed > self.memory_gb:
            self._note(
                f"warning: the package took {needed:.2f} GB when it was verified; "
                f"deploy.memory_gb={self.memory_gb:g} is too little"
            )

    def _service(self, client: DockerClient) -> DockerService:
        return DockerService(client, self._name, self.service_name, str(self.state_dir), self._folder)

    @contextlib.contextmanager
    def _working(self, activity: str) -> Iterator[tuple[DockerService, Heartbeat]]:
        """Yield the service, locked for this command, and a heartbeat that begins with ``activity``."""
        with heartbeat(self._note, "waiting for the Docker engine") as say, connected() as client:
            say.begin("waiting for another command on this service")
            with self._folder.locked():
                say.begin(activity)
                yield self._service(client), say

    def _is_healthy(self, served: ContainerLabels) -> bool:
        """Return whether it answers, and its keys are on this machine: they cannot be read from the container."""
        return served.answers() and (not served.auth or self._folder.keys.exists())

    def _alive(self) -> ContainerLabels:
        with connected() as client:
            current = self._service(client).current()
        served = ContainerLabels.of(current) if current and current.status == "running" else None
        if served is None:
            raise not_running(self.service_name)
        return served

    def _wanted(self, version: ModelVersion, base_image: str) -> ContainerLabels:
        # another base image makes another image, so that a rollback finds the former one
        other = f"-{hashlib.sha256(base_image.encode()).hexdigest()[:8]}" if self.base_image else ""
        return ContainerLabels(
            service=self.service_name,
            owner=str(self.state_dir),
            image=f"{self._name}:{version.package.short_id}{other}",
            base_image=base_image,
            cpu_cores=self.cpu_cores,
            memory_gb=self.memory_gb,
            **self._wanted_fields(version),
        )
