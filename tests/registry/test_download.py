"""Fetching a package from a registry: intact or not at all, whatever is on this machine."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from orchestrator.artifacts import BESIDE_PACKAGE, ModelVersion, Package
from orchestrator.errors import PackageError
from orchestrator.registry import download
from orchestrator.registry.download import ensure_package
from orchestrator.tracking.none import NoTracking
from score.contract.schema import Contract


@dataclass(frozen=True)
class Sharing(NoTracking):
    """A tracker whose registry holds one package in ``folder``."""

    folder: Path
    downloads: list[str] = field(default_factory=list)

    @property
    def registry_name(self) -> str:
        return "the registry"

    def describe(self, model: str) -> dict[str, object]:  # noqa: ARG002 -- the boundary's signature
        return {}

    def download(self, version: ModelVersion, folder: Path) -> None:
        self.downloads.append(version.version)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


@pytest.fixture
def shared(tmp_path: Path) -> tuple[Sharing, ModelVersion]:
    """A version in a registry, with what MLflow and runs add to its package."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(b"a model")
    contract = Contract.describe(pd.DataFrame({"a": [1, 2]}), model_name="m", task="regression").write(folder)
    for name in (*BESIDE_PACKAGE, "registered_model_meta"):
        (folder / name).write_text("of MLflow")
    package = Package.stored(tmp_path / "state", contract.fingerprint, "m")
    return Sharing(folder), ModelVersion("m", "3", "run", package)


def left_over(version: ModelVersion) -> list[str]:
    return [path.name for path in version.package.path.parent.iterdir() if not path.name.endswith(".lock")]


def test_a_package_is_downloaded_once(shared: tuple[Sharing, ModelVersion], tmp_path: Path) -> None:
    tracker, version = shared
    assert ensure_package(version, tmp_path / "state", tracker) == version
    assert version.package.is_intact()
    assert {path.name for path in version.package.path.iterdir()} == {"model.pkl", "contract.json"}
    ensure_package(version, tmp_path / "state", tracker)
    assert tracker.downloads == ["3"]
    assert left_over(version) == [version.package.short_id]


def test_bytecode_of_the_registry_is_left_there(shared: tuple[Sharing, ModelVersion], tmp_path: Path) -> None:
    tracker, version = shared
    bytecode = tracker.folder / "score" / "__pycache__" / "score.cpython-311.pyc"
    bytecode.parent.mkdir(parents=True)
    bytecode.write_bytes(b"other code")
    assert ensure_package(version, tmp_path / "state", tracker).package.is_intact()
    assert list(version.package.path.rglob("*.pyc")) == []


def test_a_damaged_package_on_this_machine_is_replaced(shared: tuple[Sharing, ModelVersion], tmp_path: Path) -> None:
    tracker, version = shared
    ensure_package(version, tmp_path / "state", tracker)
    (version.package.path / "model.pkl").write_bytes(b"damaged")
    assert ensure_package(version, tmp_path / "state", tracker).package.is_intact()
    assert left_over(version) == [version.package.short_id]


@pytest.mark.parametrize("damage", ["changed", "deleted", "added"])
def test_a_damaged_version_is_refused_and_nothing_is_left(
    shared: tuple[Sharing, ModelVersion], tmp_path: Path, damage: str
) -> None:
    tracker, version = shared
    if damage == "deleted":
        (tracker.folder / "model.pkl").unlink()
    else:
        (tracker.folder / ("model.pkl" if damage == "changed" else "other.pkl")).write_bytes(b"another model")
    with pytest.raises(PackageError, match=r"^package.version: version 3 of 'm' in the registry is damaged: its files"):
        ensure_package(version, tmp_path / "state", tracker)
    assert left_over(version) == []


def test_commands_that_need_one_package_download_it_once(shared: tuple[Sharing, ModelVersion], tmp_path: Path) -> None:
    tracker, version = shared
    threads = [threading.Thread(target=ensure_package, args=(version, tmp_path / "state", tracker)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracker.downloads == ["3"]
    assert version.package.is_intact()


def test_a_download_that_does_not_end_is_reported_by_the_command_that_waits(
    shared: tuple[Sharing, ModelVersion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, version = shared
    monkeypatch.setattr(download, "LOCK_SECONDS", 0.1)
    folder = version.package.path.parent
    folder.mkdir(parents=True)
    busy = rf"^package.version: another command downloads package {version.package.short_id}, for 0.1 s now: "
    with FileLock(folder / f".{version.package.short_id}.lock"), pytest.raises(PackageError, match=busy):
        ensure_package(version, tmp_path / "state", tracker)
    assert tracker.downloads == []
    assert ensure_package(version, tmp_path / "state", tracker).package.is_intact()


def test_without_a_registry_a_missing_package_is_refused(shared: tuple[Sharing, ModelVersion], tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="is not what was registered as 'm'; make it again with stages=package"):
        ensure_package(shared[1], tmp_path / "state", NoTracking())
