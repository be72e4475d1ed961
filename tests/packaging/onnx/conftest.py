"""Tables of every kind of column, and pipelines fitted on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from sklearn.base import is_classifier, is_regressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from orchestrator.bundled import CONF
from orchestrator.modeling.preprocessing import make_steps
from orchestrator.modeling.target_encoding import settle_target_encoders
from orchestrator.packaging.onnx.comparison_rows import Rows
from orchestrator.packaging.onnx.compile import CompiledPipeline, compile_pipeline
from orchestrator.packaging.onnx.equivalence import Comparison
from orchestrator.packaging.onnx.row_sample import RowSample
from orchestrator.packaging.onnx.threshold_rows import ThresholdSearch
from orchestrator.spec.model import PreprocessSpec
from score.contract.schema import Contract
from score.models.base import PickledModel
from score.models.onnx import Compilation, CompiledModel
from score.payload.reader import Reader
from score.transforms import ToFloat, ZerosToMissing

ZEROS = ["Glucose", "BloodPressure", "SkinThickness", "Insulin", "BMI"]


@dataclass(frozen=True)
class Fitted:
    """A fitted pipeline, its contract, and the rows it is compared on."""

    pipeline: Any
    contract: Contract
    tables: tuple[pd.DataFrame, ...]

    def compile(self) -> CompiledPipeline:
        return compile_pipeline(self.pipeline, self.contract, self.tables, [])

    def compiled_model(self) -> CompiledModel:
        compiled = self.compile()
        assert compiled.compilation.used, compiled.compilation.reason
        return compiled.models(self.contract)[-1]


Fit = Callable[..., Fitted]


@pytest.fixture(scope="session")
def fit() -> Fit:
    """Fits steps and an estimator to the first three quarters of a table."""

    def fit(steps: list[Any], estimator: Any, X: pd.DataFrame, y: Any) -> Fitted:
        known = len(X) * 3 // 4
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a linear model that has not converged is good enough
            pipeline = make_pipeline(*steps, estimator)
            settle_target_encoders(pipeline, regression=is_regressor(pipeline))
            pipeline.fit(X[:known], y[:known])
        labels = [int(code) for code in np.unique(y)] if is_classifier(pipeline) else None
        task = "regression" if labels is None else "classification"
        contract = Contract.describe(X[:known], model_name="m", task=task, classes=labels)
        return Fitted(pipeline, contract, (X[:known], X[known:]))

    return fit


@pytest.fixture(scope="session")
def mixed(X: pd.DataFrame) -> pd.DataFrame:
    """The table X with text, booleans, free text and missing values."""
    rng, n = np.random.default_rng(0), len(X)
    city = pd.Series(rng.choice(["Oslo", "Rome", "Kyiv"], n)).where(rng.random(n) > 0.1)
    free = [f"note {index % 150}" for index in range(n)]
    return X.assign(
        city=city, member=rng.random(n) > 0.5, free=free, BMI=X["BMI"].where(rng.random(n) > 0.1), level=X["Age"] % 3
    )


@pytest.fixture(scope="session")
def targets(diabetes: pd.DataFrame) -> dict[str, Any]:
    """Two classes, three, and numbers."""
    noise = np.random.default_rng(0).normal(0, 20, len(diabetes))
    three = np.digitize(diabetes["Glucose"] + noise, [100, 140])
    return {"two": diabetes["Outcome"], "three": three, "numbers": diabetes["Age"] * 2.5 + 1e6}


def opened(fitted: Fitted) -> Fitted:
    """Let a contract take levels that no row has, so that they are compared, too."""
    columns = [
        replace(column, unseen="accept") if column.kind == "category" else column for column in fitted.contract.columns
    ]
    return replace(fitted, contract=replace(fitted.contract, columns=tuple(columns)))


def split_rows(fitted: Fitted, rows: Rows, sample: RowSample | None = None) -> tuple[list[Rows], int]:
    """Return the rows near the thresholds that rows of the table reach, and how many thresholds these are."""
    search = ThresholdSearch(fitted.pipeline, fitted.contract, rows)
    Comparison(PickledModel(fitted.pipeline, Reader(fitted.contract)), []).add([rows], search.see)
    return search.near(sample)


def pima() -> list[Any]:
    return [ToFloat(["Pregnancies", "Age"]), ZerosToMissing(ZEROS), SimpleImputer()]


def tabular() -> list[Any]:
    """Return the steps of preprocess=tabular."""
    return preset("tabular")


def preset(name: str) -> list[Any]:
    """Return the steps of a preprocessing that ships."""
    loaded = OmegaConf.create({"preprocess": OmegaConf.load(CONF / "preprocess" / f"{name}.yaml")})
    values: Any = OmegaConf.to_container(loaded, resolve=True)
    return [step for _, step in make_steps(PreprocessSpec(**values["preprocess"]))]


def assert_boosting_is_compiled(fitted: Fitted) -> Compilation:
    """Return the compilation of boosted trees, which has no reason against it and tried both sides of thresholds."""
    compilation = fitted.compile().compilation
    assert compilation.reason == ""
    assert compilation.splits >= 3
    assert compilation.edges > 4 * compilation.splits
    return compilation
