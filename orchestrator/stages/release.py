"""Stages that release a proved package: register it, deploy it, test the endpoint, make it the champion."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

from orchestrator.config.spec import PackageSpec, StateDir
from orchestrator.deploy import Building, Target
from orchestrator.errors import DeployError, PackageError, ProbeError
from orchestrator.probing import probe_endpoint
from orchestrator.products import Endpoint, ModelVersion, Origin, Package, Probe, Proof, Report, TrackedRun
from orchestrator.provenance import Provenance
from orchestrator.tracking import Tracker


def record(report: Report, tracker: Tracker) -> TrackedRun:
    """The tracked run of this training, where no model is registered under it."""
    return TrackedRun(tracker.record(report))


def register(
    package: Package,
    proof: Proof,
    report: Report,
    tracker: Tracker,
    state_dir: StateDir,
    provenance: Provenance,
    target: Target,
) -> ModelVersion:
    """The package's version in the model registry; ``stages=deploy`` finds it again without data or training.

    Raises:
        DeployError: the target would build an image, and the package's libraries cannot be installed in it.
    """
    _check_image(target, package)
    if proof.fingerprint != package.fingerprint:
        raise PackageError("the proof is another package's; remove state_dir/cache and run again")
    origin = replace(provenance.origin, trained=report.trained)
    version = replace(tracker.register(package, proof, report), memory_bytes=proof.memory_bytes, origin=origin)
    _remember(state_dir, version, tracker.where)
    return version


def recall(spec: PackageSpec, state_dir: StateDir, tracker: Tracker) -> ModelVersion:
    """The version that was registered last under ``package.model_name`` on this machine.

    Raises:
        PackageError: there is none, its folder is gone or was changed, or this tracker's registry is another.
    """
    name = spec.model_name
    try:
        held = json.loads(_pointer(state_dir, name).read_text())
        package = Package(Path(held["path"]), held["fingerprint"], name)
        origin = Origin(**held.get("origin", {}))
        version = ModelVersion(name, held["version"], held["run_id"], package, int(held.get("memory_bytes", 0)), origin)
    except (OSError, ValueError, KeyError, TypeError):
        raise PackageError(
            f"package.model_name: no package of '{name}' was registered on this machine; make one with stages=package"
        ) from None
    if not package.is_whole():
        raise PackageError(
            f"package.model_name: {package.path} is not what was registered as '{name}'; make it again with stages=package"
        )
    where = held.get("where") or "no registry"
    if tracker.where not in {"", where}:  # it could be deployed, and then not promoted
        raise PackageError(
            f"package.model_name: '{name}' was registered in {where}, and this run's tracking is {tracker.where}; "
            "say `tracking=` as it was then, or tracking=none to leave the alias 'champion' as it is"
        )
    return version


def _remember(state_dir: Path, version: ModelVersion, where: str) -> None:
    held = {
        "path": str(version.package.path),
        "fingerprint": version.package.fingerprint,
        "version": version.version,
        "run_id": version.run_id,
        "memory_bytes": version.memory_bytes,
        "origin": asdict(version.origin),
        "where": where,
    }
    pointer = _pointer(state_dir, version.name)
    pointer.parent.mkdir(parents=True, exist_ok=True)
    temporary = pointer.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(held, indent=1))
    temporary.replace(pointer)


def _pointer(state_dir: Path, model_name: str) -> Path:
    return state_dir / "registered" / f"{model_name}.json"


def deploy(version: ModelVersion, target: Target) -> Endpoint:
    """Serve the registered package; the same package already alive is left alone."""
    _check_image(target, version.package)
    return target.deploy(version.package, version)


def _check_image(target: Target, package: Package) -> None:
    """A solution is kept: what was resolved before registering costs nothing before deploying."""
    if isinstance(target, Building):
        target.check_image(package)


def probe(endpoint: Endpoint, target: Target) -> Probe:
    """Test the endpoint with the package's golden requests; a failure takes the new service down again.

    Raises:
        ProbeError: an answer differs; the text tells what became of the service.
    """
    try:
        result = probe_endpoint(endpoint)
        target.accept()
    except ProbeError as error:
        raise ProbeError(f"{error}; {_rolled_back(target)}") from error
    except BaseException:  # Ctrl-C, too: an endpoint that was not tested does not stay
        _rolled_back(target)
        raise
    return result


def _rolled_back(target: Target) -> str:
    """What came of the rollback, in words: a failure of that does not hide why it was tried."""
    try:
        return target.rollback().value
    except DeployError as error:
        return f"putting the former service back failed: {error}"


def promote(version: ModelVersion, probe: Probe, tracker: Tracker) -> None:  # noqa: ARG001 - comes after the test
    """Point the alias ``champion`` at the version that is deployed and tested."""
    tracker.promote(version)
