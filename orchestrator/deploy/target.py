"""The Target boundary: what every place that can serve a package implements."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Protocol, runtime_checkable

from pydantic import AfterValidator

from orchestrator.artifacts import Endpoint, ModelVersion, Package
from orchestrator.errors import DeployError
from orchestrator.services import Keys, ServiceStatus

SHORTEST, LONGEST = 3, 32  # characters of a service's name
DIGEST = 6  # characters of the digest that ends a name which was cut


def _service_name(name: str) -> str:
    if not _is_valid(name):
        raise ValueError(
            f"should be {SHORTEST} to {LONGEST} lower case letters, digits and dashes, with a letter first and no dash "
            f"last, got {name!r}"
        )
    return name


def _is_valid(name: str) -> bool:
    return bool(re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)) and SHORTEST <= len(name) <= LONGEST


def valid_service_name(name: str) -> str:
    """Make a valid name of any: lower case, with dashes for other characters; a long one is cut and ends with a digest.

    The result is the same on every machine.
    """
    if _is_valid(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    plain = plain if plain[:1].isalpha() else f"s-{plain}".strip("-")
    if SHORTEST <= len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST]
    start = plain[: LONGEST - DIGEST - 1]
    whole = start if plain[len(start) : len(start) + 1] in {"", "-"} else start.rpartition("-")[0]
    return f"{(whole or start).rstrip('-')}-{digest}"


# Azure ML's rule, for every target: a name that works on this machine works there
ServiceName = Annotated[str, AfterValidator(_service_name)]


def not_running(service_name: str) -> DeployError:
    """Return the error for a service that is needed and does not run."""
    return DeployError(f"deploy: no service '{service_name}' is running; deploy it first")


def needs_no_key(service_name: str) -> DeployError:
    """Return the error for keys of a service that has none."""
    return DeployError(
        f"deploy.auth_enabled: service '{service_name}' needs no key; deploy with deploy.auth_enabled=true"
    )


class RollbackResult(Enum):
    """What a rollback did, as text for the error message."""

    FORMER = "the former service was put back"
    REMOVED = "the service was taken down; no former one is known"
    NOTHING = "the service was left as it is: it passed its test before, or another run deployed it"


@dataclass(frozen=True)
class Deployment:
    """One deployment of a target, until it is accepted or rolled back.

    ``accept()`` records that it passed its test: it stays, and no later command rolls it back. ``rollback()`` restores
    what :func:`~orchestrator.deploy.rollback.rollback_target` says. It leaves the service as it is if it was accepted
    before, or if another command has deployed since. Both raise a DeployError.
    """

    endpoint: Endpoint
    accept: Callable[[], None]
    rollback: Callable[[], RollbackResult]


class Target(Protocol):
    """Somewhere a package can be served. A target is a frozen dataclass whose fields are its YAML keys.

    It remembers nothing between calls: what is deployed, and whether it was accepted, is found at the service itself.
    All methods raise :class:`~orchestrator.errors.DeployError` with a remedy in the text.
    """

    def deploy(self, version: ModelVersion) -> Deployment:
        """Serve the version's package and return once it is ready; if it is alive already, nothing changes.

        A service that was never accepted is deployed by this command, too, if it serves the package: the command that
        deployed it was killed before it could test it.
        """
        ...

    def endpoint(self) -> Endpoint:
        """Return the live service's endpoint."""
        ...

    def remove(self) -> None:
        """Take the service down; it is no error if there is none."""
        ...

    def status(self) -> ServiceStatus:
        """Return the service's state now; an absent or unhealthy one is no error."""
        ...

    def logs(self) -> str:
        """Return the newest log lines of the service, at most about 5000."""
        ...

    def keys(self) -> Keys:
        """Return the service's keys."""
        ...


@runtime_checkable
class BuildsImage(Protocol):
    """A target that builds an image of the package's libraries."""

    def check_image(self, package: Package) -> None:
        """Check that the image's libraries can be installed together, before anything is registered or sent."""
        ...


@runtime_checkable
class SupportsKeyRotation(Protocol):
    """A target whose keys can be changed while the service runs."""

    def rotate_keys(self) -> Keys:
        """Make a new primary key; the old one becomes the secondary and stays valid until the next rotation."""
        ...


@runtime_checkable
class SupportsTrafficShift(Protocol):
    """A target that can serve two packages at once and share the requests between them."""

    def shift(self, check: Callable[[ModelVersion], None]) -> ModelVersion | None:
        """Give the newer package its share of the requests; return its version if it has all of them, else None.

        With all of them it replaces the former one, which is then deleted. ``check`` may raise before a version
        is given more requests than it has.
        """
        ...


@runtime_checkable
class SupportsPreflight(Protocol):
    """A target that can find out early what would make a deployment fail."""

    def preflight(self) -> None:
        """Raise a DeployError if what a deployment needs, such as the port, is taken; called before training."""
        ...
