"""Specs as the pipeline gives them to the stages, and packages made from small fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.artifacts import Dataset, Evaluation, Package, Search, Split, Trained
from orchestrator.caching.cache import CheckpointDir
from orchestrator.events import Progress
from orchestrator.spec.data import DataSpec
from orchestrator.spec.field_types import FitOn, Seed, StateDir
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.named_code import NamedCode
from orchestrator.spec.package import PackageSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.spec.split import SplitSpec
from orchestrator.stages.data import load, split
from orchestrator.stages.package import package
from orchestrator.stages.train import build_search, train

EVALUATION = Evaluation({"accuracy": 0.91234567, "r2": float("nan")}, {"roc_curve.png": b"a figure"})
FOREST = "sklearn.ensemble.RandomForestClassifier"
TABULAR = {
    "branches": {
        "numeric": {
            "columns": "numeric",
            "steps": {
                "impute": {"_target_": "sklearn.impute.SimpleImputer", "strategy": "median"},
                "scale": {"_target_": "sklearn.preprocessing.StandardScaler"},
            },
        },
        "categorical": {
            "columns": "categorical",
            "steps": {
                "impute": {"_target_": "sklearn.impute.SimpleImputer", "strategy": "most_frequent"},
                "encode": {
                    "_target_": "sklearn.preprocessing.OneHotEncoder",
                    "handle_unknown": "ignore",
                    "sparse_output": False,
                },
            },
        },
    }
}


class Kit:
    """Runs stages on a table, one after another; with defaults for what a test is not about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def data(self, table: pd.DataFrame | str | bytes, **keys: Any) -> DataSpec:
        path = self.folder / f"table.{keys.get('format', 'csv')}"
        if isinstance(table, bytes):
            path.write_bytes(table)
        elif isinstance(table, str):
            path.write_text(table)
        elif keys.get("format") == "parquet":
            table.to_parquet(path)
        else:
            table.to_csv(path, index=False)
        return DataSpec(**{"path": path, "format": "csv", "target": "y", "test_size": 0.25, **keys})

    def search(
        self,
        estimator: str = FOREST,
        grid: dict[str, Any] | None = None,
        preprocess: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        split: dict[str, Any] | None = None,
        **keys: Any,
    ) -> Search:
        params = {"n_estimators": 3, "random_state": 0} if params is None and estimator == FOREST else params or {}
        return build_search(
            PreprocessSpec(**preprocess or {}),
            ModelSpec(estimator=estimator, params=params, param_grid=grid or {}),
            self.search_spec(**keys),
            NamedCode(),
            DataSpec(path=Path("t.csv"), format="csv", target="y", test_size=0.25, split=SplitSpec(**split or {})),
        )

    def search_spec(self, **keys: Any) -> SearchSpec:
        plain = {
            "_target_": "orchestrator.search.SharedGridSearchCV",
            "cv": 2,
            "scoring": ["accuracy"],
            "refit": "accuracy",
        }
        return SearchSpec(**{**plain, **keys})

    def load(self, table: pd.DataFrame | str | bytes, search: Search | None = None, **keys: Any) -> Dataset:
        return load(self.data(table, **keys), search or self.search())

    def split(self, table: pd.DataFrame | str, search: Search | None = None, seed: int = 0, **keys: Any) -> Split:
        search, data = search or self.search(), self.data(table, **keys)
        return split(load(data, search), data, search, Seed(seed))

    def train(self, table: pd.DataFrame, search: Search, **keys: Any) -> tuple[Split, Trained]:
        parts = self.split(table, search, **keys)
        return parts, train(parts, search, self.search_spec(), Progress(), CheckpointDir())

    def package(self, parts: Split, trained: Trained, fit_on: str = "training", **keys: Any) -> Package:
        spec = PackageSpec(**{"model_name": "toy_model", "golden_rows": 3, **keys})
        state = StateDir(self.folder / "state")
        return package(trained, parts, EVALUATION, spec, FitOn(fit_on), state, Progress())


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


@pytest.fixture(scope="session")
def numbers() -> pd.DataFrame:
    """Two columns, one of which mostly separates the two labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    return pd.DataFrame({"a": y + rng.normal(0, 0.4, 80), "b": rng.normal(0, 1, 80), "y": y})


@pytest.fixture(scope="session")
def mixed(numbers: pd.DataFrame) -> pd.DataFrame:
    """Columns of every kind, some with missing values."""
    rng, n = np.random.default_rng(1), len(numbers)
    table = numbers.assign(
        whole=rng.integers(0, 9, n), city=rng.choice(["Oslo", "Rome"], n), flag=rng.random(n) < 0.5, y=numbers["y"]
    )
    table.loc[::5, "a"] = np.nan
    table.loc[::7, "city"] = None
    return table


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory, numbers: pd.DataFrame) -> tuple[Split, Trained]:
    """A small fitted forest and its split."""
    kit = Kit(tmp_path_factory.mktemp("toy"))
    return kit.train(numbers, kit.search(grid={"max_depth": [1, 2]}))


@pytest.fixture(scope="module")
def toy_package(tmp_path_factory: pytest.TempPathFactory, toy: tuple[Split, Trained]) -> Package:
    """A package of the toy forest; tests that change it take a copy."""
    return Kit(tmp_path_factory.mktemp("toy_package")).package(*toy)


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Package], Package]:
    """Copies a package, for tests that change it."""
    import shutil

    def copy(package: Package) -> Package:
        path = tmp_path / "copy"
        shutil.copytree(package.path, path)
        return Package(path, package.fingerprint, package.model_name)

    return copy
