"""MLflow's loader of a package: labels, and probabilities on request."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from score.pyfunc import _load_pyfunc


def test_labels_without_params_and_probabilities_with_them(survey: Path, mixed: pd.DataFrame) -> None:
    model, rows = _load_pyfunc(str(survey)), mixed.dropna().head(20)
    pipeline = joblib.load(survey / "model.pkl")
    labels = np.array(["young", "middle", "old"])[pipeline.predict(rows)]
    np.testing.assert_array_equal(model.predict(rows), labels)
    np.testing.assert_array_equal(model.predict(rows, {"probabilities": False}), labels)
    probabilities = model.predict(rows, params={"probabilities": True})
    assert list(probabilities.columns) == ["young", "middle", "old"]
    np.testing.assert_array_equal(probabilities.to_numpy(), pipeline.predict_proba(rows))


def test_a_frame_without_rows_has_the_classes_as_columns(pima: Path, X: pd.DataFrame) -> None:
    probabilities = _load_pyfunc(str(pima)).predict(X.head(0), {"probabilities": True})
    assert (list(probabilities.columns), len(probabilities)) == ([0, 1], 0)


def test_a_regression_gives_numbers(line: Path, X: pd.DataFrame) -> None:
    np.testing.assert_allclose(_load_pyfunc(str(line)).predict(X.head(3)), X["Age"].head(3) * 2.5)
