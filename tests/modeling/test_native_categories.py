"""Which models take categories as preprocess=native passes them on, and why another one does not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier

from orchestrator.modeling.native_categories import AS_DTYPE, STEP, refusal, take_categories
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.section import Component


class Like(type):
    """Makes classes that look like those of a library that need not be installed."""


def of(library: str, name: str) -> type:
    return Like(name, (), {"__module__": f"{library}.core"})


def native(step: dict[str, Any], output: str = "pandas") -> PreprocessSpec:
    branch = {"columns": "categorical", "steps": {"categories": step}}
    return PreprocessSpec.model_validate({"branches": {"some": branch}, "output": output})


BY_CODES, BY_DTYPE = {"_target_": STEP}, {"_target_": "sklearn.preprocessing.FunctionTransformer", "func": AS_DTYPE}


@pytest.mark.parametrize(
    ("kind", "params", "step", "reason"),
    [
        (HistGradientBoostingRegressor, {}, BY_CODES, ""),
        (HistGradientBoostingRegressor, {}, BY_DTYPE, ""),
        (of("lightgbm", "LGBMClassifier"), {}, BY_DTYPE, ""),
        (of("xgboost", "XGBClassifier"), {"tree_method": "approx"}, BY_CODES, ""),
        (of("catboost", "CatBoostRegressor"), {}, BY_CODES, ""),
        (RandomForestClassifier, {}, BY_CODES, "RandomForestClassifier takes their codes for numbers"),
        (RandomForestClassifier, {}, {"_target_": "sklearn.preprocessing.OneHotEncoder"}, ""),
        (of("xgboost", "XGBRegressor"), {}, BY_DTYPE, f"of each table anew, .* write _target_: {STEP}"),
        (
            of("xgboost", "XGBRegressor"),
            {"tree_method": "exact"},
            BY_CODES,
            "XGBRegressor refuses with tree_method=exact",
        ),
        (of("xgboost", "XGBRegressor"), {"enable_categorical": False}, BY_CODES, "with enable_categorical=False"),
        (of("catboost", "CatBoostRegressor"), {"cat_features": [0]}, BY_CODES, "leave model.params.cat_features out"),
    ],
)
def test_what_cannot_take_categories_has_a_reason(kind: type, params: Any, step: Any, reason: str) -> None:
    model = ModelSpec(estimator="a.B", params=params)
    preprocess = native(step)
    (component,) = [each for _, each in preprocess.components()]
    assert isinstance(component, Component)
    found = refusal(component, preprocess, kind, model)
    assert bool(found) == bool(reason)
    assert re.search(reason, found)


def test_categories_need_a_data_frame() -> None:
    preprocess = native(BY_CODES, "default")
    (component,) = [each for _, each in preprocess.components()]
    found = refusal(component, preprocess, HistGradientBoostingRegressor, ModelSpec(estimator="a.B"))
    assert "preprocess.output=pandas" in found


def test_libraries_are_set_to_take_them() -> None:
    xgboost = pytest.importorskip("xgboost")
    plain, native_one = (take_categories(xgboost.XGBClassifier(), native(step)) for step in (BY_DTYPE, BY_CODES))
    assert (plain.enable_categorical, native_one.enable_categorical) == (False, True)
    forest = RandomForestClassifier()
    assert take_categories(forest, native(BY_CODES)) is forest
