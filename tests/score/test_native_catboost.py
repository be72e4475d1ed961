"""CatBoost on categories: columns are found by their dtype, missing values are a category, copies know what it was fitted on."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV

catboost = pytest.importorskip("catboost")
native = pytest.importorskip("score.native_catboost")
SMALL: dict[str, Any] = {"iterations": 8, "depth": 3, "random_seed": 0, "thread_count": 1}
SMALL |= {"verbose": False, "allow_writing_files": False}


def rows() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    town = pd.Categorical.from_codes(rng.integers(-1, 6, 300), categories=pd.RangeIndex(6))
    table = pd.DataFrame({"a": rng.normal(size=300), "town": town})
    return table, (table["town"].isin([1, 4]) ^ (table["a"] > 0)).astype(int)


def test_it_is_the_library_on_numbers_for_categories() -> None:
    X, y = rows()
    model = clone(native.CatBoostClassifier(**SMALL)).fit(X, y)
    own = catboost.CatBoostClassifier(**SMALL, cat_features=["town"])
    coded = X.assign(town=X["town"].cat.codes.astype(int))
    expected = own.fit(coded, y).predict_proba(coded)
    for each in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(each.predict_proba(X), expected)
        np.testing.assert_array_equal(each.predict_proba(X[7:8]), expected[7:8])
        assert dict(each.get_metadata())[native.LEVELS] == '{"1": 6}'
    assert np.array_equal(model.predict(X), own.predict(coded))


def test_weights_reach_it_through_calibration() -> None:
    X, y = rows()
    weights = np.where(y == 1, 10.0, 0.1)
    calibrated = CalibratedClassifierCV(native.CatBoostClassifier(**SMALL), cv=2, ensemble=False)
    inside = calibrated.fit(X, y, sample_weight=weights).calibrated_classifiers_[0].estimator
    expected = native.CatBoostClassifier(**SMALL).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(inside.predict_proba(X), expected.predict_proba(X))


def test_a_regressor_has_no_probabilities_and_may_see_no_categories() -> None:
    X, y = rows()
    model = native.CatBoostRegressor(**SMALL).fit(X[["a"]], y)
    np.testing.assert_array_equal(
        model.predict(X[["a"]]), catboost.CatBoostRegressor(**SMALL).fit(X[["a"]], y).predict(X[["a"]])
    )
    assert not hasattr(model, "predict_proba")


def test_rows_that_it_stops_by_are_read_alike() -> None:
    from orchestrator.modeling.early_stopping import EarlyStopping, SetAside
    from orchestrator.spec.split import SplitSpec

    X, y = rows()
    params = SMALL | {"iterations": 300, "learning_rate": 0.5}
    stopped = EarlyStopping(native.CatBoostClassifier(**params), 5, SetAside(0.3, stratify=True, split=SplitSpec()))
    weights = np.where(np.arange(300) % 2, 1.0, 2.0)
    assert stopped.fit(X, y, sample_weight=weights).trees_ < 300
    assert stopped.estimator_.get_cat_feature_indices() == [1]
