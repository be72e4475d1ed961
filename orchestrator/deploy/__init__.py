"""Where a package can be served: the Target boundary. One module per kind of target, its SDK imported inside methods."""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Protocol, runtime_checkable

from pydantic import AfterValidator

from orchestrator.products import Endpoint, Keys, ModelVersion, Package, ServiceStatus


def _service_name(name: str) -> str:
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) or not 3 <= len(name) <= 32:
        raise ValueError(
            "should be 3 to 32 lower case letters, digits and dashes, with a letter first and no dash last, "
            f"got {name!r}"
        )
    return name


# Azure ML's rule, for every target: a name that works on this machine works there
ServiceName = Annotated[str, AfterValidator(_service_name)]


class Undone(Enum):
    """What a rollback did, in the words of the error that made it necessary."""

    FORMER = "the former service was put back"
    REMOVED = "the service was taken down; no former one is known"
    NOTHING = "the service was left as it is: it passed its test before, or another run deployed it"


class Target(Protocol):
    """Somewhere a package can be served. A target is a frozen dataclass whose fields are its YAML keys.

    All methods raise :class:`~orchestrator.errors.DeployError` with a remedy in the text.
    """

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:
        """Make it so: serve this package and answer once it is ready; the same package alive is left alone."""
        ...

    def rollback(self) -> Undone:
        """Undo the last :meth:`deploy` of this object: the former service is back, or none is. Tell which.

        A service that was never accepted counts as deployed by whoever deploys it again: its own command was killed
        before it could test it. What comes back is the former one that was accepted, if there is one.
        """
        ...

    def accept(self) -> None:
        """Take note that what this object deployed passed its test: it stays, and is rolled back no more."""
        ...

    def endpoint(self) -> Endpoint:
        """The live service's endpoint."""
        ...

    def remove(self) -> None:
        """Take the service down; taking down nothing is fine."""
        ...

    def status(self) -> ServiceStatus:
        """What is there now; never raises for a service that is absent or ill."""
        ...

    def logs(self) -> str:
        """The newest log text of the service, at most about 5000 lines."""
        ...

    def keys(self) -> Keys:
        """The service's keys."""
        ...


@runtime_checkable
class Building(Protocol):
    """A target that builds an image of the package's libraries."""

    def check_image(self, package: Package) -> None:
        """Check that the image's libraries can be installed together, before anything is registered or sent."""
        ...


@runtime_checkable
class Rotating(Protocol):
    """A target whose keys can be changed while the service runs."""

    def rotate_keys(self) -> Keys:
        """A new primary key; the former one becomes the secondary, so that it goes on opening until the next time."""
        ...
