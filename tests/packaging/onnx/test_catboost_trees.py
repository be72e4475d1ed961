"""Models of CatBoost are compiled: the same answers to the last bits, or a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.packaging.onnx.catboost_trees import read_catboost
from score.column_transforms import CodesToCategories
from tests.nightly import at_night

from .conftest import Fit, assert_boosting_is_compiled, tabular

catboost = pytest.importorskip("catboost")
native_catboost = pytest.importorskip("score.native_catboost")
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
        at_night(regressor(loss_function="Poisson"), "two"),
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


@pytest.mark.parametrize(
    "params", [{"max_ctr_complexity": 1}, {"one_hot_max_size": 20}], ids=["means", "one category a split"]
)
def test_each_category_goes_the_way_that_the_library_takes(params: dict[str, int], fit: Fit) -> None:
    """Each by itself, a missing one where training saw none, and one that no training row has."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"full": rng.integers(0, 9, 400), "gaps": rng.integers(0, 9, 400).astype(float)})
    table.loc[::7, "gaps"] = np.nan
    target = (table["full"].isin([1, 4, 7]) ^ (table["gaps"] > 4)).astype(int)
    model = native_catboost.CatBoostClassifier(**SMALL | {"iterations": 30} | params)
    fitted = fit([CodesToCategories().set_output(transform="pandas")], model, table, target)
    asked = pd.DataFrame([(one, two) for one in (*range(9), np.nan) for two in (*range(9), np.nan)], columns=[*table])
    labels, shares = fitted.compiled_model().predict({str(name): asked[name].tolist() for name in asked})
    np.testing.assert_allclose(shares, fitted.pipeline.predict_proba(asked), atol=1e-12)
    assert np.array_equal(labels, fitted.pipeline.predict(asked))
    read = read_catboost(fitted.pipeline[-1])
    assert read.categories
    codes = np.where(asked.isna(), -1, asked)
    codes[::5] = 99  # of no training row
    features = np.where(codes < 0, np.nan, codes)
    own = fitted.pipeline[-1].calc_leaf_indexes(pd.DataFrame(codes.astype(int), columns=[*table]))
    leaves = [
        np.array([tree.value[_leaf(tree, row), 0] for row in read.categories.extend(features)]) for tree in read.trees
    ]
    for number, values in enumerate(leaves):  # rows of one of its leaves have one value
        assert all(len(np.unique(values[own[:, number] == leaf])) == 1 for leaf in np.unique(own[:, number]))


def _leaf(tree: Any, row: Any) -> int:
    node = 0
    while tree.left[node] != -1:
        value = row[tree.feature[node]]
        left = tree.missing_left[node] if np.isnan(value) else value <= tree.threshold[node]
        node = tree.left[node] if left else tree.right[node]
    return int(node)


def test_categories_without_a_translation_are_named() -> None:
    rng = np.random.default_rng(1)
    codes = pd.DataFrame({name: rng.integers(0, 8, 400) for name in "ab"})
    target = codes.sum(axis=1) % 3 == 0
    with pytest.raises(NotImplementedError, match="categories that are no codes; preprocess=native makes codes"):
        read_catboost(classifier(cat_features=["a", "b"]).fit(codes.astype(str), target))
    model = native_catboost.CatBoostClassifier(**SMALL | {"iterations": 200, "depth": 4})
    model.fit(codes.astype("category"), target)
    with pytest.raises(
        NotImplementedError, match=r"combinations of columns; model\.params\.max_ctr_complexity=1 makes none"
    ):
        read_catboost(model)
