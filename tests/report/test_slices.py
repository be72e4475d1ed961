"""Scores by groups: of values, of quartiles, of rows without a value."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import get_scorer

from orchestrator.report.inspection import Slices
from orchestrator.report.slices import MISSING, slices_of
from orchestrator.uncertainty.recorded import RecordedEstimator
from orchestrator.uncertainty.shares import wilson
from tests.report.trainings import Training, two_classes

SCORERS = {name: get_scorer(name) for name in ("roc_auc", "accuracy")}


def sliced(made: Training, *columns: str) -> list[Slices]:
    model = RecordedEstimator(made.trained.pipeline, made.split.X_test)
    return list(slices_of(columns, model, made.split, SCORERS, (), 0))


def test_groups_of_values_have_the_scores_of_their_rows_largest_first() -> None:
    made = two_classes(400)
    (found,) = sliced(made, "city")
    assert {group.label for group in found.groups} == {"Rome", "Oslo", "Lima"}
    sizes = [group.rows for group in found.groups]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == len(made.split.y_test)
    for group in found.groups:
        rows = made.split.X_test["city"] == group.label
        X, y = made.split.X_test[rows], made.split.y_test[rows]
        for name, score in SCORERS.items():
            assert group.scores[name].value == score(made.trained.pipeline, X, y)
        interval = wilson(round((group.scores["accuracy"].value or 0) * len(y)), len(y))
        assert (group.scores["accuracy"].low, group.scores["accuracy"].high) == (interval.low, interval.high)


def test_numbers_are_cut_at_their_quartiles_and_rows_without_a_value_are_a_group() -> None:
    made = two_classes(400)
    made.split.X_test.iloc[:5, 1] = np.nan
    (found,) = sliced(made, "b")
    assert found.by == "quartiles"
    assert [group.label.partition(" ")[0] for group in found.groups] == ["up", "above", "above", "above", MISSING]
    assert all(15 <= group.rows <= 35 for group in found.groups[:-1])
    assert sum(group.rows for group in found.groups) == 100


@pytest.mark.parametrize("values", [[1, 2] * 100, [True, False] * 100, ["x"] * 200])
def test_few_values_are_groups(values: list[Any]) -> None:
    made = two_classes()
    X_train, X_test = made.split.X_train.assign(g=values[:150]), made.split.X_test.assign(g=values[150:])
    model = RecordedEstimator(made.trained.pipeline, X_test)
    split = dataclasses.replace(made.split, X_train=X_train, X_test=X_test)
    (found,) = slices_of(["g"], model, split, SCORERS, (), 0)
    assert found.by == "values"
    assert [group.label for group in found.groups] == sorted({str(value) for value in values})


def test_values_that_are_shown_alike_are_groups_of_their_own() -> None:
    made = two_classes(400)
    made.split.X_test["city"] = [None] * 10 + [MISSING] * 20 + ["x" * 80 + "a"] * 30 + ["x" * 80 + "b"] * 40
    (found,) = sliced(made, "city")
    assert [group.rows for group in found.groups] == [40, 30, 20, 10]
    assert [group.label for group in found.groups[2:]] == [MISSING, f"({MISSING})"]


def test_a_group_of_one_class_has_no_auc_and_the_smallest_groups_are_counted() -> None:
    made = two_classes(400)
    made.split.X_test["city"] = np.where(made.split.y_test == 1, "only yes", pd.Series(range(100)).astype(str))
    (found,) = sliced(made, "city")
    assert found.groups[0].label == "only yes"
    assert found.groups[0].scores["roc_auc"].value is None
    assert found.groups[0].scores["accuracy"].value is not None
    assert len(found.groups) == 12
    assert found.left_out == int((made.split.y_test == 0).sum()) - 11


def test_a_recall_without_positive_rows_is_no_zero() -> None:
    made = two_classes(400)
    made.split.X_test["city"] = np.where(made.split.y_test == 1, "with", "without")
    model = RecordedEstimator(made.trained.pipeline, made.split.X_test)
    (found,) = slices_of(["city"], model, made.split, {"recall": get_scorer("recall")}, (), 0)
    assert {group.label: group.scores["recall"].value is None for group in found.groups} == {
        "with": False,
        "without": True,
    }
