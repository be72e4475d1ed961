from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from orchestrator.errors import DataError
from orchestrator.project.task import choose_task


def target(*values: Any, times: int = 10) -> pd.Series:
    return pd.Series([*values] * times, name="y")


@pytest.mark.parametrize(
    ("values", "kind", "positive"),
    [
        ([0, 1], "binary", 1),
        ([2, 1, 1], "binary", 2),
        ([0.0, 1.0], "binary", 1.0),
        ([True, False], "binary", True),
        (["no", "yes", "yes"], "binary", "yes"),
        (["M", "B", "B"], "binary", "M"),  # the rarer one
        (["a", "b"], "binary", "b"),  # the greater one
        (["a", "b", "c"], "multiclass", None),
        ([3, 4, 5, 6], "multiclass", None),
        ([0.5, 1, 2], "regression", None),
        (list(range(30)), "regression", None),
    ],
)
def test_the_task_follows_from_the_values(values: list[Any], kind: str, positive: Any) -> None:
    task = choose_task(target(*values), None)
    assert (task.kind, task.positive, type(task.positive)) == (kind, positive, type(positive))


def test_numbers_in_a_rare_class_are_a_quantity() -> None:
    assert choose_task(pd.Series([3, 4, 5] * 20 + [9], name="y"), None).kind == "regression"


def test_the_task_can_be_typed_where_numbers_may_be_either() -> None:
    assert choose_task(target(1, 2, 3, 4, 5), "regression").kind == "regression"
    assert choose_task(target(*range(25)), "classification").kind == "multiclass"
    with pytest.raises(DataError, match=r"--task: 'y' holds numbers such as 0\.5"):
        choose_task(target(0.5, 1.5), "classification")


@pytest.mark.parametrize(("rows", "folds"), [(5, 4), (6, 4), (7, 5), (40, 5)])
def test_a_rare_class_reaches_every_fold(rows: int, folds: int) -> None:
    assert choose_task(pd.Series(["a"] * 50 + ["b"] * rows, name="y"), None).folds == folds


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.Series(pd.date_range("2024-01-01", periods=20)), "holds values of type Timestamp"),
        (pd.Series([1.5, float("inf")] * 9), "holds infinite numbers"),
        (pd.Series([[1], [2]] * 9), "holds values of type list"),
        (pd.Series([1.5] * 9), "holds only 1.5"),
    ],
)
def test_a_target_to_learn_nothing_from_is_refused(values: pd.Series, message: str) -> None:
    with pytest.raises(DataError, match=f"--target: 'y' {message}"):
        choose_task(values.rename("y"), None)
