"""Models of CatBoost are compiled: the same answers to the last bits, or a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.packaging.onnx.catboost_trees import read_catboost
from tests.nightly import at_night

from .conftest import Fit, assert_boosting_is_compiled, tabular

catboost = pytest.importorskip("catboost")
SMALL: dict[str, Any] = {"iterations": 8, "depth": 3, "random_seed": 0, "thread_count": 1}
SMALL |= {"verbose": False, "allow_writing_files": False}


def classifier(**params: Any) -> Any:
    return catboost.CatBoostClassifier(**SMALL | params)


def regressor(**params: Any) -> Any:
    return catboost.CatBoostRegressor(**SMALL | params)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (classifier(), "two"),
        (classifier(), "three"),
        (regressor(), "numbers"),
        at_night(classifier(loss_function="MultiClassOneVsAll"), "three"),
        at_night(classifier(loss_function="CrossEntropy"), "two"),
        at_night(regressor(loss_function="Poisson"), "numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_model_is_compiled(model: Any, target: str, fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    table = mixed[["Glucose", "BMI", "Age", "city", "member"]][:320]
    compilation = assert_boosting_is_compiled(fit(tabular(), model, table, targets[target][:320]))
    assert (compilation.tolerance or 1) <= 1e-9


@pytest.mark.parametrize("mode", ["Min", "Max"])
def test_missing_values_and_neighbours_of_borders(mode: str, fit: Fit) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"full": rng.normal(size=400), "gaps": rng.normal(size=400)})
    table.loc[::5, "gaps"] = np.nan
    fitted = fit([], classifier(nan_mode=mode), table, ((table["full"] > 0) ^ table["gaps"].isna()).astype(int))
    borders = np.concatenate([tree.threshold[tree.left != -1] for tree in read_catboost(fitted.pipeline[-1]).trees])
    at = np.unique(borders[borders < 1e38]).astype(np.float32)  # above lies the border of a missing value
    above = np.nextafter(at, np.float32(np.inf)).astype(np.float64)
    middle = (at + above) / 2  # which float32 rounds to either side
    values = [np.nan, *at.tolist(), *above, *middle, *np.nextafter(middle, -9), *np.nextafter(middle, 9)]
    asked = pd.DataFrame({"full": values * 2, "gaps": np.repeat([np.nan, 0.5], len(values))})
    labels, shares = fitted.compiled_model().predict({str(name): asked[name].tolist() for name in asked})
    np.testing.assert_allclose(shares, fitted.pipeline.predict_proba(asked), atol=1e-12)
    assert np.array_equal(labels, fitted.pipeline.predict(asked))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (regressor(grow_policy="Depthwise"), "a grow_policy of CatBoost"),
        (regressor(loss_function="Expectile:alpha=0.3"), "loss_function=Expectile"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_translation_is_named(
    model: Any, reason: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit([], model, X, targets["numbers"])
    assert fitted.compile().compilation.reason.startswith(f"no converter for {reason}")


def test_native_categories_are_named() -> None:
    table = pd.DataFrame({"a": ["x", "y", "z"] * 20})
    model = regressor(cat_features=["a"]).fit(table, [0.0, 1.0, 0.0] * 20)
    with pytest.raises(NotImplementedError, match="categorical columns of CatBoost; preprocess=tabular"):
        read_catboost(model)
