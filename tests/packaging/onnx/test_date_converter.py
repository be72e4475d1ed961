"""Dates in the compiled model: the same parts, and the same labels on all rows, edges and both sides of every threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from orchestrator.packaging.onnx.compile import convert_pipeline
from score.contract.dates import FIRST, LAST
from score.models.onnx import OnnxGraph
from score.transforms import DateParts

from .conftest import Fit

DATES = ["datetime", "datetimetz"]


@pytest.fixture(scope="module")
def visits() -> tuple[pd.DataFrame, Any]:
    """Days without a zone, some missing, and times with one; the target depends on both."""
    rng = np.random.default_rng(0)
    day = pd.Series(np.datetime64("2019-01-01", "us") + rng.integers(0, 1500, 300).astype("timedelta64[D]"))
    at = pd.Series(np.datetime64("2019-01-01", "us") + rng.integers(0, 10**14, 300).astype("timedelta64[us]"))
    y = ((day.dt.month > 6).astype(int) + (at.dt.hour > 12)) % 2
    frame = pd.DataFrame({"n": rng.normal(0, 1, 300), "day": day.where(rng.random(300) > 0.1)})
    return frame.assign(at=at.dt.tz_localize("UTC")), y.to_numpy()


def branches() -> ColumnTransformer:
    parts = make_pipeline(DateParts(), SimpleImputer(strategy="median"), StandardScaler())
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [
            ("n", numbers, make_column_selector(dtype_include="number")),
            ("d", parts, make_column_selector(dtype_include=DATES)),
        ]
    )


@pytest.mark.parametrize(
    ("steps", "model"),
    [
        ([branches()], RandomForestClassifier(5, max_depth=6, random_state=0)),
        ([branches()], LogisticRegression()),
        ([DateParts()], HistGradientBoostingClassifier(max_iter=5, random_state=0)),  # beside numbers; NaN stays
    ],
    ids=["forest", "logistic", "boosting"],
)
def test_labels_are_equal(steps: list[Any], model: Any, fit: Fit, visits: tuple[pd.DataFrame, Any]) -> None:
    compilation = fit(steps, model, *visits).compile().compilation
    assert (compilation.reason, compilation.rows) == ("", 300)
    assert compilation.edges > 50
    if not isinstance(model, LogisticRegression):
        assert compilation.splits > 5


def test_the_parts_of_all_years_are_numpy_s() -> None:
    rng = np.random.default_rng(0)
    seconds = np.concatenate([np.arange(FIRST, LAST, 86400.0 * 61), rng.uniform(FIRST, LAST, 2000), [LAST, np.nan]])
    frame = pd.DataFrame({"d": np.where(np.isnan(seconds), np.nan, np.floor(seconds))})
    dates = pd.DataFrame({"d": pd.Series(frame["d"].to_numpy()).astype("datetime64[s]")})
    pipeline = make_pipeline(DateParts()).fit(dates)
    graph, _ = convert_pipeline(pipeline, 1)
    (parts,) = OnnxGraph(graph).run(seconds[:, None])
    np.testing.assert_array_equal(parts, pipeline.transform(dates).to_numpy())
    assert parts.shape == (len(seconds), 5)


def test_what_has_no_converter_serves_the_pickle(fit: Fit, visits: tuple[pd.DataFrame, Any]) -> None:
    month = FunctionTransformer(lambda X: X[["n"]].assign(month=X["at"].dt.month))
    reason = fit([month], LogisticRegression(), *visits).compile().compilation.reason
    assert "FunctionTransformer" in reason
