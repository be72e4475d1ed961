"""Where a package can be served: the Target boundary. One module per kind of target, its SDK imported inside methods."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Protocol, runtime_checkable

from pydantic import AfterValidator

from orchestrator.artifacts import Endpoint, Keys, ModelVersion, Package, ServiceStatus

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
    """Return the name, made valid: lower case, dashes for all else; cut behind a word, with a digest, where too long.

    The same name gives the same one on every machine.
    """
    if _is_valid(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    plain = plain if plain[:1].isalpha() else f"s-{plain}".strip("-")
    if SHORTEST <= len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST]
    kept = plain[: LONGEST - DIGEST - 1]
    whole = kept if plain[len(kept) : len(kept) + 1] in {"", "-"} else kept.rpartition("-")[0]
    return f"{(whole or kept).rstrip('-')}-{digest}"


# Azure ML's rule, for every target: a name that works on this machine works there
ServiceName = Annotated[str, AfterValidator(_service_name)]


class RollbackResult(Enum):
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

    def rollback(self) -> RollbackResult:
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
class BuildsImage(Protocol):
    """A target that builds an image of the package's libraries."""

    def check_image(self, package: Package) -> None:
        """Check that the image's libraries can be installed together, before anything is registered or sent."""
        ...


@runtime_checkable
class SupportsKeyRotation(Protocol):
    """A target whose keys can be changed while the service runs."""

    def rotate_keys(self) -> Keys:
        """A new primary key; the former one becomes the secondary, so that it goes on opening until the next time."""
        ...


@runtime_checkable
class SupportsTrafficShift(Protocol):
    """A target that can serve two packages at once and share the requests between them."""

    def shift(self, check: Callable[[ModelVersion], None]) -> ModelVersion | None:
        """Give the newer package its share of the requests; return its version once it has all, and else None.

        With all of them it takes the former one's place, which is then deleted. ``check`` may raise before a version
        is given more requests than it has.
        """
        ...


@runtime_checkable
class SupportsPreflight(Protocol):
    """A target that can find out early what would make a deployment fail."""

    def preflight(self) -> None:
        """Raise a DeployError if others hold what a deployment needs, such as the port; it is called before a training."""
        ...
