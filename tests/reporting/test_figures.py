"""Figures suit the task, are PNGs, and are the same bytes for the same numbers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC, LinearSVC

from orchestrator.artifacts import Candidate, Split, Trained
from orchestrator.reporting.figures import draw
from orchestrator.spec.field_types import ROOT

CURVES = {"roc_curve.png", "precision_recall_curve.png"}


def parts(classes: int | None) -> Split:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    y = pd.Series(range(60)) % classes if classes else X["a"] * 2
    labels = tuple(f"class {code}" for code in range(classes)) if classes else None
    return Split(X[:40], X[40:], y[:40], y[40:], labels, "")


def trained(split: Split, estimator: Any, *params: dict[str, Any]) -> Trained:
    candidates = [Candidate(each, {"m": 0.5 + index / 9}, {"m": 0.1}, 1, 0.1) for index, each in enumerate(params)]
    return Trained(
        estimator.fit(split.X_train, split.y_train), 0, candidates or [Candidate({}, {"m": 1}, {"m": 0}, 1, 0)]
    )


@pytest.mark.parametrize(
    ("classes", "estimator", "names"),
    [
        (2, LogisticRegression(), {"confusion_matrix.png", *CURVES}),
        (3, LogisticRegression(), {"confusion_matrix.png", *CURVES}),
        (2, LinearSVC(), {"confusion_matrix.png", *CURVES}),
        (3, LinearSVC(), {"confusion_matrix.png", *CURVES}),
        (4, SVC(decision_function_shape="ovo"), {"confusion_matrix.png"}),  # a score for each pair of classes
        (12, LogisticRegression(), {"confusion_matrix.png"}),  # too many curves
        (None, Ridge(), {"predicted_vs_actual.png"}),
    ],
)
def test_the_figures_suit_the_task(classes: int | None, estimator: Any, names: set[str]) -> None:
    split = parts(classes)
    figures = draw(trained(split, estimator), split, "m")
    assert set(figures) == names
    assert all(image.startswith(b"\x89PNG") for image in figures.values())


@pytest.mark.parametrize(
    ("grid", "there"),
    [
        ([{}], False),
        ([{"a": 1}, {"a": None}, {"a": "x"}], True),
        ([{"a": a, "b": b} for a in (1, 2) for b in (None, 0.5, "auto")], True),
        ([{"a": a, "b": b, "c": c} for a in (1, 2) for b in (1, 2) for c in (1, 2, 3)], True),
        ([{"a": a, "b": b} for a in range(11) for b in range(10)], True),
    ],
)
def test_the_search_is_drawn_where_there_was_one(grid: list[dict[str, Any]], there: bool) -> None:
    split = parts(2)
    assert ("search_heatmap.png" in draw(trained(split, DummyClassifier(), *grid), split, "m")) == there


def test_a_class_without_hold_out_rows_has_no_curve() -> None:
    split = parts(2)
    alone = replace(split, y_test=split.y_test * 0)
    assert set(draw(trained(split, LogisticRegression()), alone, "m")) == {"confusion_matrix.png"}


def test_missing_scores_are_not_drawn() -> None:
    split = parts(2)
    grid = [{"a": a, "b": b} for a in (1, 2) for b in (1, 2)]
    result = trained(split, DummyClassifier(), *grid)
    nothing = [replace(candidate, mean={"m": float("nan")}) for candidate in result.candidates]
    assert "search_heatmap.png" not in draw(replace(result, candidates=nothing), split, "m")


def test_the_same_numbers_are_the_same_bytes() -> None:
    split = parts(2)
    fitted = trained(split, LogisticRegression(), {"a": 1}, {"a": 2})
    assert draw(fitted, split, "m") == draw(fitted, split, "m")


@pytest.mark.nightly
def test_no_window_system_is_needed() -> None:
    # in a process of its own: another test's library may have asked for one
    code = (
        "import sys; from tests.reporting.test_figures import *; split = parts(2); "
        "draw(trained(split, LogisticRegression()), split, 'm'); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
