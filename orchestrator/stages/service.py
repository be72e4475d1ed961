"""Stages for an existing service: status, logs, keys, traffic, probe, removal."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NewType

from orchestrator.artifacts import Endpoint, Probe
from orchestrator.deploy.probe import probe_endpoint
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.target import SupportsKeyRotation, SupportsTrafficShift, Target
from orchestrator.errors import DeployError, ProbeError, TrackingError
from orchestrator.events import Progress
from orchestrator.registry.selection import check_registered, find_version, select_version
from orchestrator.services import Keys, ServiceStatus
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
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


def endpoint(spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target) -> Endpoint:
    """Return the live service's endpoint, with its package on this machine.

    Raises:
        ProbeError: ``package.version`` is given, and the service serves another one.
        PackageError: the package is neither here nor in the registry.
    """
    live = target.endpoint()
    if spec.version not in {"auto", "live"}:
        wanted = find_version(spec, state_dir, tracker, target, ())
        if wanted.package.fingerprint != live.package.fingerprint:
            served = (
                f"'{live.package.model_name}' version {target.status().version.strip('-') or live.package.short_id}"
            )
            raise ProbeError(
                f"package.version: the service serves {served}, not '{wanted.name}' version {wanted.version} "
                f"({wanted.chosen}); deploy that one with stages=deploy"
            )
    if live.package.is_intact():
        return live
    which = spec.model_copy(update={"version": "live", "model_name": live.package.model_name})
    return replace(live, package=select_version(which, state_dir, tracker, target, ()).package)


def probe_live(endpoint: Endpoint) -> Probe:
    """Test the endpoint with its package's golden requests, without any rollback."""
    return probe_endpoint(endpoint)


def remove(target: Target) -> None:
    """Remove the service; idempotent."""
    target.remove()
