"""Scores with their positive label, a dummy for comparison, and significant digits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import get_scorer
from sklearn.tree import DecisionTreeClassifier

from orchestrator.artifacts import Report, ScoreContext, Split
from orchestrator.reporting.scores import brier_interval, dummy_scores, format_score, score_notes, score_table
from orchestrator.uncertainty.design import HoldOutDesign
from orchestrator.uncertainty.interval import Interval


def split(y: list[Any], classes: tuple[Any, ...] | None, held_out: int = 10) -> Split:
    X, labels = pd.DataFrame({"text": ["a"] * len(y)}), pd.Series(y)
    parts = X[:-held_out], X[-held_out:], labels[:-held_out], labels[-held_out:]
    return Split(*parts, classes, "")


CODES = [0] * 20 + [1] * 5 + [0, 1] * 5


@pytest.mark.parametrize(
    ("metrics", "dependent"),
    [
        (["precision", "recall", "f1", "average_precision", "jaccard"], True),
        (["accuracy", "roc_auc", "balanced_accuracy", "f1_macro", "neg_log_loss", "matthews_corrcoef"], False),
        (["precision_weighted", "neg_brier_score", "recall_micro"], False),
    ],
)
def test_the_positive_label_is_named_beside_what_depends_on_it(metrics: list[str], dependent: bool) -> None:
    notes = score_notes(split(CODES, ("bad", "good")), metrics)
    assert notes == ScoreContext(10, "good", tuple(metrics) if dependent else (), "always bad")


def test_three_classes_and_numbers_have_no_positive_label() -> None:
    three = score_notes(split([0, 1, 2, 2, 2] * 8, ("a", "b", "c")), ["f1_macro"])
    assert three == ScoreContext(10, "", (), "always c")
    assert score_notes(split([0.5] * 30, None), ["r2"]) == ScoreContext(10, "", (), "mean")


def test_a_split_by_time_says_what_its_intervals_take_for_granted() -> None:
    ordered = replace(split([0.5] * 30, None), design=HoldOutDesign(ordered=True))
    assert score_notes(ordered, ["r2"]).caution.startswith("The intervals take the hold-out rows as independent;")


def test_a_dummy_is_scikit_learns_own() -> None:
    parts = split(CODES, ("bad", "good"))
    names = ["accuracy", "roc_auc", "average_precision", "f1_macro", "neg_log_loss"]
    scorers = {name: get_scorer(name) for name in names}
    plain = DummyClassifier(strategy="prior").fit(parts.X_train, parts.y_train)
    assert dummy_scores(scorers, parts) == {
        name: pytest.approx(score(plain, parts.X_test, parts.y_test)) for name, score in scorers.items()
    }
    numbers = split(np.linspace(0, 1, 30).tolist(), None)
    mean = DummyRegressor().fit(numbers.X_train, numbers.y_train)
    wanted = get_scorer("r2")(mean, numbers.X_test, numbers.y_test)
    assert dummy_scores({"r2": get_scorer("r2")}, numbers) == {"r2": wanted}


@pytest.mark.parametrize(
    ("value", "rows", "text"),
    [
        (0.84512, 154, "0.845"),
        (0.84512, 9, "0.85"),
        (0.84512, 1540, "0.8451"),
        (0.84512, 1_000_000, "0.8451"),
        (0.84512, 0, "0.845"),
        (-52341.7, 154, "-52342"),
        (12.3456, 154, "12.35"),
        (0.0000123, 154, "0.00001230"),
        (0.0, 154, "0.000"),
        (float("nan"), 154, "nan"),
    ],
)
def test_digits_go_by_the_hold_out_rows(value: float, rows: int, text: str) -> None:
    assert format_score(value, rows) == text


def test_a_table_has_hold_out_cross_validation_and_dummy() -> None:
    metrics = {"mean_test_recall": 0.9, "std_test_recall": 0.0123, "holdout_recall": 0.943, "dummy_recall": 1.0}
    metrics |= {"holdout_accuracy": 0.75}  # of a halving search, which knows one metric only
    notes = ScoreContext(80, "good", ("recall",), "always good")
    report = Report({}, {}, {}, metrics, (), {}, "", notes=notes)
    assert score_table(report) == [
        "                hold-out (80 rows)  cross-validated  dummy (always good)",
        "recall of good                0.94      0.90 ± 0.01                 1.00",
        "accuracy                      0.75",
    ]
    assert score_table(Report({}, {}, {}, metrics, (), {}, "")) == []
    uncertain = replace(
        report, intervals={"recall": Interval(0.8812, 0.9876, "wilson")}, notes=replace(notes, caution="Rows depend.")
    )
    assert score_table(uncertain) == [
        "                hold-out (80 rows)    95% interval  cross-validated  dummy (always good)",
        "recall of good               0.943  0.881 to 0.988    0.900 ± 0.012                1.000",
        "accuracy                      0.75            none",
        "Rows depend.",
    ]
    again = Report({"search.fit_on": "all"}, {}, {}, metrics, (), {}, "", notes=notes)
    assert [*score_table(report), score_table(again)[-1]] == score_table(again)
    assert score_table(again)[-1].startswith(
        "The shipped model was fitted again on all rows; these are the scores of the"
    )


def test_the_brier_score_of_a_perfect_model_has_no_interval() -> None:
    parts = split(CODES, ("bad", "good"))
    X = pd.DataFrame({"code": CODES})
    parts = replace(parts, X_train=X[:-10], X_test=X[-10:])
    perfect = DecisionTreeClassifier().fit(X, CODES)
    assert brier_interval(perfect, parts, 0.0, seed=0) is None
    assert brier_interval(DummyClassifier().fit(X, CODES), parts, 0.35, seed=0) is not None
