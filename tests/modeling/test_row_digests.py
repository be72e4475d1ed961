"""Rows are the same whatever their order; folds only in the same order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold

from orchestrator.modeling.row_digests import folds_digest, places_digest, rows_digest, score_folds

X = pd.DataFrame({"a": np.arange(20.0), "city": pd.Categorical(["Oslo", "Rome"] * 10), "flag": [True, False] * 10})
Y = pd.Series([0, 1] * 10, name="y")
FOLDS = tuple(StratifiedKFold(4).split(X, Y))


def test_rows_are_known_in_any_order() -> None:
    assert rows_digest(X.iloc[::-1], Y.iloc[::-1]) == rows_digest(X, Y)
    assert rows_digest(X.iloc[:19], Y.iloc[:19]) != rows_digest(X, Y)
    assert rows_digest(X, pd.Series([1, 0] * 10, name="y")) != rows_digest(X, Y)
    assert rows_digest(X.assign(a=X["a"] + 1), Y) != rows_digest(X, Y)


def test_rows_of_one_table_are_known_by_their_places_whatever_their_columns() -> None:
    assert places_digest("table", Y[::-1]) == places_digest("table", 1 - Y)
    assert places_digest("table", Y[1:]) != places_digest("table", Y[:-1])
    assert places_digest("other", Y) != places_digest("table", Y)


def test_a_row_that_is_there_twice_counts_twice() -> None:
    twice = [*range(20), 0]
    assert rows_digest(X.iloc[twice], Y.iloc[twice]) != rows_digest(X, Y)


def test_cells_that_cannot_be_hashed_count_as_their_text() -> None:
    lists = X.assign(a=pd.Series([[place] for place in range(20)], dtype=object))
    assert rows_digest(lists, Y) == rows_digest(lists.copy(), Y) != rows_digest(X, Y)


def test_folds_are_the_same_only_with_the_same_rows_and_positions() -> None:
    assert folds_digest(X, Y, FOLDS) == folds_digest(X.copy(), Y, FOLDS)
    assert folds_digest(X, Y, FOLDS[::-1]) != folds_digest(X, Y, FOLDS)
    assert folds_digest(X.iloc[::-1], Y.iloc[::-1], FOLDS) != folds_digest(X, Y, FOLDS)


def test_the_best_candidates_scores_are_kept_by_fold() -> None:
    numbers = X[["a"]]
    search = GridSearchCV(LogisticRegression(), {"C": [1.0, 10.0]}, cv=4, scoring="roc_auc").fit(numbers, Y)
    found = score_folds(search, numbers, Y, {"roc_auc": "score"})
    assert found is not None
    assert np.mean(found.scores["roc_auc"]) == pytest.approx(search.best_score_)
    assert found.test_share == pytest.approx(1 / 3)
    assert found.digest == folds_digest(numbers, Y, FOLDS)


def test_folds_that_need_more_than_the_rows_are_not_kept() -> None:
    search = GridSearchCV(LogisticRegression(), {}, cv=GroupKFold(2), scoring="accuracy")
    search.fit(X[["a"]], Y, groups=np.arange(20) % 3)
    assert score_folds(search, X[["a"]], Y, {"accuracy": "score"}) is None
