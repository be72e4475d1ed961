"""What a container serves and how, as its labels tell it: the record of the docker target."""

from __future__ import annotations

import contextlib
import http.client
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from orchestrator.artifacts import Package
from orchestrator.deploy import ports
from orchestrator.deploy.server_options import mislabelled

if TYPE_CHECKING:
    from docker.models.containers import Container

PREFIX = "sklearn-orchestrator."
POLL_SECONDS = 0.3
HEALTH_SECONDS = 10
BESIDE = {"path", "model_name", "model_version", "origin", "accepted", "former"}  # what a client cannot tell apart


class ContainerLabels(BaseModel):
    """What a container serves. ``owner`` is the state folder that it belongs to.

    ``former`` is what to go back to should this one fail its test. Labels never change, so ``accepted`` there says only
    that it had passed its test when it was put back; :class:`~orchestrator.deploy.docker.service.DockerService` knows the rest.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    service: str
    owner: str
    image: str
    base_image: str
    host: str
    port: int
    auth: bool
    cpu_cores: float
    memory_gb: float
    path: Path
    fingerprint: str
    model_name: str
    model_version: str
    origin: str = ""
    limits: str = ""
    accepted: bool = False
    former: ContainerLabels | None = None

    @field_validator("former", mode="before")
    @classmethod
    def _told(cls, former: Any) -> Any:
        return cls.model_validate_json(former) if isinstance(former, str) else former

    def labels(self) -> dict[str, str]:
        """All of it as labels."""
        told = {name: str(value) for name, value in self if value is not None and name != "former"}
        if self.former is not None:
            told["former"] = self.former.model_dump_json(exclude={"former"})
        return {f"{PREFIX}{name}": value for name, value in told.items()}

    @classmethod
    def of(cls, container: Container) -> ContainerLabels | None:
        """What a container's labels say; None if they are not ours."""
        told = {name.removeprefix(PREFIX): value for name, value in container.labels.items() if name.startswith(PREFIX)}
        try:
            return cls.model_validate(told)
        except ValidationError:
            return None

    def after(self, before: ContainerLabels | None, *, alive: bool) -> ContainerLabels:
        """This in the place of ``before``: rollback goes to the last that was accepted, else to what this replaces.

        What died untested is nothing to go back to, but what it replaced is.
        """
        former = before
        if before is not None and not before.accepted:
            better = before.former is not None and before.former.accepted
            former = before.former if better or not alive else before
        return self.model_copy(update={"former": former and former.model_copy(update={"former": None})})

    @property
    def package(self) -> Package:
        """The package that is served."""
        return Package(self.path, self.fingerprint, self.model_name)

    def is_what(self, wanted: ContainerLabels) -> bool:
        """Whether there is nothing to do: the same package in another folder is the same service.

        One that names another version is not: labels and environment of a container never change.
        """
        alike = self.model_dump(exclude=BESIDE) == wanted.model_dump(exclude=BESIDE)
        return alike and not mislabelled(self.origin, wanted.origin)

    def answers(self) -> bool:
        """Whether this package answers where it is published."""
        connection = http.client.HTTPConnection(ports.reachable(self.host), self.port, timeout=HEALTH_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/", headers={"Connection": "close"})
                response = connection.getresponse()
                return response.status == 200 and response.getheader("x-package-fingerprint") == self.fingerprint
            except (OSError, http.client.HTTPException):
                return False

    def answers_within(self, seconds: float) -> bool:
        """Whether it answers before this time is over."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True
