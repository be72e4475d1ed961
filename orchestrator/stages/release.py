"""Stages that release a proved package: register it, deploy it, test the endpoint, make it the champion."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.artifacts import Endpoint, ModelVersion, Package, Probe, Proof, Report, TrackedRun
from orchestrator.deploy.image_builder import ImageCheck
from orchestrator.deploy.probe import probe_endpoint
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.target import Target
from orchestrator.errors import DeployError, PackageError, ProbeError, TrackingError
from orchestrator.events import Progress
from orchestrator.registry import versions
from orchestrator.registry.selection import check_registered, select_version
from orchestrator.registry.versions import RegisteredVersion
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.run_spec import PackageSpec, StateDir
from orchestrator.tracking.tracker import Tracker


def track(report: Report, tracker: Tracker) -> TrackedRun:
    """The tracked run of this training, where no model is registered under it."""
    return TrackedRun(tracker.record(report))


def register(
    package: Package,
    proof: Proof,
    report: Report,
    tracker: Tracker,
    state_dir: StateDir,
    provenance: RunProvenance,
    check_image: ImageCheck,
) -> ModelVersion:
    """The package's version in the model registry; ``stages=deploy`` finds it again without data or training.

    Raises:
        DeployError: the target would build an image, and the package's libraries cannot be installed in it.
    """
    check_image(package)
    if proof.fingerprint != package.fingerprint:
        raise PackageError("the proof is another package's; remove state_dir/cache and run again")
    origin = replace(provenance.origin, trained=report.trained)
    version = replace(tracker.register(package, proof, report), memory_bytes=proof.memory_bytes, origin=origin)
    versions.add_version(state_dir, RegisteredVersion.of(version, tracker.where, report, provenance.sweep))
    return version


def load_version(spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target) -> ModelVersion:
    """The version that ``package.version`` names; if it names none the last one registered, after a sweep its best.

    Raises:
        PackageError: there is none, its folder is gone or was changed, or the registry does not hold it any more.
    """
    return select_version(spec, state_dir, tracker, target, ("newest",))


def load_live(spec: PackageSpec, state_dir: StateDir, tracker: Tracker, target: Target) -> ModelVersion:
    """The version that ``package.version`` names; if it names none the one that is live for the service, else the champion.

    Raises:
        PackageError: as of :func:`load_version`.
    """
    return select_version(spec, state_dir, tracker, target, ("live", "champion"))


def deploy(version: ModelVersion, rollout: Rollout, tracker: Tracker, progress: Progress) -> Endpoint:
    """Serve the registered package; the same package alive is left alone. Other commands on this service wait.

    Raises:
        PackageError: the registry does not hold the version any more, so it could not be promoted.
    """
    rollout.begin(version, progress.note)
    check_registered(version, tracker, "choose another package.version, or register it again with stages=package")
    ImageCheck(rollout.target)(version.package)
    return rollout.deploy(version)


def probe(endpoint: Endpoint, rollout: Rollout) -> Probe:
    """Test the endpoint with the package's golden requests; a failure takes the new service down again.

    Raises:
        ProbeError: an answer differs; the text says what became of the service.
    """
    try:
        result = probe_endpoint(endpoint)
    except ProbeError as error:
        raise ProbeError(f"{error}; {rollout.rollback()}") from error
    except BaseException:  # Ctrl-C, too: an endpoint that was not tested does not stay
        rollout.rollback()
        raise
    rollout.passed()
    return result


def promote(version: ModelVersion, probe: Probe, rollout: Rollout, tracker: Tracker, state_dir: StateDir) -> None:
    """Point the alias ``champion`` at the version that is deployed and tested, if it answers all requests.

    If it cannot be moved, the former service is put back.

    Raises:
        DeployError: another command has deployed meanwhile, without this lock.
        TrackingError: the alias cannot be moved; the text says what became of the service.
    """
    if not version.chosen:  # registered by this run: where several ran at once, the record follows what serves
        versions.move_to_end(state_dir, version)
    try:
        if probe.share == 100:  # else the former package serves as well, until stages=shift
            rollout.check(version)
            tracker.promote(version)
    except (DeployError, TrackingError) as error:
        raise type(error)(f"{error}; {rollout.rollback()}") from error
    rollout.commit()
