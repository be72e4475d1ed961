"""Build the transformers of a preprocessing, and what selects the columns of its branches."""

from __future__ import annotations

from typing import Any

from orchestrator.modeling.objects import make
from orchestrator.spec.model import Branch, PreprocessSpec
from orchestrator.spec.objects import TARGET
from orchestrator.spec.section import Component

DATES = ["datetime", "datetimetz"]  # pandas' names for dtypes


def make_steps(preprocess: PreprocessSpec) -> list[tuple[str, Any]]:
    """Return the named unfitted transformers, in order; the branches are one of them."""
    from sklearn.compose import ColumnTransformer

    steps = [(name, _transformer(step)) for name, step in preprocess.steps.items()]
    if preprocess.branches:
        branches = [
            (name, _branch(branch), _columns(branch, preprocess)) for name, branch in preprocess.branches.items()
        ]
        joined = ColumnTransformer(branches, remainder=preprocess.remainder)
        steps.append(("branches", joined if preprocess.output == "default" else joined.set_output(transform="pandas")))
    return steps


def _transformer(component: Component) -> Any:
    return make({TARGET: component.target, **component.options}, "preprocess")


def _branch(branch: Branch) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline

    from score.transforms import BooleansToObjects

    steps = [(name, _transformer(step)) for name, step in branch.steps.items()]
    if branch.columns != "numeric" and isinstance(steps[0][1], SimpleImputer):
        steps.insert(0, ("booleans_to_objects", BooleansToObjects()))  # SimpleImputer refuses columns of booleans only
    return Pipeline(steps)


def _columns(branch: Branch, preprocess: PreprocessSpec) -> Any:
    from sklearn.compose import make_column_selector

    from score.column_transforms import ColumnsOfKind

    if branch.columns == "numeric":
        return make_column_selector(dtype_include="number")
    if branch.columns == "datetime":
        return make_column_selector(dtype_include=DATES)
    if branch.columns == "categorical" and {*preprocess.kinds} <= {"numeric", "datetime", "categorical"}:
        return make_column_selector(dtype_exclude=["number", *DATES])
    if isinstance(branch.columns, str):
        return ColumnsOfKind(branch.columns, preprocess.kinds, preprocess.max_levels)
    return list(branch.columns)
