"""Compiled models of boosting libraries on tables of any scale: the same labels, and probabilities within 1e-6."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.preprocessing import TargetEncoder

from orchestrator.packaging.onnx.boosting import find_reader
from orchestrator.packaging.onnx.trees import extract_trees

from .conftest import Fit

LIBRARIES: dict[str, tuple[str, dict[str, Any]]] = {
    "lightgbm": ("LGBM", {"n_estimators": 6, "min_child_samples": 2, "min_data_in_bin": 1, "verbose": -1}),
    "xgboost": ("XGB", {"n_estimators": 6}),
    "catboost": ("CatBoost", {"iterations": 6, "depth": 4, "verbose": False, "allow_writing_files": False}),
}


def test_other_libraries_have_no_reader() -> None:
    assert find_reader(RandomForestClassifier()) is None


def test_means_and_numbers_that_are_equal_in_float32_before_histograms(fit: Fit) -> None:
    """The pipeline of sklearn-onnx issue 1192: bins of float64 numbers beside means of a target encoder."""
    count = np.arange(320)
    table = pd.DataFrame({"near": 1 + count * 1e-10, "town": np.array(["Oslo", "Rome", "Kyiv"])[count % 3]})
    step = ColumnTransformer([("means", TargetEncoder(), ["town"])], remainder="passthrough")
    fitted = fit([step], HistGradientBoostingRegressor(max_iter=9), table, count // 20 % 2 * 4.0 + count % 3)
    assert len({tree.threshold[0] for tree in extract_trees(fitted.pipeline[-1])[0]}) > 1
    numbers, _ = fitted.compiled_model().predict({str(name): table[name].tolist() for name in table})
    np.testing.assert_allclose(numbers, fitted.pipeline.predict(table), rtol=1e-13)


@pytest.mark.nightly
@pytest.mark.parametrize("library", LIBRARIES)
@settings(max_examples=20, deadline=None, suppress_health_check=[*HealthCheck])
@given(seed=st.integers(0, 2**32 - 1), scale=st.integers(-9, 9), offset=st.floats(-1e6, 1e6), classes=st.integers(1, 4))
def test_answers_are_equal_on_other_rows(
    library: str, fit: Fit, seed: int, scale: int, offset: float, classes: int
) -> None:
    prefix, params = LIBRARIES[library]
    module = pytest.importorskip(library)
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(120, 3)).round(int(rng.integers(1, 8))) * 10.0**scale + offset
    X = pd.DataFrame(np.where(rng.random(values.shape) < 0.1, np.nan, values), columns=list("abc"))
    numbers = classes == 1
    y = (
        rng.normal(size=120) * 1000
        if numbers
        else np.append(np.arange(classes), rng.integers(0, classes, 120 - classes))
    )
    kind = getattr(module, f"{prefix}{'Regressor' if numbers else 'Classifier'}")
    fitted = fit([], kind(**params, random_state=0), X, y)
    asked = pd.DataFrame({name: rng.choice(X[name], 300) for name in X})
    labels, shares = fitted.compiled_model().predict({str(name): asked[name].tolist() for name in asked})
    expected = fitted.pipeline.predict(asked).reshape(-1)
    if numbers:
        np.testing.assert_allclose(labels, expected, rtol=1e-6, atol=1e-6)
    else:
        assert np.array_equal(labels, expected)
        np.testing.assert_allclose(shares, fitted.pipeline.predict_proba(asked), atol=1e-6)
