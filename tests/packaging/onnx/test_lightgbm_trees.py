"""Models of LightGBM are compiled: the same answers to the last bits, or a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression

from orchestrator.packaging.onnx.lightgbm_trees import ZERO, read_lightgbm
from tests.nightly import at_night

from .conftest import Fit, assert_boosting_is_compiled, tabular

lightgbm = pytest.importorskip("lightgbm")
SMALL: dict[str, Any] = {"n_estimators": 8, "num_leaves": 7, "min_child_samples": 5, "random_state": 0}
SMALL |= {"n_jobs": 1, "verbose": -1}
BAGGED = {"boosting_type": "rf", "subsample": 0.7, "subsample_freq": 1}


def classifier(**params: Any) -> Any:
    return lightgbm.LGBMClassifier(**SMALL | params)


def regressor(**params: Any) -> Any:
    return lightgbm.LGBMRegressor(**SMALL | params)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (classifier(), "two"),
        (classifier(), "three"),
        (regressor(), "numbers"),
        at_night(classifier(is_unbalance=True, boosting_type="dart"), "two"),
        at_night(classifier(objective="multiclassova", **BAGGED), "three"),
        at_night(classifier(**BAGGED), "two"),
        at_night(regressor(objective="poisson"), "numbers"),
        at_night(regressor(objective="quantile", alpha=0.8), "numbers"),
        at_night(regressor(objective="huber", boosting_type="dart"), "numbers"),
    ],
    ids=str,
)
def test_a_model_is_compiled(model: Any, target: str, fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    table = mixed[["Glucose", "BMI", "Age", "city", "member"]][:320]
    compilation = assert_boosting_is_compiled(fit(tabular(), model, table, targets[target][:320]))
    assert compilation.tolerance == 1e-12


def test_values_that_are_equal_in_float32(fit: Fit) -> None:
    """The thresholds of onnxmltools issues 708 (sine and cosine of times) and 728, and of sklearn-onnx issue 1192."""
    count = np.arange(240)
    table = pd.DataFrame({"near": 1 + count * 1e-10, "day": np.sin(2 * np.pi * count / 7)})
    assert len(table["near"].astype("float32").unique()) == 1
    fitted = fit([], classifier(min_child_samples=1, min_data_in_bin=1), table, count // 20 % 2)
    _, shares = fitted.compiled_model().predict({str(name): table[name].tolist() for name in table})
    np.testing.assert_allclose(shares, fitted.pipeline.predict_proba(table), rtol=1e-13)
    assert len(np.unique(shares[:, 1])) > 2


def test_missing_values_and_values_next_to_zero(fit: Fit) -> None:
    """Where training saw no missing value, one is compared as zero; values up to 1e-35 are compared as zero, too."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"full": rng.integers(-2, 3, 400), "gaps": rng.normal(size=400)}).astype(float)
    table.loc[::5, "gaps"] = np.nan
    target = (table["full"] > 0) ^ table["gaps"].isna()
    fitted = fit([], classifier(n_estimators=20), table, target.astype(int))
    splits = [tree.threshold for tree in read_lightgbm(fitted.pipeline[-1]).trees]
    assert {ZERO, float(np.nextafter(-ZERO, -1))} & {*np.concatenate(splits)}
    steps = [np.nextafter(sign * ZERO, side) for sign in (-1, 1) for side in (-1, 1)]
    values = [np.nan, 0.0, -0.0, ZERO, -ZERO, *steps, 5e-324, -5e-324, 1.0, -1.0]
    asked = pd.DataFrame({"full": values * 3, "gaps": np.repeat([np.nan, 0.0, 1.0], len(values))})
    _, shares = fitted.compiled_model().predict({str(name): asked[name].tolist() for name in asked})
    np.testing.assert_allclose(shares, fitted.pipeline.predict_proba(asked), rtol=1e-13)


def test_a_model_inside_of_another(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    members = [("boosting", classifier()), ("linear", LogisticRegression(max_iter=50))]
    table = X[["Glucose", "BMI"]][:320]
    compilation = fit([], StackingClassifier(members, cv=2), table, targets["two"][:320]).compile().compilation
    assert compilation.reason == ""
    assert compilation.splits > 10


def squares(true: Any, predicted: Any) -> tuple[Any, Any]:
    return predicted - true, np.ones(len(true))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (regressor(linear_tree=True), "linear_tree"),
        (regressor(reg_sqrt=True), "the objective 'regression sqrt'"),
        (regressor(objective=squares), "the objective 'custom'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_translation_is_named(
    model: Any, reason: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit([], model, X, targets["numbers"])
    assert fitted.compile().compilation.reason.startswith(f"no converter for {reason}")


def test_zero_as_missing_is_named_where_it_matters() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0] * 20)
    same = read_lightgbm(regressor(zero_as_missing=True).fit(values[:, None], values < 2))
    assert same.trees
    with pytest.raises(NotImplementedError, match="no converter for zero_as_missing"):
        read_lightgbm(regressor(zero_as_missing=True).fit(values[:, None], (values == 0) | (values == 3)))
