"""The stage ``versions``: list the registered versions of a model, and which one is live."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.deploy.none import describe_absence
from orchestrator.deploy.target import Target
from orchestrator.errors import DeployError
from orchestrator.registry.listing import VersionListing, list_versions
from orchestrator.registry.selection import VersionSelector, known_versions
from orchestrator.services import ServiceStatus
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.tracking.registered_model import TrainingRecord
from orchestrator.tracking.tracker import HoldsPackages, Tracker


def versions(spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target) -> VersionListing:
    """Return the model's versions in the registry, or without one those of this machine; nothing is changed.

    A service that cannot be asked is no error: the listing says so.
    """
    model = spec.model_name
    selector = VersionSelector(model, known_versions(model, state_dir, tracker), tracker, target, state_dir)
    registry = selector.registry
    records: Mapping[str, TrainingRecord] = {}
    if isinstance(tracker, HoldsPackages) and registry is not None and registry.versions:
        records = tracker.describe(model)
    service, said = _service(target)
    listed = list_versions(selector.registered, registry, records, service)
    return VersionListing(model, tracker.registry_name, listed, said)


def _service(target: Target) -> tuple[ServiceStatus | None, str]:
    """Return the service's state, and a line about it for the user."""
    try:
        status = target.status()
    except DeployError as error:
        return None, f"what is live is not known: {error}"
    if status.state == "absent":
        return status, describe_absence(status)
    model = f"{status.model} {status.version}".strip() or status.fingerprint[:16]
    return status, f"service '{status.name}' is {status.state}{f' at {status.url}' if status.url else ''}, with {model}"
