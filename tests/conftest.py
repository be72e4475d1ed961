"""What holds for all tests: how they are shared among processes, and the bundled data."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from orchestrator.caching.fingerprints import forget_locations
from orchestrator.packaging.project_path import make_project_importable
from tests.installed import venv, wheel  # noqa: F401 -- fixtures
from tests.s3 import bucket, s3_endpoint  # noqa: F401 -- fixtures

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("normal", max_examples=100, deadline=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile("normal")  # pytest --hypothesis-profile=nightly takes the other


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """Give each file to one process, and all files that use the Docker engine to the same one.

    They count the engine's images and remove layers, which the builds of another process share.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by number of tests, which says little; see below

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "docker engine" if file.startswith(("tests/deploy/docker/", "tests/deploy/test_")) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of most slow tests, then real MLflow stores: none is left to one process at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (-slow[item.path], "tracking" not in item.path.parts))


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of garbage collections, of which each full one would visit it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def diabetes() -> pd.DataFrame:
    return pd.read_csv(ROOT / "data/diabetes.csv")


@pytest.fixture(scope="session", name="X")
def features(diabetes: pd.DataFrame) -> pd.DataFrame:
    return diabetes.drop(columns="Outcome")


def forget_modules(folder: Path) -> None:
    """Forget what was imported from a folder: the next test may have a module of the same name elsewhere."""
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]
    forget_locations()


class Project:
    """The folder in which a command runs, with modules of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project that is importable; its modules are forgotten afterwards."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    make_project_importable()
    yield Project(folder)
    forget_modules(tmp_path)
