"""Models that split on categories themselves: which ones do, and what they are set to."""

from __future__ import annotations

from typing import Any

from orchestrator.modeling.boosting_libraries import library_of
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.section import Component

STEP = "score.column_transforms.CodesToCategories"
AS_DTYPE = (
    "pandas.DataFrame.astype"  # the function of a FunctionTransformer whose categories are those of each table anew
)
_OTHERS = "write preprocess=tabular, or model=hist_gradient_boosting, lightgbm, xgboost or catboost"
_NUMBERS_ONLY = (("tree_method", "exact"), ("booster", "gblinear"), ("enable_categorical", False))  # of XGBoost


def refusal(step: Component, preprocess: PreprocessSpec, kind: type, model: ModelSpec) -> str:
    """Return why a model's class, with its parameters, does not take categories as a step of a preprocessing passes them on.

    "" if it does, or the step passes none on.
    """
    if step.target != STEP and step.options.get("func") != AS_DTYPE:
        return ""
    library, module, name = library_of(kind), kind.__module__, kind.__name__
    histogram = module.startswith("sklearn.") and "_hist_gradient_boosting" in module
    numbers_only = [
        f"{parameter}={value}"
        for parameter, value in _NUMBERS_ONLY
        if value in [model.params.get(parameter), *model.param_grid.get(parameter, ())]
    ]
    passes = "passes categories on as such"
    reasons = {
        f"{passes}, and {name} takes their codes for numbers; {_OTHERS}": not library and not histogram,
        f"{passes}, which become numbers on the way; write preprocess.output=pandas": bool(preprocess.branches)
        and preprocess.output != "pandas",
        f"makes categories of each table anew, and {name} needs those of the training rows; write _target_: {STEP}": library
        in ("xgboost", "catboost")
        and step.target != STEP,
        f"{passes}, which no class derived from CatBoost's takes; write model=catboost": library == "catboost"
        and not module.startswith("catboost."),
        f"{passes}, and names them to CatBoost; leave model.params.cat_features out": library == "catboost"
        and "cat_features" in {*model.params, *model.param_grid},
        f"{passes}, which {name} refuses with {', '.join(numbers_only)}; leave that out": library == "xgboost"
        and bool(numbers_only),
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def take_categories(estimator: Any, preprocess: PreprocessSpec) -> Any:
    """Return an unfitted estimator that takes what a preprocessing passes on."""
    if all(component.target != STEP for _, component in preprocess.components()):
        return estimator
    library = library_of(type(estimator))
    if library == "xgboost":
        return estimator.set_params(enable_categorical=True)
    if library == "catboost":
        from score import native_catboost

        return getattr(native_catboost, type(estimator).__name__)(**estimator.get_params())
    return estimator
