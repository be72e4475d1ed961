"""Encoders of categories are compiled, with levels that are rare, unseen, missing or ordered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from score.column_transforms import OrderedToNumbers

from .conftest import Fit, opened


@pytest.mark.parametrize("unknown", ["ignore", "infrequent_if_exist"])
@pytest.mark.parametrize("limit", [{"max_categories": 3}, {"min_frequency": 0.3}, {"max_categories": 900}], ids=str)
def test_rare_categories_share_a_column(
    unknown: str, limit: dict[str, Any], fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]
) -> None:
    encoder = OneHotEncoder(handle_unknown=unknown, sparse_output=False, **limit)
    free = ["some", *["few", "few", "a note"] * 300]
    table = mixed[["Age", "city", "member"]].assign(free=free[: len(mixed)])
    step = ColumnTransformer([("texts", encoder, ["city", "free", "member"])], remainder="passthrough")
    compilation = opened(fit([step], Ridge(), table, targets["numbers"])).compile().compilation
    assert (compilation.reason, compilation.tolerance) == ("", 1e-12)


def test_rare_categories_beside_dropped_ones_have_no_converter(
    fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]
) -> None:
    step = ColumnTransformer([("texts", OneHotEncoder(max_categories=2, drop="first"), ["city"])])
    reason = fit([step], Ridge(), mixed[["city"]], targets["numbers"]).compile().compilation.reason
    assert reason == "no converter for OneHotEncoder with infrequent categories and drop"


@pytest.mark.parametrize("target", ["two", "three", "numbers"])
def test_means_of_the_target_are_compiled(target: str, fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    table = mixed[["city", "free", "member", "Age"]]
    step = ColumnTransformer([("means", TargetEncoder(), ["city", "free", "member", "Age"])])
    model = Ridge() if target == "numbers" else LogisticRegression()
    fitted = opened(fit([step], model, table, targets[target]))
    compilation = fitted.compile().compilation
    assert (compilation.reason, compilation.tolerance) == ("", 1e-12)
    width = fitted.pipeline[:-1].transform(table.head(1)).shape[1]
    assert width == (12 if target == "three" else 4)


def test_means_of_other_numbers_have_no_converter(fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    step = ColumnTransformer([("means", TargetEncoder(), ["BMI"])])
    reason = fit([step], Ridge(), mixed[["BMI"]], targets["numbers"]).compile().compilation.reason
    assert reason == "no converter for an encoder of numbers that are no small whole ones"


def test_ordered_categories_are_compiled(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    sizes = pd.Categorical(rng.choice(["S", "M", "L"], len(X)), ["S", "M", "L", "XL"], ordered=True)
    stars = pd.Categorical(rng.choice([3, 1, 2], len(X)), [3, 1, 2], ordered=True)
    table = pd.DataFrame({"size": sizes, "stars": stars, "Age": X["Age"]})
    table.loc[::9, "size"] = None
    step = ColumnTransformer([("places", OrderedToNumbers(), ["size", "stars"])], remainder="passthrough")
    fitted = opened(fit([step, SimpleImputer(add_indicator=True)], Ridge(), table, targets["numbers"]))
    compilation = fitted.compile().compilation
    assert (compilation.reason, compilation.tolerance) == ("", 1e-12)
