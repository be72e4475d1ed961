"""Permutation importance is scikit-learn's, quicker, and bounded for wide tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance
from sklearn.metrics import get_scorer

from orchestrator.report import importance
from orchestrator.report.importance import importance_of, loss_of_shuffles
from tests.report.trainings import train, two_classes


@pytest.mark.parametrize("at_once", [1, 10**9])
def test_losses_are_scikit_learns_to_the_last_bit(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(importance, "AT_ONCE", at_once)
    made = two_classes()
    X, y = made.split.X_test.reset_index(drop=True), made.split.y_test.reset_index(drop=True)
    scorer, pipeline = get_scorer("roc_auc"), made.trained.pipeline
    expected = permutation_importance(pipeline, X, y, scoring=scorer, n_repeats=3, random_state=7)
    found = loss_of_shuffles(pipeline, X, y, [*X.columns], scorer, 3, 7, {})
    assert np.array_equal(np.stack([*found.values()]), expected.importances)


def test_the_column_that_decides_comes_first_and_noise_may_be_0() -> None:
    made = two_classes(600)
    found = importance_of(made.trained.pipeline, made.split, "roc_auc", get_scorer("roc_auc"), 0)
    assert found.effects[0].column == "a"
    low = {effect.column: effect.low for effect in found.effects}
    assert low["a"] > 0.1
    assert low["b"] < 0
    assert (found.rows, found.repeats, found.width) == (150, 10, 3)


def test_of_a_wide_table_the_columns_that_go_along_with_the_predictions_are_shuffled() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(240, 60)), columns=[f"n{at}" for at in range(60)])
    X["city"] = rng.choice(["Rome", "Oslo"], 240)
    made = train(X, (X["n50"] + 3.0 * (X["city"] == "Rome") + 0.1 * rng.normal(size=240)))
    found = importance_of(made.trained.pipeline, made.split, "r2", get_scorer("r2"), 0)
    assert (len(found.effects), found.width, found.repeats) == (40, 61, 4)
    assert {effect.column for effect in found.effects[:2]} == {"n50", "city"}


def test_a_scorer_that_fails_is_said() -> None:
    made = two_classes()

    def failing(*_: object) -> float:
        raise ValueError("no such\nthing")

    found = importance_of(made.trained.pipeline, made.split, "mine", failing, 0)
    assert (found.effects, found.note) == ((), "not computed: no such thing")


def test_a_score_that_is_no_number_is_said() -> None:
    made = two_classes()
    found = importance_of(made.trained.pipeline, made.split, "auc", lambda *_: float("nan"), 0)
    assert (found.effects, found.note) == ((), "not computed: auc of these rows is no number")
