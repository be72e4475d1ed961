"""The containers of one service: find the live one, swap in a replacement, clean up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator.deploy import ports
from orchestrator.deploy.docker import container as containers
from orchestrator.deploy.docker import image as images
from orchestrator.deploy.docker.client import refusal
from orchestrator.deploy.docker.labels import PREFIX, ContainerLabels
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.errors import DeployError
from orchestrator.files import write_private
from orchestrator.progress import Heartbeat

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

STOP_SECONDS = 30  # longer than a server takes to drain (score.server.DRAIN_SECONDS)
ANSWER_SECONDS = 20  # the server is loaded already; a whole restart fits in
IN_USE = ("port is already allocated", "address already in use")


class ContainerSettings(Protocol):
    """What a container needs of the machine: fields of a target and of a container's labels."""

    @property
    def host(self) -> str: ...  # noqa: D102 -- the keys of the target
    @property
    def port(self) -> int: ...  # noqa: D102
    @property
    def cpu_cores(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class DockerService:
    """The containers of one service that this project made for ``owner``, a state folder. It changes no others.

    ``name`` is the container's name, and what its images are called.
    """

    client: DockerClient
    name: str
    service: str
    owner: str
    home: ServiceDirectory

    def all(self) -> list[Container]:
        """Return every container of this service, also stopped ones and those that a killed deployment left."""
        labels = [f"{PREFIX}service={self.service}", f"{PREFIX}owner={self.owner}"]
        own: list[Container] = self.client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        return own

    def current(self) -> Container | None:
        """Return the container that has the port; if none has, the one that had it last."""
        own = self.all()
        named = (container for container in own if container.name == self.name)
        return next((container for container in own if containers.published(container)), next(named, None))

    def served(self, container: Container | None) -> ContainerLabels | None:
        """Return what a container serves, and whether it was accepted."""
        served = ContainerLabels.of(container) if container is not None else None
        if container is None or served is None:
            return None
        return served.model_copy(update={"accepted": served.accepted or self._accepted() == container.id})

    def accept(self, container: Container) -> None:
        """Record that this container passed its test, and remove the images that only a rollback needed.

        Raises:
            DeployError: it cannot be recorded.
        """
        try:
            write_private(self._acceptance, container.id)
        except OSError as error:
            raise DeployError(
                f"deploy: {self._acceptance} cannot be written ({error.strerror}), which says that the service passed its "
                "test; make room or correct the folder's permissions, and deploy again"
            ) from error
        served = ContainerLabels.of(container)
        if served is not None:
            images.prune(self.client, self.name, keep=(served.image, images.libraries(served.image)))

    def reconcile(self) -> Container | None:
        """Remove what killed deployments left, and return the current container. Under the lock only.

        Raises:
            DeployError: a container that this project did not make has a name that this service needs.
        """
        self._check_names()
        images.clear(self.client, self.home)
        current = self.current()
        for other in self.all():
            if current is None or other.id != current.id:
                containers.discard(other, self.home)
        if current is not None and current.name != self.name:
            current.rename(self.name)
        return current

    def check(self, current: Container | None, wanted: ContainerSettings) -> None:
        """Raise a DeployError if the engine lacks the processors or the address, or if the port is taken."""
        processors = self.client.info()["NCPU"]
        if wanted.cpu_cores > processors:
            raise DeployError(
                f"deploy.cpu_cores: the engine's machine has {processors} processors, and {wanted.cpu_cores:g} were "
                f"asked for; use deploy.cpu_cores={processors}"
            )
        before = ContainerLabels.of(current) if current is not None and containers.published(current) else None
        if before is None or before.port != wanted.port:
            self._check_port(wanted)
        elif before.host != wanted.host:
            _check_host(wanted.host)

    @contextlib.contextmanager
    def report_surviving_service(self, current: Container | None, what: str) -> Iterator[None]:
        """Add to a failure in the block whether the current container, called ``what``, still serves."""
        from docker.errors import APIError

        served = ContainerLabels.of(current) if current is not None and current.status == "running" else None
        try:
            yield
        except (APIError, DeployError) as error:
            if current is None or served is None:
                raise
            first, end, proof = str(refusal(error) if isinstance(error, APIError) else error).partition("\n")
            became = (
                "goes on serving"
                if served.answers()
                else f"does not answer: `docker restart {self.name}` or deploy it again"
            )
            raise DeployError(f"{first}; {what} {became}{end}{proof}", getattr(error, "kind", "")) from error

    def replace(self, current: Container | None, wanted: ContainerLabels, seconds: float, say: Heartbeat) -> Container:
        """Start a container for ``wanted`` and swap it in for the current one; if that fails, nothing changes."""
        with contextlib.ExitStack() as undo:
            if wanted.auth and not self.home.keys.exists():  # clients of the service that stays do not know new ones
                undo.callback(self.home.keys.unlink, missing_ok=True)
            keys = self.home.ensure_keys() if wanted.auth else None
            new = self._started(current, wanted, keys, seconds, say)
            undo.pop_all()
        if current is not None:
            containers.discard(current, self.home)
        new.rename(self.name)
        return new

    def end(self, container: Container) -> None:
        """Let the service drain its requests, save its log and remove it."""
        container.stop(timeout=STOP_SECONDS)
        containers.discard(container, self.home)

    def clear(self, say: Heartbeat) -> None:
        """Remove everything that was made in the engine for this service."""
        say("removing the container and its images")
        current = self.current()
        for container in self.all():
            if current is not None and container.id == current.id:
                self.end(container)
            else:  # of a killed command: it is not reachable
                containers.discard(container, self.home)
        images.clear(self.client, self.home)
        images.prune(self.client, self.name)
        self._acceptance.unlink(missing_ok=True)

    @property
    def _acceptance(self) -> Path:
        return self.home.path / "accepted"

    def _accepted(self) -> str:
        try:
            return self._acceptance.read_text()
        except OSError:
            return ""

    def _started(
        self, current: Container | None, wanted: ContainerLabels, keys: Path | None, seconds: float, say: Heartbeat
    ) -> Container:
        """Start a container, stop the current one and give the new one its port."""
        say("starting the container")
        new = containers.start(self.client, f"{self.name}-next", wanted, keys, seconds, self.home)
        served_before = current is not None and current.status == "running"
        try:
            if current is not None:
                say("stopping the former container once it has answered its requests")
                current.stop(timeout=STOP_SECONDS)
            self._publish(new, wanted)
        except BaseException:
            try:
                containers.discard(new, self.home)
            finally:
                if current is not None and served_before:
                    self._bring_back(current)
            raise
        return new

    def _check_port(self, wanted: ContainerSettings) -> None:
        for other in (
            self.client.containers.list()
        ):  # the engine listens on their ports, so the operating system knows only the engine
            if any(end["HostPort"] == str(wanted.port) for ends in other.ports.values() for end in ends or ()):
                raise DeployError(
                    f"deploy.port: {wanted.port} is in use by container '{other.name}'; "
                    f"`docker stop {other.name}` or choose another deploy.port"
                )
        ports.check(wanted.host, wanted.port)

    def _publish(self, new: Container, wanted: ContainerLabels) -> None:
        from docker.errors import APIError

        try:
            containers.publish(self.client, new)
        except APIError as error:
            if any(text in str(error.explanation) for text in IN_USE):
                self._check_port(wanted)  # another process was faster: name it
            raise
        if not wanted.answers_within(ANSWER_SECONDS):
            raise DeployError(
                f"deploy: the container is healthy, but does not answer at {ports.url(wanted.host, wanted.port)}; "
                "the engine must be on this machine (DOCKER_HOST), and deploy.host an address of it"
            )

    def _bring_back(self, former: Container) -> None:
        """Restart the former container, after a failure that is being raised: an error here would hide it."""
        from docker.errors import APIError

        with contextlib.suppress(APIError):
            former.start()
            served = ContainerLabels.of(former)
            if served is not None:
                served.answers_within(ANSWER_SECONDS)

    def _check_names(self) -> None:
        own = {container.id for container in self.all()}
        for other in self.client.containers.list(all=True, filters={"name": f"^/?{self.name}(-next)?$"}):
            if other.id not in own:
                raise DeployError(
                    f"deploy.service_name: this project did not make container '{other.name}', which has the name "
                    "that this service needs; `docker rename` or remove it, or choose another deploy.service_name"
                )


def _check_host(host: str) -> None:
    """Raise a DeployError if this machine has no such address; on any port, as this service holds the wanted one."""
    try:
        ports.taken(host, 0)
    except DeployError as error:
        raise DeployError(
            f"deploy.host: '{host}' is no address of this machine; use 127.0.0.1, or 0.0.0.0 to let other machines in"
        ) from error
