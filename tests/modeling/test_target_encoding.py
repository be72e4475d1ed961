"""What a TargetEncoder leaves open is settled, and what is typed stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import TargetEncoder

from orchestrator.modeling.target_encoding import settle_target_encoders


def settled(encoder: TargetEncoder, model: Any) -> Any:
    inner = Pipeline([("encode", encoder)])
    pipeline = Pipeline([("branches", ColumnTransformer([("a", inner, ["city"])])), ("model", model)])
    settle_target_encoders(pipeline, regression=is_regressor(pipeline))
    return pipeline


@pytest.mark.parametrize("model", [LogisticRegression(), Ridge()], ids=["classes", "numbers"])
def test_each_fit_is_the_same(model: Any) -> None:
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame({"city": rng.choice(list("abcdef"), 60)}), pd.Series(rng.integers(0, 3, 60))
    pipeline = settled(TargetEncoder(), model)
    first, second = (clone(pipeline)[:-1].fit_transform(X, y) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (60, 3 if isinstance(model, LogisticRegression) else 1)  # whole numbers are no classes
    assert (first != clone(pipeline)[:-1].fit(X, y).transform(X)).any()  # training rows are cross-fitted


def test_what_is_typed_stays() -> None:
    folds = [(np.arange(5), np.arange(5, 10)), (np.arange(5, 10), np.arange(5))]
    encoder = TargetEncoder(cv=folds, target_type="multiclass")
    settled(encoder, Ridge())
    assert (encoder.cv, encoder.target_type) == (folds, "multiclass")
