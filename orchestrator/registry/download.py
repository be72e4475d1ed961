"""Fetch the package of a registered version to this machine, unless it is here already and intact."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from orchestrator.artifacts import BESIDE_PACKAGE, ModelVersion, Package
from orchestrator.errors import PackageError, one_line
from orchestrator.processes import exclusive
from orchestrator.tracking.tracker import HoldsPackages, Tracker

LOCK_SECONDS = 600  # a package has some 10 MB, and a large forest may have a hundred times that
ADDED = (*BESIDE_PACKAGE, "registered_model_meta")  # MLflow writes the last one where it loads a model from a folder


def ensure_package(version: ModelVersion, state_dir: Path, tracker: Tracker) -> ModelVersion:
    """Return the version with an intact package: the one that is here, else the registry's, below ``state_dir``.

    Raises:
        PackageError: it is not here, and the registry has none or a damaged one; or another command that downloads it
            does not end.
        TrackingError: it cannot be downloaded.
    """
    if version.package.is_intact():
        return version
    wanted = Package.stored(state_dir, version.package.fingerprint, version.package.model_name)
    if not version.version or not isinstance(tracker, HoldsPackages):
        raise PackageError(
            f"package.model_name: {version.package.path} is not what was registered as '{version.name}'; make it again "
            "with stages=package"
        )
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(wanted.path.parent / f".{wanted.short_id}.lock", timeout=LOCK_SECONDS)
    with exclusive(lock, PackageError, f"package.version: another command downloads package {wanted.short_id}"):
        if not wanted.is_intact():  # else another command has fetched it meanwhile
            _download(version, wanted, tracker, tracker.registry_name)
    return replace(version, package=wanted)


def _download(version: ModelVersion, wanted: Package, registry: HoldsPackages, name: str) -> None:
    """Download into a scratch folder beside the package's, and rename it once its fingerprint is right."""
    with tempfile.TemporaryDirectory(prefix=".", dir=wanted.path.parent) as scratch:
        folder = Path(scratch, wanted.short_id)
        folder.mkdir()
        registry.download(version, folder)
        for added in ADDED:
            (folder / added).unlink(missing_ok=True)
        for bytecode in list(folder.rglob("__pycache__")):  # which no fingerprint covers, and Python may run
            shutil.rmtree(bytecode, ignore_errors=True)
        if not Package(folder, wanted.fingerprint, wanted.model_name).is_intact():
            raise PackageError(
                f"package.version: version {version.version} of '{version.name}' in {name} is damaged: its files are not "
                f"the package {wanted.short_id} that was registered; choose another package.version, or delete it there "
                "and register it again with stages=package"
            )
        try:
            if wanted.path.exists():  # damaged, or half of it was deleted
                wanted.path.rename(Path(scratch, "damaged"))
            folder.rename(wanted.path)
        except OSError as error:
            raise PackageError(f"state_dir: {wanted.path} cannot be written: {one_line(error)}") from error
        finally:
            shutil.rmtree(Path(scratch, "damaged"), ignore_errors=True)
