"""Stages that release a verified package: register it, deploy it, probe the endpoint, make it the champion."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.artifacts import Endpoint, ModelVersion, Package, Probe, Report, TrackedRun, Verification
from orchestrator.deploy.image_builder import ImageCheck
from orchestrator.deploy.probe import probe_endpoint
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.target import Target
from orchestrator.errors import DeployError, PackageError, ProbeError, TrackingError
from orchestrator.events import Progress
from orchestrator.flow import Passed
from orchestrator.gate.ledger import note_look
from orchestrator.gate.verdict import Verdict
from orchestrator.registry import versions
from orchestrator.registry.selection import check_registered, select_version
from orchestrator.registry.versions import RegisteredVersion
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.tracking.tracker import Tracker


def track(report: Report, tracker: Tracker, state_dir: StateDir, provenance: RunProvenance) -> TrackedRun:
    """Track this training without registering a model, and return the run."""
    note_look(report, tracker, state_dir, provenance.sweep)
    return TrackedRun(tracker.record(report))


def register(
    package: Package,
    verification: Verification,
    report: Report,
    tracker: Tracker,
    state_dir: StateDir,
    provenance: RunProvenance,
    check_image: ImageCheck,
) -> ModelVersion:
    """Register the package as a new version, which ``stages=deploy`` can load without data or training.

    Raises:
        DeployError: the target builds an image, in which the package's libraries cannot be installed.
    """
    note_look(report, tracker, state_dir, provenance.sweep)
    check_image(package)
    if verification.fingerprint != package.fingerprint:
        raise PackageError("the verification in the cache is of another package; remove state_dir/cache and run again")
    origin = replace(provenance.origin, trained=report.trained_at)
    version = replace(
        tracker.register(package, verification, report), memory_bytes=verification.memory_bytes, origin=origin
    )
    versions.add_version(state_dir, RegisteredVersion.of(version, tracker.registry_name, report, provenance.sweep))
    return version


def load_version(spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target) -> ModelVersion:
    """Return the version that ``package.version`` selects; by default the last one registered, after a sweep its best.

    Raises:
        PackageError: there is none, its folder is gone or changed, or the registry no longer has it.
    """
    return select_version(spec, state_dir, tracker, target, ("newest",))


def load_live(spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target) -> ModelVersion:
    """Return the version that ``package.version`` selects; by default the live one of the service, else the champion.

    Raises:
        PackageError: as for :func:`load_version`.
    """
    return select_version(spec, state_dir, tracker, target, ("live", "champion"))


def load_previous(spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target) -> ModelVersion:
    """Return the version that ``package.version`` selects; by default the one that was the champion before.

    Raises:
        PackageError: as for :func:`load_version`.
    """
    return select_version(spec, state_dir, tracker, target, ("previous",))


def deploy(
    version: ModelVersion,
    rollout: Rollout,
    tracker: Tracker,
    progress: Progress,
    verdict: Passed[Verdict] = None,
) -> Endpoint:
    """Serve the registered package, unless it is already live. Other commands on this service wait.

    A ``verdict`` of the gate is shown at ``GET /meta``.

    Raises:
        PackageError: the registry no longer has the version, so it could not be promoted.
    """
    if verdict is not None:
        version = replace(version, origin=replace(version.origin, gate=verdict.recorded or verdict.line))
    rollout.begin(version, progress.note)
    check_registered(version, tracker, "choose another package.version, or register it again with stages=package")
    ImageCheck(rollout.target)(version.package)
    return rollout.deploy(version)


def probe(endpoint: Endpoint, rollout: Rollout) -> Probe:
    """Test the endpoint with the package's golden requests; a failure rolls the deployment back.

    Raises:
        ProbeError: an answer differs; the text has the result of the rollback.
    """
    try:
        result = probe_endpoint(endpoint)
    except ProbeError as error:
        raise ProbeError(f"{error}; {rollout.rollback()}") from error
    except BaseException:  # Ctrl-C, too: an untested endpoint does not stay
        rollout.rollback()
        raise
    rollout.passed()
    return result


def promote(version: ModelVersion, probe: Probe, rollout: Rollout, tracker: Tracker, state_dir: StateDir) -> None:
    """Point the alias ``champion`` at the deployed and tested version, if it receives all requests.

    If the alias cannot be moved, the deployment is rolled back.

    Raises:
        DeployError: another command has deployed meanwhile, without this lock.
        TrackingError: the alias cannot be moved; the text has the result of the rollback.
    """
    if not version.chosen:  # registered by this run; after concurrent runs, the deployed version is the last one
        versions.move_to_end(state_dir, version)
    try:
        if probe.share == 100:  # else the previous package serves as well, until stages=shift
            rollout.check(version)
            tracker.promote(version)
    except (DeployError, TrackingError) as error:
        raise type(error)(f"{error}; {rollout.rollback()}") from error
    rollout.commit()
