"""Models of XGBoost are compiled: the same answers up to float32, or a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from orchestrator.packaging.onnx.xgboost_trees import read_xgboost
from score.column_transforms import CodesToCategories
from tests.nightly import at_night

from .conftest import Fit, assert_boosting_is_compiled, tabular

xgboost = pytest.importorskip("xgboost")
SMALL: dict[str, Any] = {"n_estimators": 8, "max_depth": 3, "random_state": 0, "n_jobs": 1}


def classifier(**params: Any) -> Any:
    return xgboost.XGBClassifier(**SMALL | params)


def regressor(**params: Any) -> Any:
    return xgboost.XGBRegressor(**SMALL | params)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (classifier(), "two"),  # sums start from the share of the second class: onnxmltools issue 671
        (classifier(), "three"),  # and from a value for each class: 732
        (regressor(), "numbers"),
        (classifier(base_score=0.2, scale_pos_weight=3), "two"),
        at_night(classifier(num_parallel_tree=3, subsample=0.5), "three"),
        at_night(xgboost.XGBRFClassifier(**SMALL), "three"),
        at_night(regressor(objective="count:poisson"), "numbers"),
        at_night(regressor(objective="reg:absoluteerror", base_score=5.0), "numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_model_is_compiled(model: Any, target: str, fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    table = mixed[["Glucose", "BMI", "Age", "city", "member"]][:320]
    goal = table["Age"] * table["BMI"].fillna(30) if target == "numbers" else targets[target][:320]
    compilation = assert_boosting_is_compiled(fit(tabular(), model, table, goal))
    assert (compilation.tolerance or 1) <= 1e-6
    assert not compilation.forest  # which would add in float64


@pytest.mark.parametrize("sparse", [0.0, 1.0])
def test_zeros_of_one_hot_columns(sparse: float, fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    """The pipeline of sklearn-onnx issue 1046: of a sparse table XGBoost takes the zeros for missing values."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    branches = [
        ("texts", OneHotEncoder(handle_unknown="ignore"), ["city", "free"]),
        ("numbers", numbers, ["BMI", "Age"]),
    ]
    step = ColumnTransformer(branches, sparse_threshold=sparse)
    table = mixed[["city", "free", "BMI", "Age"]].assign(free=(np.arange(len(mixed)) % 7).astype(str))
    compilation = fit([step], classifier(), table[:320], targets["two"][:320]).compile().compilation
    assert compilation.reason.startswith("no converter for XGBClassifier on a sparse table" if sparse else "")
    assert compilation.used != bool(sparse)


def test_a_regressor_of_a_probability(fit: Fit) -> None:
    """The model of onnxmltools issue 726, whose sums start from log-odds."""
    table = pd.DataFrame({"f1": [1.0, 2.0, 3.0, 4.0, 2.0, 3.0, 1.0, 2.0] * 4})
    model = regressor(objective="binary:logistic", max_depth=1, n_estimators=3, subsample=0.95)
    fitted = fit([], model, table, np.array([1, 0, 1, 0, 1, 1, 0, 1] * 4))
    numbers, _ = fitted.compiled_model().predict({"f1": table["f1"].tolist()})
    np.testing.assert_allclose(numbers, fitted.pipeline.predict(table), rtol=1e-6)


def test_sums_and_even_odds_are_those_of_float32(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    fitted = fit([], classifier(n_estimators=60, max_depth=5), X, targets["two"])
    labels, shares = fitted.compiled_model().predict({str(name): X[name].tolist() for name in X})
    expected = fitted.pipeline.predict_proba(X)
    assert np.array_equal(labels, fitted.pipeline.predict(X))
    assert np.mean(shares.astype(np.float32) == expected) > 0.99  # the exponentials of two libraries differ by one ulp


def test_missing_values_and_neighbours_of_thresholds(fit: Fit) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"full": rng.normal(size=400), "gaps": rng.normal(size=400)})
    table.loc[::5, "gaps"] = np.nan
    fitted = fit([], classifier(), table, ((table["full"] > 0) ^ table["gaps"].isna()).astype(int))
    model = fitted.pipeline[-1]
    below = np.unique(np.concatenate([tree.threshold[tree.left != -1] for tree in read_xgboost(model).trees]))
    above = np.nextafter(below.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    middle = (below + above) / 2  # which float32 rounds to either side
    values = [np.nan, *below, *above, *middle, *np.nextafter(middle, -9), *np.nextafter(middle, 9)]
    asked = pd.DataFrame({"full": values * 2, "gaps": np.repeat([np.nan, 0.5], len(values))})
    labels, shares = fitted.compiled_model().predict({str(name): asked[name].tolist() for name in asked})
    np.testing.assert_allclose(shares, fitted.pipeline.predict_proba(asked), atol=1e-7)
    assert np.array_equal(labels, fitted.pipeline.predict(asked))


def test_only_trees_up_to_the_best_iteration_count(X: pd.DataFrame, targets: dict[str, Any]) -> None:
    """As in ONNX Runtime's issue 5450, where a model that was given rows to stop by was converted whole."""
    model = classifier(n_estimators=60, learning_rate=1.0, early_stopping_rounds=3)
    model.fit(X[:500], targets["three"][:500], eval_set=[(X[500:], targets["three"][500:])], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    assert len(read_xgboost(model).trees) == 3 * (model.best_iteration + 1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (regressor(booster="dart"), "booster=dart"),
        (regressor(booster="gblinear", max_depth=None), "booster=gblinear"),
        (regressor(missing=-1.0), "missing=-1.0"),
        (regressor(objective="reg:quantileerror", quantile_alpha=[0.2, 0.8]), "XGBRegressor with several outputs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_translation_is_named(
    model: Any, reason: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit([], model, X, targets["numbers"])
    assert fitted.compile().compilation.reason.startswith(f"no converter for {reason}")


@pytest.mark.parametrize("most", [1, 20], ids=["sets", "one category a split"])
def test_categories_with_and_without_missing_values(most: int, fit: Fit) -> None:
    """Each category by itself, and a missing one, also where training saw none."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"full": rng.integers(0, 9, 400), "gaps": rng.integers(0, 9, 400).astype(float)})
    table.loc[::7, "gaps"] = np.nan
    target = (table["full"].isin([1, 4, 7]) ^ (table["gaps"] > 4)).astype(int)
    model = classifier(n_estimators=12, max_cat_to_onehot=most, enable_categorical=True)
    fitted = fit([CodesToCategories().set_output(transform="pandas")], model, table, target)
    asked = pd.DataFrame([(one, two) for one in (*range(9), np.nan) for two in (*range(9), np.nan)], columns=[*table])
    labels, shares = fitted.compiled_model().predict({str(name): asked[name].tolist() for name in asked})
    np.testing.assert_allclose(shares, fitted.pipeline.predict_proba(asked), atol=1e-7)
    assert np.array_equal(labels, fitted.pipeline.predict(asked))
