"""Values by task: which one is taken, what is typed over them, and what is no value by task."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import compose
from orchestrator.errors import Problem, SpecError
from orchestrator.spec.by_task import is_by_task, resolve
from orchestrator.spec.run_spec import RunSpec

METRICS = {
    "scoring": [{"binary": ["roc_auc"]}, {"regression": ["r2", "max_error"]}],
    "refit": [{"binary": "roc_auc"}, {"regression": "r2"}],
}


def resolved(task: str, **sections: Any) -> dict[str, Any]:
    values, problems = resolve({"data": {"task": task}, **sections})
    assert problems == []
    return values


@pytest.mark.parametrize(
    ("task", "expected"), [("binary", 1), ("multiclass", 1), ("regression", [2]), ("auto", 1), ("typo", 1)]
)
def test_the_entry_that_fits_the_task_is_the_value(task: str, expected: Any) -> None:
    model = {"params": {"deep": {"x": [{"classification": 1}, {"regression": [2]}]}}}
    assert resolved(task, model=model)["model"] == {"params": {"deep": {"x": expected}}}


def test_the_first_entry_that_fits_wins_and_a_key_without_one_is_left_out() -> None:
    grid = {"a": [{"multiclass": [3]}, {"classification": [2]}], "b": [{"regression": [1]}]}
    assert resolved("multiclass", model={"param_grid": grid})["model"]["param_grid"] == {"a": [3]}
    assert resolved("binary", model={"param_grid": grid})["model"]["param_grid"] == {"a": [2]}


@pytest.mark.parametrize(
    "value", [[], [1], [{}], [{0: 1.0}, {0: 2.0}], [{"bad": 1}], {"binary": 1}, "binary", [["binary"]]]
)
def test_other_lists_and_mappings_are_values(value: Any) -> None:
    assert not is_by_task(value)
    assert resolved("regression", model={"params": {"x": value}})["model"]["params"] == {"x": value}


def test_an_unknown_task_is_a_problem_with_the_near_name() -> None:
    found = resolve({"model": {"params": {"x": [{"regression": 1}, {"clasification": 2}]}}}).problems
    assert found == [Problem("model.params.x", "there is no task 'clasification'; did you mean 'classification'?")]
    values = {**compose().values, "model": {"estimator": [{"regresion": "a.B"}, {"binary": "a.C"}]}}
    with pytest.raises(
        SpecError, match=r"^model\.estimator: there is no task 'regresion'; did you mean 'regression'\?$"
    ):
        RunSpec.parse(values)


@pytest.mark.parametrize(
    ("typed", "scoring", "refit"),
    [
        ({}, ["roc_auc"], "roc_auc"),
        ({"refit": "f1"}, ["f1", "roc_auc"], "f1"),
        ({"scoring": ["f1", "accuracy"]}, ["f1", "accuracy"], "f1"),
        ({"scoring": "f1"}, "f1", "f1"),
        ({"scoring": ["f1", "roc_auc"]}, ["f1", "roc_auc"], "roc_auc"),
        ({"scoring": ["f1"], "refit": "r2"}, ["f1"], "r2"),  # a mistake, which validation reports
    ],
)
def test_a_typed_metric_wins_over_those_of_the_task(typed: dict[str, Any], scoring: Any, refit: str) -> None:
    search = resolved("binary", search={**METRICS, **typed})["search"]
    assert (search["scoring"], search["refit"]) == (scoring, refit)


@pytest.mark.parametrize(
    ("task", "model", "estimator", "grid"),
    [
        ("regression", "random_forest", "RandomForestRegressor", {"n_estimators": 2, "max_depth": 3}),
        ("multiclass", "random_forest", "RandomForestClassifier", {"n_estimators": 3, "max_depth": 3}),
        ("binary", "linear", "LogisticRegression", {"C": 4}),
        ("regression", "linear", "Ridge", {"alpha": 5}),
        ("regression", "hist_gradient_boosting", "HistGradientBoostingRegressor", {"max_iter": 2}),
        ("regression", "stacking", "StackingRegressor", {"random_forest__max_depth": 2}),
    ],
)
def test_each_model_has_a_grid_for_each_task(task: str, model: str, estimator: str, grid: dict[str, int]) -> None:
    spec = RunSpec.parse(compose(f"model={model}", f"data.task={task}").values)
    assert spec.model.estimator.rpartition(".")[2] == estimator
    lengths = {name: len(values) for name, values in spec.model.param_grid.items()}
    assert lengths.items() >= grid.items()
    assert spec.search.refit == {"binary": "roc_auc", "multiclass": "roc_auc_ovr", "regression": "r2"}[task]


@pytest.mark.parametrize(
    ("typed", "grid"),
    [
        ("model.param_grid.n_estimators=[5]", {"n_estimators": (5,), "max_depth": (5, 10, 20)}),
        ("~model.param_grid.max_depth", {"n_estimators": (50, 100)}),
        ("model/param_grid=none", {}),
        (
            "model.param_grid.max_depth=[{binary:[1]},{regression:[9]}]",
            {"n_estimators": (50, 100), "max_depth": (9,)},
        ),
    ],
)
def test_overrides_replace_values_by_task(typed: str, grid: dict[str, Any]) -> None:
    assert dict(RunSpec.parse(compose("data.task=regression", typed).values).model.param_grid) == grid
