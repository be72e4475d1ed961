"""Serving a package in a Docker container, on an engine of this machine.

The container's labels are the record of what it serves and of what it replaced, so there is no second one to
disagree. Only the keys, the logs, the lock and the note of the last container that passed its test lie in
``<state_dir>/services/<service_name>.docker/``.

A replacement is built, started and waited for while the former container serves; only then the former one is
stopped and the new one, loaded already, is given the port. For a client that means: what is being answered is
answered to the end, and whatever is sent between the two is refused or reset, so clients should try again. That
lasts less than a second as a rule; up to 5 s while a client holds an idle connection, and up to 30 s while an answer
takes that long. A command that is killed just there leaves nobody on the port; killed at any other moment it leaves
the former service or the new one. The next ``deploy`` or ``remove`` clears away what is left over.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from orchestrator.artifacts import Endpoint, Keys, ModelVersion, Package, ServiceStatus
from orchestrator.deploy import ports
from orchestrator.deploy.docker import container as containers
from orchestrator.deploy.docker import image as images
from orchestrator.deploy.docker.client import connected
from orchestrator.deploy.docker.labels import ContainerLabels
from orchestrator.deploy.docker.service import DockerService
from orchestrator.deploy.image_builder import ImageBuilder
from orchestrator.deploy.server_options import ServerOptions, origin
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.deploy.target import RollbackResult, ServiceName
from orchestrator.errors import DeployError
from orchestrator.progress import Heartbeat, heartbeat
from orchestrator.resolving.libraries import Libraries

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True)
class Docker(ImageBuilder, ServerOptions):
    """A service in a container. ``rollback`` undoes only what this object did: ``_deployed`` remembers that."""

    service_name: ServiceName
    state_dir: Path
    port: Annotated[int, Field(ge=1, le=65535)] = 6789
    host: str = "127.0.0.1"
    auth_enabled: bool = False
    cpu_cores: Annotated[float, Field(ge=0.01)] = 1
    memory_gb: Annotated[float, Field(ge=0.01)] = 1
    base_image: str | None = None
    network_mode: str | None = None
    build_args: Mapping[str, str | None] = field(default_factory=dict, repr=False)  # an index's URL may hold a password
    timeout_seconds: Annotated[float, Field(gt=0)] = 60
    # The id of the container that was deployed last and is untested, at most one.
    _deployed: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state_dir", Path(self.state_dir).expanduser().resolve())

    def libraries(self, package: Package) -> Libraries:
        """The package's alone, by the index and the proxy that the build uses."""
        args = images.arguments(package, self.base_image, self.build_args)
        return images.libraries_of(package, args)

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:
        """Serve this package; the same one alive, healthy and as wanted is left alone."""
        self._deployed.clear()
        args = images.arguments(package, self.base_image, self.build_args)
        wanted = self._wanted(package, version, args[images.BASE])
        with self._working("looking at what serves now") as (berth, say):
            current = berth.settled()
            before = berth.served(current)
            if current is not None and before is not None and before.is_what(wanted) and self._well(before):
                accepted = before.accepted
            else:
                with berth.report_surviving_service(current, "the former service"):
                    berth.check(current, wanted)
                    self._warn(version)
                    images.build(berth.client, wanted, args, self.network_mode, self._folder, say)
                    alive = current is not None and current.status == "running"
                    current = berth.replace(current, wanted.after(before, alive=alive), self.timeout_seconds, say)
                accepted = False
            if not accepted:  # new, or left untested by a command that was killed
                self._deployed.append(current.id)
            return self._endpoint(wanted)

    def preflight(self) -> None:
        """Raise a DeployError if there is no engine, or it lacks the processors, or others hold the port."""
        with connected() as client:
            berth = self._berth(client)
            berth.check(berth.current(), self)

    def rollback(self) -> RollbackResult:
        """What was serving before this object's last deployment serves again; nothing if nothing was."""
        if not self._deployed:
            return RollbackResult.NOTHING
        with self._working("looking at what is to be undone") as (berth, say):
            current = berth.settled()
            served, mine = berth.served(current), self._deployed.pop()
            if current is None or served is None or current.id != mine or served.accepted:
                return RollbackResult.NOTHING  # somebody else has deployed since, or has tested it: not ours to undo
            if served.former is None:
                say("removing the container")
                berth.end(current)  # the keys stay: they may be older than this deployment, and clients hold them
                return RollbackResult.REMOVED
            say("putting the former service back")
            with berth.report_surviving_service(current, "what was to be undone"):
                berth.check(current, served.former)
                if not images.there(berth.client, served.former.image):
                    args = images.arguments(served.former.package, served.former.base_image, self.build_args)
                    images.build(berth.client, served.former, args, self.network_mode, self._folder, say)
                berth.replace(current, served.former, self.timeout_seconds, say)
            return RollbackResult.FORMER

    def accept(self) -> None:
        """Take note that the container passed its test, so that no later command takes it for an untested one."""
        if self._deployed:
            with self._working("removing the images of former services") as (berth, _):
                current = berth.current()
                if current is not None and current.id == self._deployed[0]:
                    berth.accept(current)
                self._deployed.clear()  # not before: what could not be accepted can be rolled back

    def endpoint(self) -> Endpoint:
        """The live service's endpoint."""
        return self._endpoint(self._alive())

    def remove(self) -> None:
        """Stop the service; forget its containers, images and keys. Its logs stay: they may tell why it was removed."""
        with self._working("removing the service") as (berth, say):
            berth.clear(say)
            self._folder.keys.unlink(missing_ok=True)

    def status(self) -> ServiceStatus:
        """Healthy if the container is, and answers where it is published; absent if there is none."""
        with connected() as client:
            current = self._berth(client).current()
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
        health = current.attrs["State"].get("Health", {}).get("Status")  # "starting" until the engine's first look
        healthy = health != "unhealthy" and served.answers()
        url = ports.url(served.host, served.port)
        state, names = "healthy" if healthy else "unhealthy", (served.model_name, served.model_version)
        return ServiceStatus(self.service_name, state, url, details, *names, served.fingerprint)

    def logs(self) -> str:
        """The newest lines of the container's log; of the last one's, if none is there now."""
        with connected() as client:
            current = self._berth(client).current()
            if current is not None:
                return containers.log_of(current)
        failed = (log for folder in self._folder.failures() for log in folder.glob("*.log") if log.stat().st_size)
        newest = max([*self._folder.logs(), *failed], key=lambda log: log.stat().st_mtime, default=None)
        if newest is None:
            raise DeployError(f"deploy: service '{self.service_name}' has no log yet; deploy it first")
        return newest.read_text(errors="replace")

    def keys(self) -> Keys:
        """The service's two keys."""
        if not self._alive().auth:
            raise DeployError(
                f"deploy.auth_enabled: service '{self.service_name}' needs no key; deploy with deploy.auth_enabled=true"
            )
        return self._folder.read_keys()

    @property
    def _folder(self) -> ServiceDirectory:
        return ServiceDirectory(self.state_dir / "services" / f"{self.service_name}.docker")

    @property
    def _name(self) -> str:
        """In the engine: the same for each command on this service, another for another state folder."""
        return f"{self.service_name}-{hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:8]}"

    def _warn(self, version: ModelVersion) -> None:
        needed = version.memory_bytes / 2**30
        if needed > self.memory_gb:
            self._note(
                f"warning: the package took {needed:.2f} GB when it was proved; "
                f"deploy.memory_gb={self.memory_gb:g} is too little"
            )

    def _berth(self, client: DockerClient) -> DockerService:
        return DockerService(client, self._name, self.service_name, str(self.state_dir), self._folder)

    @contextlib.contextmanager
    def _working(self, doing: str) -> Iterator[tuple[DockerService, Heartbeat]]:
        """The service as this command alone may change it, and what people hear meanwhile: ``doing`` at first."""
        with heartbeat(self._note, "waiting for the Docker engine") as say, connected() as client:
            say.quietly("waiting for another command on this service")
            with self._folder.locked():
                say.quietly(doing)
                yield self._berth(client), say

    def _well(self, served: ContainerLabels) -> bool:
        """Whether it answers, and we have the keys that it asks for: they cannot be read back from the container."""
        return served.answers() and (not served.auth or self._folder.keys.exists())

    def _alive(self) -> ContainerLabels:
        with connected() as client:
            current = self._berth(client).current()
        served = ContainerLabels.of(current) if current and current.status == "running" else None
        if served is None:
            raise DeployError(f"deploy: no service '{self.service_name}' is running; deploy it first")
        return served

    def _wanted(self, package: Package, version: ModelVersion, base_image: str) -> ContainerLabels:
        # another base image makes another image, so that a rollback finds the former one
        other = f"-{hashlib.sha256(base_image.encode()).hexdigest()[:8]}" if self.base_image else ""
        return ContainerLabels(
            service=self.service_name,
            owner=str(self.state_dir),
            image=f"{self._name}:{package.fingerprint[:12]}{other}",
            base_image=base_image,
            host=self.host,
            port=self.port,
            auth=self.auth_enabled,
            cpu_cores=self.cpu_cores,
            memory_gb=self.memory_gb,
            path=package.path.absolute(),
            fingerprint=package.fingerprint,
            model_name=package.model_name,
            model_version=version.version,
            origin=origin(version),
            limits=self.limits,
        )

    def _endpoint(self, served: ContainerLabels) -> Endpoint:
        headers = {"Authorization": f"Bearer {self._folder.read_keys().primary}"} if served.auth else {}
        return Endpoint(ports.url(served.host, served.port), "docker", served.auth, served.package, headers)
