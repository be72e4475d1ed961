"""The numbers of the figures are those of scikit-learn's metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.svm import SVC, LinearSVC

from orchestrator.report.curves import figures_of
from orchestrator.report.inspection import HoldoutFigures
from tests.report.trainings import Training, table, train, two_classes


def figures(made: Training) -> HoldoutFigures:
    return figures_of(made.trained.pipeline, made.split, 0)


def test_two_classes_have_one_curve_and_a_matrix() -> None:
    made = two_classes()
    found, y = figures(made), made.split.y_test
    scores = made.trained.pipeline.predict_proba(made.split.X_test)[:, 1]
    assert [curve.label for curve in found.roc] == ["yes"]
    assert found.roc[0].area == pytest.approx(roc_auc_score(y, scores))
    assert found.precision_recall[0].area == pytest.approx(average_precision_score(y, scores))
    assert (found.roc[0].x[0], found.roc[0].y[-1]) == (0.0, 1.0)
    assert found.confusion is not None
    assert np.sum(found.confusion.counts) == len(y)
    assert found.prevalence == pytest.approx(y.mean())


def test_two_classes_have_scores_by_threshold_and_a_reliability_diagram() -> None:
    made = two_classes()
    found = figures_of(made.trained.pipeline, made.split, 0, threshold=0.3)
    y, scores = np.asarray(made.split.y_test), made.trained.pipeline.predict_proba(made.split.X_test)[:, 1]
    precision, recall, f1 = found.by_threshold
    for value, *others in zip(precision.x, precision.y, recall.y, f1.y, strict=True):
        labels = scores >= value - 5e-5  # as rounded for the figure
        wanted = (score(y, labels, zero_division=0) for score in (precision_score, recall_score, f1_score))
        assert others == pytest.approx([*wanted], abs=1e-4)
    assert found.threshold == 0.3
    assert all(0 <= one.low <= one.observed <= one.high <= 1 for one in found.calibration)
    assert min(scores) <= found.calibration[0].predicted <= found.calibration[-1].predicted <= max(scores)
    three = figures(train(table(90), pd.Series(np.arange(90) % 3).map("class {}".format)))
    assert not three.by_threshold
    assert not three.calibration


@pytest.mark.parametrize(
    ("classes", "estimator", "curves", "cells"),
    [(3, None, 3, 9), (2, LinearSVC(), 1, 4), (4, SVC(decision_function_shape="ovo"), 0, 16), (14, None, 0, 0)],
)
def test_figures_suit_the_classes(classes: int, estimator: Any, curves: int, cells: int) -> None:
    X = table(280)
    y = pd.Series((np.arange(280) % classes).astype(str)).map(lambda code: f"class {code}")
    found = figures(train(X, y, estimator=estimator))
    assert len(found.roc) == len(found.precision_recall) == curves
    assert found.confusion is not None
    assert np.size(found.confusion.counts) == cells
    assert bool(found.confusion.pairs) == (not cells)
    assert all(actual != predicted and rows > 0 for actual, predicted, rows in found.confusion.pairs)


def test_a_regression_has_points_at_most_some_hundred() -> None:
    X = table(4000)
    found = figures(train(X, X["a"] * 2))
    assert (len(found.points), found.sampled, found.confusion) == (600, 600, None)
    assert all(actual == pytest.approx(predicted) for actual, predicted in found.points)
