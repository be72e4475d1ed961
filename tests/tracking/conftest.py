"""Fixtures: a small real package and its Report, as the stages make them, and trackers of a temporary store."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from orchestrator.artifacts import Package, Report, Verification
from orchestrator.events import StepFinished
from orchestrator.packaging import pickling
from orchestrator.tracking.mlflow.tracker import Mlflow
from score.contract import golden
from score.contract.schema import Contract
from score.transforms import ToFloat
from tests.tracking.kit import REPO, TRAIN, report_of


@pytest.fixture(scope="session", autouse=True)
def mlflow_imported() -> None:
    """Import mlflow once, without the deprecation warnings of its dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Columns of each kind that the signature must distinguish."""
    rows = {"age": range(40), "mass": [float(i % 7) for i in range(40)], "partial": [None, *([1] * 39)]}
    return pd.DataFrame(rows | {"flag": [i % 2 == 0 for i in range(40)]})


@pytest.fixture(scope="session")
def package(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("package")
    y = (frame["age"] > 20).astype(int)
    pipeline = make_pipeline(ToFloat(), SimpleImputer(), LogisticRegression(max_iter=1000)).fit(frame, y)
    pickling.dump(pickling.round_trip(pipeline)[0], folder / "model.pkl")
    shutil.copytree(REPO / "score", folder / "score", ignore=shutil.ignore_patterns("__pycache__", "py.typed"))
    golden.write(folder, [golden.Golden(golden.RECORDS, "{}", 200, {"predictions": [], "probabilities": []})])
    version = sys.modules["sklearn"].__version__
    (folder / "requirements.txt").write_text(f"scikit-learn=={version}\n")
    (folder / "conda.yaml").write_text("dependencies: [python, pip, {pip: [-r requirements.txt]}]\n")
    known: dict[str, Any] = {"classes": ["no", "yes"], "versions": {"scikit-learn": version}}
    contract = Contract.describe(frame, model_name="diabetes_model", task="classification", **known)
    return Package(folder, contract.write(folder).fingerprint, "diabetes_model")


@pytest.fixture
def verification(package: Package) -> Verification:
    return Verification(package.fingerprint, 12, 10**8)


@pytest.fixture
def report() -> Report:
    return report_of(9)


@pytest.fixture
def reported(report: Report) -> StepFinished:
    return StepFinished(TRAIN, 1.0, report)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the database of a store that has no run yet: its forty migrations take two seconds, and a copy none."""
    from mlflow.tracking import MlflowClient

    database = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def new_tracker(tmp_path: Path) -> Callable[..., Mlflow]:
    """Make trackers of one store, which does not exist yet."""

    def make(**options: Any) -> Mlflow:
        options = {"tracking_uri": f"sqlite:///{tmp_path}/state/mlflow.db", "experiment_name": "diabetes"} | options
        return Mlflow(state_dir=tmp_path / "state", **options)

    return make


@pytest.fixture
def tracker(new_tracker: Callable[..., Mlflow], tmp_path: Path, empty_store: Path) -> Callable[..., Mlflow]:
    """Make trackers of one store, which is empty."""
    (tmp_path / "state").mkdir()
    shutil.copy(empty_store, tmp_path / "state" / "mlflow.db")
    return new_tracker
