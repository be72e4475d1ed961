"""Trees that split on categories are compiled, with levels that are missing, rare, boolean or in no row."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import OrdinalEncoder

from orchestrator.packaging.onnx.category_splits import CategorySplits, are_codes
from orchestrator.packaging.onnx.trees import category_splits
from tests.nightly import at_night

from .conftest import Fit, opened, preset

HISTOGRAM: dict[str, Any] = {"max_iter": 8, "min_samples_leaf": 5, "random_state": 0}
LEAVES: dict[str, Any] = {
    "n_estimators": 8,
    "min_child_samples": 5,
    "min_data_per_group": 5,
    "cat_smooth": 1,
    "verbose": -1,
}
CTR: dict[str, Any] = {"iterations": 8, "depth": 4, "max_ctr_complexity": 1, "random_seed": 0, "thread_count": 1}
CTR |= {"verbose": False, "allow_writing_files": False}


def town(rows: int) -> pd.DataFrame:
    """Towns and a boolean between two numbers, with missing values; what they say is in no order."""
    rng = np.random.default_rng(0)
    towns = pd.Series(rng.choice(["Oslo", "Rome", "Kyiv", "Bonn", "Lima", "Bern", "Nice"], rows))
    table = pd.DataFrame({"a": rng.normal(size=rows), "town": towns.where(rng.random(rows) > 0.1)})
    return table.assign(member=rng.random(rows) > 0.5, b=rng.normal(size=rows))


def target(table: pd.DataFrame, kind: str) -> Any:
    inside = table["town"].isin(["Oslo", "Lima", "Nice"]) ^ (table["a"] > 0)
    two = inside.astype(int)
    return {"two": two, "three": two + (table["town"].isna() | table["member"]), "numbers": two * 3.5 + table["b"]}[
        kind
    ]


def model_of(library: str, kind: str) -> Any:
    """Return an unfitted model that splits on categories."""
    name = "Regressor" if kind == "numbers" else "Classifier"
    if library == "histogram":
        return {"Regressor": HistGradientBoostingRegressor, "Classifier": HistGradientBoostingClassifier}[name](
            **HISTOGRAM
        )
    found = pytest.importorskip(library)
    if library == "lightgbm":
        return getattr(found, f"LGBM{name}")(**LEAVES)
    if library == "xgboost":  # one category a split of columns with fewer than 4, sets of the others
        return getattr(found, f"XGB{name}")(n_estimators=8, max_depth=4, n_jobs=1, enable_categorical=True)
    from score import native_catboost

    return getattr(native_catboost, f"CatBoost{name}")(**CTR)


@pytest.mark.parametrize(
    ("library", "kind"),
    [
        ("histogram", "three"),
        ("lightgbm", "two"),
        ("catboost", "three"),
        *(
            at_night(library, kind)
            for library, kind in (
                ("histogram", "two"),
                ("histogram", "numbers"),
                ("lightgbm", "three"),
                ("lightgbm", "numbers"),
                ("xgboost", "two"),
                ("xgboost", "three"),
                ("xgboost", "numbers"),
                ("catboost", "two"),
                ("catboost", "numbers"),
            )
        ),
    ],
)
def test_splits_on_categories_are_compiled(library: str, kind: str, fit: Fit) -> None:
    table = town(240)
    fitted = opened(fit(preset("native"), model_of(library, kind), table, target(table, kind)))
    compilation = fitted.compile().compilation
    assert compilation.reason == ""
    assert (compilation.tolerance or 1) <= (1e-6 if library == "xgboost" else 1e-12)
    assert compilation.splits > 3
    assert len(category_splits(fitted.pipeline[-1])._sets) > 0  # type: ignore[union-attr]


def test_further_columns_say_what_is_in_a_set() -> None:
    splits = CategorySplits(2)
    assert [splits.feature(1, [0, 2]), splits.feature(0, [3]), splits.feature(1, [1]), splits.feature(1, [2, 0])] == [
        2,
        3,
        4,
        2,
    ]
    table = np.array([[3.0, 0.0], [1.0, np.nan], [np.nan, 1.0], [9.0, 7.0]])
    wanted = [[3, 0, 0, 0, 1], [1, np.nan, np.nan, 1, np.nan], [np.nan, 1, 1, np.nan, 0], [9, 7, 1, 1, 1]]
    np.testing.assert_array_equal(splits.extend(table), np.array(wanted, dtype=float))
    assert are_codes([0.0, 1.0, np.nan])
    assert not are_codes(["x", "y"])


def test_codes_of_rare_and_missing_categories_are_compiled(fit: Fit) -> None:
    table = town(300)
    step = ColumnTransformer(
        [
            ("rare", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=3), ["town"]),
            ("gaps", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=3, encoded_missing_value=-4), ["other"]),
            ("named", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-2, encoded_missing_value=-3), ["member", "town"]),
        ]
    )  # fmt: skip
    table = table.assign(other=table["town"], town=table["town"].fillna("none"))
    compilation = opened(fit([step], Ridge(), table, table["a"])).compile().compilation
    assert (compilation.reason, compilation.tolerance) == ("", 1e-12)


@pytest.mark.parametrize("library", ["histogram", "lightgbm", "xgboost"])
def test_categories_that_are_no_codes_are_named(library: str, fit: Fit) -> None:
    table = pd.DataFrame({"town": pd.Categorical(["x", "y", "z"] * 40)})
    model = model_of(library, "two")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reason = fit([], model, table, [0, 1, 0] * 40).compile().compilation.reason
    assert reason.endswith("on categories that are no codes; preprocess=native makes codes")
