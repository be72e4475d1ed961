"""Stages for a service that is there: what it is, its log, its keys, a test of it, its end."""

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
    """What is deployed now, and whether it answers; a version that the registry no longer holds is not named as if it did."""
    found = target.status()
    if not found.version.strip("-"):
        return found
    try:
        registry = tracker.look_up(found.model)
    except TrackingError:
        return replace(found, details={**found.details, "registry": "does not answer: the version was not looked up"})
    if registry is None or registry.versions.get(found.version) == found.fingerprint:
        return found
    gone = f"{found.model}, of a version that is not in the registry any more (it was {found.version})"
    return replace(found, details={**found.details, "model": gone}, version="")


def logs(target: Target) -> Log:
    """The newest lines of the service's log."""
    return Log(target.logs())


def keys(target: Target) -> Keys:
    """The service's keys."""
    return target.keys()


def rotate_keys(target: Target) -> Keys:
    """A new primary key; the former one goes on opening as the secondary. Twice, and both are new."""
    if not isinstance(target, SupportsKeyRotation):
        raise DeployError("deploy: the keys of this target cannot be changed while it runs; remove it and deploy again")
    return target.rotate_keys()


def shift(target: Target, tracker: Tracker, rollout: Rollout, progress: Progress) -> ServiceStatus:
    """Give the newer of two deployments its share of the requests; with all of them it becomes the champion.

    Other commands on this service wait.

    Raises:
        PackageError: the registry does not hold the version any more; it is not given more requests.
    """
    if not isinstance(target, SupportsTrafficShift):
        raise DeployError(
            "deploy: this target serves one package at a time; deploy=managed and deploy=aks can share requests"
        )
    rollout.wait(progress.note)
    version = target.shift(partial(check_registered, tracker=tracker, instead="deploy another version"))
    if version is not None and version.version:
        tracker.promote(version)
    elif version is not None and tracker.where:
        progress.note(
            "it was deployed without tracking, as no registered version: the alias champion stays where it is"
        )
    return target.status()


def endpoint(target: Target) -> Endpoint:
    """The live service's endpoint."""
    return target.endpoint()


def probe_live(endpoint: Endpoint) -> Probe:
    """Test the endpoint with its package's golden requests and leave it as it is."""
    return probe_endpoint(endpoint)


def remove(target: Target) -> None:
    """Take the service down; taking down nothing is fine."""
    target.remove()
