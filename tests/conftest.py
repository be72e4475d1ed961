"""What holds for all tests: how they are shared among processes, and the bundled data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parents[1]


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """Give each file to one process, and all files that use the Docker engine to the same one.

    They count the engine's images and remove layers, which the builds of another process share.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "docker engine" if file.startswith(("tests/deploy/docker/", "tests/deploy/test_")) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def diabetes() -> pd.DataFrame:
    return pd.read_csv(ROOT / "data/diabetes.csv")


@pytest.fixture(scope="session", name="X")
def features(diabetes: pd.DataFrame) -> pd.DataFrame:
    return diabetes.drop(columns="Outcome")
