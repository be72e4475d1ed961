"""The search estimator: scikit-learn's results, and how far it is."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn import model_selection
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.tree import DecisionTreeClassifier

from orchestrator.search import UPDATES, SharedGridSearchCV, SharedHalvingGridSearchCV

X, y = make_classification(60, random_state=0)


def search(kind: type = SharedGridSearchCV, **options: Any) -> Any:
    grid = options.pop("grid", {"max_depth": [1, 2, 3], "min_samples_leaf": [1, 5]})
    return kind(DecisionTreeClassifier(random_state=0), grid, **{"cv": 3, **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scoring": "roc_auc"},
        {"scoring": ["roc_auc", "f1"], "refit": "f1"},
        {"scoring": ["roc_auc", "f1"], "refit": False},
        {"return_train_score": True},
        {"grid": [{"max_depth": [1]}, {"min_samples_leaf": [2, 3]}]},
        {"n_jobs": 2},
    ],
    ids=str,
)
def test_results_equal_those_of_scikit_learn(options: dict[str, Any]) -> None:
    shared = search(**options).fit(X, y)
    expected = search(model_selection.GridSearchCV, **options).fit(X, y)
    assert shared.cv_results_.keys() == expected.cv_results_.keys()
    for name, values in expected.cv_results_.items():
        if not name.endswith("_time"):
            np.testing.assert_array_equal(shared.cv_results_[name], values)
    assert getattr(shared, "best_params_", None) == getattr(expected, "best_params_", None)


def test_progress_is_reported_and_is_no_part_of_the_estimator() -> None:
    reports: list[tuple[int, int, str]] = []
    estimator = search(scoring="roc_auc")
    estimator.on_progress = lambda *event: reports.append(event)
    assert clone(estimator).on_progress is None
    assert pickle.loads(pickle.dumps(estimator)).on_progress is None
    estimator.fit(X, y)
    assert [event[:2] for event in reports] == [(done, 18) for done in range(19)]
    assert reports[0][2] == ""
    assert reports[-1][2] == f"best score {estimator.best_score_:.4f}"


def test_progress_works_with_processes() -> None:
    reports: list[tuple[int, int, str]] = []
    estimator = search(n_jobs=2, scoring=["roc_auc"], refit="roc_auc")
    estimator.on_progress = lambda *event: reports.append(event)
    estimator.fit(X, y)
    assert [event[:2] for event in reports] == [(done, 18) for done in range(19)]
    assert reports[-1][2] == f"best roc_auc {estimator.best_score_:.4f}"


def test_a_large_grid_is_reported_in_few_steps() -> None:
    reports: list[Any] = []
    estimator = search(grid={"max_depth": list(range(1, 121))}, cv=2)
    estimator.on_progress = lambda *event: reports.append(event)
    estimator.fit(X, y)
    assert len(reports) <= UPDATES + 1
    assert reports[-1][:2] == (240, 240)


def test_each_round_of_a_halving_search_adds_its_fits() -> None:
    reports: list[tuple[int, int, str]] = []
    estimator = search(SharedHalvingGridSearchCV, factor=2, random_state=0, min_resources=15)
    estimator.on_progress = lambda *event: reports.append(event)
    estimator.fit(X, y)
    assert estimator.n_candidates_ == [6, 3, 2]
    done = [event[0] for event in reports]
    assert done == sorted(done)
    assert {event[1] for event in reports} == {18, 27, 33}
    assert reports[-1][:2] == (33, 33)
    best = estimator.cv_results_["mean_test_score"][-2:].max()
    assert reports[-1][2] == f"best score {best:.4f}"
