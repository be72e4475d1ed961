"""The state of a Docker service, as the labels of its container hold it."""

from __future__ import annotations

import time
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, field_validator

from orchestrator.deploy.probe import is_healthy
from orchestrator.deploy.rollback import rollback_target
from orchestrator.deploy.served_package import ServedPackage
from orchestrator.deploy.server_options import names_another_version

if TYPE_CHECKING:
    from docker.models.containers import Container

PREFIX = "sklearn-orchestrator."
POLL_SECONDS = 0.3
INVISIBLE = {"path", "model_name", "model_version", "origin", "accepted", "former"}  # to clients


class ContainerLabels(ServedPackage):
    """What a container serves. ``owner`` is the state folder that it belongs to.

    ``former`` is what a rollback goes back to. Labels never change: ``accepted`` is true only for a container that was
    restored after it had been accepted; :class:`~orchestrator.deploy.docker.service.DockerService` knows the others.
    """

    service: str
    owner: str
    image: str
    base_image: str
    cpu_cores: float
    memory_gb: float
    former: ContainerLabels | None = None

    @field_validator("former", mode="before")
    @classmethod
    def _parse_label(cls, former: Any) -> Any:
        return cls.model_validate_json(former) if isinstance(former, str) else former

    def labels(self) -> dict[str, str]:
        """Return all of it as labels."""
        values = {name: str(value) for name, value in self if value is not None and name != "former"}
        if self.former is not None:
            values["former"] = self.former.model_dump_json(exclude={"former"})
        return {f"{PREFIX}{name}": value for name, value in values.items()}

    @classmethod
    def of(cls, container: Container) -> ContainerLabels | None:
        """Parse a container's labels; None if this project did not write them."""
        values = {
            name.removeprefix(PREFIX): value for name, value in container.labels.items() if name.startswith(PREFIX)
        }
        try:
            return cls.model_validate(values)
        except ValidationError:
            return None

    def replacing(self, replaced: ContainerLabels | None, *, alive: bool) -> ContainerLabels:
        """Return these labels with what a rollback goes back to, for a container that takes the place of ``replaced``."""
        former = rollback_target(replaced, replaced and replaced.former, attrgetter("accepted"), alive=alive)
        return self.model_copy(update={"former": former and former.model_copy(update={"former": None})})

    def serves_like(self, wanted: ContainerLabels) -> bool:
        """Return whether clients see no difference, even if the package lies in another folder.

        They see one if it names another version: labels and environment of a container never change.
        """
        alike = self.model_dump(exclude=INVISIBLE) == wanted.model_dump(exclude=INVISIBLE)
        return alike and not names_another_version(self.origin, wanted.origin)

    def answers(self) -> bool:
        """Return whether this package answers where it is published."""
        return is_healthy(self.host, self.port, self.fingerprint)

    def answers_within(self, seconds: float) -> bool:
        """Wait until it answers; return whether it did in time."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True
