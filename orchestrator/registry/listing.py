"""VersionListing: the versions of one model, with scores, data, aliases, and which one is live."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from orchestrator.registry.versions import RegisteredVersion
from orchestrator.services import ServiceStatus
from orchestrator.tracking.registered_model import CHAMPION, RegisteredModel, TrainingRecord

PREVIOUS = "previous"  # no alias of the registry: `stages=rollback` goes back to this version


@dataclass(frozen=True)
class ListedVersion:
    """One version: ``metrics`` and ``data`` are of its run, ``registered`` is ISO 8601 in UTC; empty: not known.

    ``live`` names the service that serves it, ``here`` says whether its package is on this machine.
    """

    version: str
    package: str
    registered: str = ""
    refit: str = ""
    metrics: Mapping[str, float] | None = None
    data: str = ""
    data_digest: str = ""
    aliases: Sequence[str] = ()
    live: str = ""
    here: bool = False


@dataclass(frozen=True)
class VersionListing:
    """The versions of ``model`` in ``registry``, the newest first; ``service`` is what the target said of itself."""

    model: str
    registry: str
    versions: Sequence[ListedVersion]
    service: str = ""


def list_versions(
    versions: Sequence[RegisteredVersion],
    registry: RegisteredModel | None,
    records: Mapping[str, TrainingRecord],
    service: ServiceStatus | None,
) -> Sequence[ListedVersion]:
    """Return what is known of each version that the registry holds, the newest first."""
    held = [one for one in versions if registry is None or registry.holds(one.version)]
    return [_listed(one, registry, records.get(one.version.version), service) for one in reversed(held)]


def _listed(
    one: RegisteredVersion,
    registry: RegisteredModel | None,
    record: TrainingRecord | None,
    service: ServiceStatus | None,
) -> ListedVersion:
    number, package = one.version.version, one.version.package
    entry = registry.entries.get(number) if registry else None
    when = entry.created if entry and entry.created else one.at
    score = {f"mean_test_{one.refit}": one.score} if one.score is not None else None
    return ListedVersion(
        number,
        package.fingerprint,
        datetime.fromtimestamp(when, timezone.utc).isoformat(timespec="seconds") if when else "",
        record.refit if record else one.refit,
        {name: value for name, value in record.metrics.items() if math.isfinite(value)} if record else score,
        record.data if record else one.version.origin.data,
        record.data_digest if record else one.data,
        _aliases(number, package.fingerprint, registry),
        service.name if service and _serves(service, number, package.fingerprint) else "",
        package.path.is_dir(),
    )


def _aliases(number: str, fingerprint: str, registry: RegisteredModel | None) -> Sequence[str]:
    if registry is None:
        return ()
    former = [PREVIOUS] if registry.previous == (number, fingerprint) else []
    return [
        *([CHAMPION] if registry.champion == number else []),
        *former,
        *sorted(name for name, of in registry.aliases.items() if of == number and name != PREVIOUS),
    ]


def _serves(service: ServiceStatus, number: str, fingerprint: str) -> bool:
    """Return whether a service serves this version; one that was deployed without a registry names no number."""
    return service.fingerprint == fingerprint and service.version.strip("-") in {"", number}
