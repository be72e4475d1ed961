"""Stages for an existing service: status, logs, keys, traffic, probe, removal."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NewType

from orchestrator.artifacts import Endpoint, Keys, Probe, ServiceStatus
from orchestrator.deploy.probe import probe_endpoint
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.target import SupportsKeyRotation, SupportsTrafficShift, Target
from orchestrator.errors import DeployError, TrackingError
from orchestrator.events import Progress
from orchestrator.registry.selection import check_registered
from orchestrator.tracking.tracker import Tracker

Log = NewType("Log", str)


def status(target: Target, tracker: Tracker) -> ServiceStatus:
    """Return the service's state, with its version only if the registry still has it."""
    status = target.status()
    if not status.version.strip("-"):
        return status
    try:
        registry = tracker.look_up(status.model)
    except TrackingError:
        return replace(status, details={**status.details, "registry": "does not answer: the version was not looked up"})
    if registry is None or registry.versions.get(status.version) == status.fingerprint:
        return status
    gone = f"{status.model}, of a version that is not in the registry any more (it was {status.version})"
    return replace(status, details={**status.details, "model": gone}, version="")


def logs(target: Target) -> Log:
    """Return the newest lines of the service's log."""
    return Log(target.logs())


def keys(target: Target) -> Keys:
    """Return the service's keys."""
    return target.keys()


def rotate_keys(target: Target) -> Keys:
    """Make a new primary key; the old one stays valid as the secondary. Rotating twice replaces both."""
    if not isinstance(target, SupportsKeyRotation):
        raise DeployError("deploy: the keys of this target cannot be changed while it runs; remove it and deploy again")
    return target.rotate_keys()


def shift(target: Target, tracker: Tracker, rollout: Rollout, progress: Progress) -> ServiceStatus:
    """Shift the configured share of requests to the newer of two deployments; with all of them it becomes champion.

    Other commands on this service wait.

    Raises:
        PackageError: the registry no longer has the version; its share stays as it is.
    """
    if not isinstance(target, SupportsTrafficShift):
        raise DeployError(
            "deploy: this target serves one package at a time; deploy=managed and deploy=aks can share requests"
        )
    rollout.wait(progress.note)
    version = target.shift(partial(check_registered, tracker=tracker, instead="deploy another version"))
    if version is not None and version.version:
        tracker.promote(version)
    elif version is not None and tracker.registry_name:
        progress.note(
            "it was deployed without tracking, as no registered version: the alias champion stays where it is"
        )
    return target.status()


def endpoint(target: Target) -> Endpoint:
    """Return the live service's endpoint."""
    return target.endpoint()


def probe_live(endpoint: Endpoint) -> Probe:
    """Test the endpoint with its package's golden requests, without any rollback."""
    return probe_endpoint(endpoint)


def remove(target: Target) -> None:
    """Remove the service; idempotent."""
    target.remove()
