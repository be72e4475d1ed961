"""The task that the values of a target show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.modeling.task import see_task


@pytest.mark.parametrize(
    ("values", "times", "task", "other"),
    [
        ([0, 1], 1, "binary", None),
        ([0.0, 1.0], 1, "binary", None),
        ([True, False], 5, "binary", None),
        (["no", "yes"], 5, "binary", None),
        (["a"], 5, "binary", None),  # a mistake, which the stage reports
        (["a", "b", "c"], 1, "multiclass", None),
        (["a", 1, 2], 3, "multiclass", None),
        ([1, 2, 3, 4], 10, "multiclass", "regression"),
        ([1, 2, 3, 4], 9, "regression", "multiclass"),
        (range(21), 10, "regression", None),
        ([0.5, 1], 30, "regression", None),
        ([1.0, float("inf"), 2.0], 30, "regression", None),
        ([[1], [2]], 5, "multiclass", None),
    ],
)
def test_the_task_follows_from_the_values(values: Any, times: int, task: str, other: str | None) -> None:
    seen = see_task(pd.Series([*values] * times))
    assert (seen.task, seen.other) == (task, other)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["no"] * 3 + ["yes"], "2 classes (no 3, yes 1)"),
        ([1.0, 0.0, 1.0], "2 classes (0 1, 1 2)"),
        (np.linspace(1.5, 2000, 50), "50 different numbers from 1.5 to 2,000"),
        (list("abcdefghij"), "10 classes (a 1, b 1, c 1, d 1, e 1, f 1, g 1, h 1, and 2 more)"),
    ],
)
def test_the_values_are_described(values: Any, said: str) -> None:
    assert see_task(pd.Series(values)).said == said
