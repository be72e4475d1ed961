"""Each rule against scikit-learn, bit for bit, and where it must not apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import ensemble, neighbors
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from orchestrator.search import fit_counts
from tests.nightly import at_night

Same = Callable[..., Any]

BINARY = make_classification(90, 6, random_state=0)
CLASSES = make_classification(120, 8, n_informative=5, n_classes=3, random_state=1)
NUMBERS = make_regression(90, 5, noise=4.0, random_state=2)
ROUND = (np.round(BINARY[0]), BINARY[1])  # many equal distances

SIZES = {"n_estimators": [3, 17, 1, 9]}
SCORES = {"scoring": ["accuracy", "neg_log_loss", "f1_macro"], "refit": "neg_log_loss"}


def forests() -> list[Any]:
    kinds = [ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier]
    options: list[dict[str, Any]] = [
        {},
        {"bootstrap": False},
        {"bootstrap": True, "max_samples": 0.5},
        {"class_weight": "balanced"},
        {"class_weight": "balanced_subsample"},
        {"max_features": None, "max_depth": 3},
        {"n_jobs": 1},
    ]
    every_day = [options[0], options[2], options[4]]
    made = [(kind(random_state=3, **some), kind, some) for kind in kinds for some in options]
    return [each if some in every_day[: 3 if kind is kinds[0] else 1] else at_night(each) for each, kind, some in made]


@pytest.mark.parametrize("estimator", forests(), ids=str)
@pytest.mark.parametrize(
    "data", [pytest.param(BINARY, id="binary", marks=pytest.mark.nightly), pytest.param(CLASSES, id="classes")]
)
def test_classification_forests(compare: Same, estimator: Any, data: Any) -> None:
    found = compare(estimator, {**SIZES, "min_samples_leaf": [1, 5]}, *data, **SCORES, return_train_score=True)
    assert fit_counts(found) == (24, 6)


@pytest.mark.parametrize(
    "estimator",
    [
        ensemble.RandomForestRegressor(random_state=0),
        at_night(ensemble.RandomForestRegressor(random_state=0, criterion="absolute_error", max_samples=20)),
        ensemble.ExtraTreesRegressor(random_state=0, bootstrap=True),
        at_night(ensemble.GradientBoostingRegressor(random_state=0)),
        ensemble.GradientBoostingRegressor(random_state=0, subsample=0.5, loss="huber", max_features=2),
        at_night(ensemble.GradientBoostingRegressor(random_state=0, init="zero", loss="quantile")),
        at_night(ensemble.AdaBoostRegressor(random_state=0)),
        ensemble.AdaBoostRegressor(random_state=0, loss="exponential", learning_rate=0.5),
        at_night(ensemble.BaggingRegressor(random_state=0)),
        ensemble.BaggingRegressor(random_state=0, max_features=0.5, bootstrap_features=True),
    ],
    ids=str,
)
def test_regression_ensembles(compare: Same, estimator: Any) -> None:
    found = compare(
        estimator, SIZES, *NUMBERS, scoring=["r2", "neg_mean_absolute_error"], refit="r2", return_train_score=True
    )
    assert fit_counts(found) == (12, 3)


@pytest.mark.parametrize(
    "estimator",
    [
        at_night(ensemble.GradientBoostingClassifier(random_state=0)),
        ensemble.GradientBoostingClassifier(random_state=0, subsample=0.7, max_features=0.5),
        at_night(ensemble.GradientBoostingClassifier(random_state=0, init="zero")),
        at_night(ensemble.AdaBoostClassifier(random_state=0)),
        ensemble.AdaBoostClassifier(DecisionTreeClassifier(max_depth=4), random_state=0),
        ensemble.AdaBoostClassifier(DecisionTreeClassifier(), random_state=0),  # ends after one round
        at_night(ensemble.BaggingClassifier(random_state=0)),
        ensemble.BaggingClassifier(LogisticRegression(), random_state=0, max_samples=0.6, max_features=0.7),
        at_night(ensemble.BaggingClassifier(SVC(), random_state=0, bootstrap=False, max_samples=0.6)),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "data", [pytest.param(BINARY, id="binary", marks=pytest.mark.nightly), pytest.param(CLASSES, id="classes")]
)
def test_classification_ensembles(compare: Same, estimator: Any, data: Any) -> None:
    found = compare(estimator, SIZES, *data, **SCORES, return_train_score=True)
    assert fit_counts(found) == (12, 3)


@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (ensemble.HistGradientBoostingClassifier(random_state=0), BINARY),
        (ensemble.HistGradientBoostingClassifier(random_state=0, max_features=0.5, max_leaf_nodes=4), CLASSES),
        (ensemble.HistGradientBoostingRegressor(random_state=0, early_stopping=False), NUMBERS),
        (ensemble.HistGradientBoostingRegressor(random_state=0, loss="absolute_error", min_samples_leaf=60), NUMBERS),
    ],
    ids=["binary", "classes", "numbers", "nothing to split"],
)
def test_histogram_gradient_boosting(compare: Same, estimator: Any, data: Any) -> None:
    found = compare(estimator, {"max_iter": [2, 12, 5]}, *data, return_train_score=True)
    assert fit_counts(found) == (9, 3)


@pytest.mark.parametrize("kind", [ensemble.RandomForestClassifier, ensemble.GradientBoostingClassifier])
def test_sparse_rows(compare: Same, kind: Any) -> None:
    X = sparse.csr_matrix(np.where(np.abs(BINARY[0]) > 1, BINARY[0], 0))
    assert fit_counts(compare(kind(random_state=0), SIZES, X, BINARY[1])) == (12, 3)


def test_several_outputs(compare: Same) -> None:
    y = np.column_stack([BINARY[1], BINARY[0][:, 0] > 0])
    assert fit_counts(compare(ensemble.RandomForestClassifier(random_state=0), SIZES, BINARY[0], y)) == (12, 3)


def test_sample_weights(compare: Same) -> None:
    weights = np.random.default_rng(0).uniform(size=90)
    for kind in (ensemble.RandomForestClassifier, ensemble.GradientBoostingClassifier, ensemble.AdaBoostClassifier):
        found = compare(kind(random_state=0), SIZES, *BINARY, fit={"sample_weight": weights}, scoring="accuracy")
        assert fit_counts(found) == (12, 3)


@pytest.mark.parametrize(
    "estimator",
    [
        ensemble.RandomForestClassifier(),
        pytest.param(ensemble.RandomForestClassifier(random_state=np.random.RandomState(0)), id="state"),
        ensemble.RandomForestClassifier(random_state=0, oob_score=True),
        ensemble.RandomForestClassifier(random_state=0, warm_start=True),
        ensemble.GradientBoostingClassifier(random_state=0, n_iter_no_change=2),
        ensemble.GradientBoostingClassifier(random_state=0, init=LogisticRegression()),
        ensemble.GradientBoostingClassifier(random_state=0, warm_start=True),
        ensemble.BaggingClassifier(random_state=0, oob_score=True),
        ensemble.AdaBoostClassifier(LogisticRegression(), random_state=0),
    ],
    ids=str,
)
def test_nothing_is_shared_where_equality_is_not_guaranteed(compare: Same, estimator: Any) -> None:
    found = compare(estimator, SIZES, *BINARY)
    assert fit_counts(found) == (12, 12)


def test_threaded_forests_are_not_shared(compare: Same) -> None:
    estimator = ensemble.RandomForestClassifier(random_state=0, n_jobs=2)
    assert fit_counts(compare(estimator, {"n_estimators": [1, 2]}, *BINARY)) == (6, 6)


def test_early_stopping_of_histogram_boosting_is_not_shared(compare: Same) -> None:
    X, y = make_classification(21_000, 4, random_state=0)
    estimator = ensemble.HistGradientBoostingClassifier(random_state=0, max_leaf_nodes=4)
    assert fit_counts(compare(estimator, {"max_iter": [2, 4]}, X, y, cv=2)) == (4, 4)
    assert fit_counts(compare(estimator.set_params(early_stopping=False), {"max_iter": [2, 4]}, X, y, cv=2)) == (4, 2)


def test_invalid_values_are_refused_by_the_estimator(compare: Same) -> None:
    estimator = ensemble.RandomForestClassifier(random_state=0)
    found = compare(estimator, {"n_estimators": [3, 0, 5, "many"]}, *BINARY)
    assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(BINARY, id="binary", marks=pytest.mark.nightly),
        pytest.param(CLASSES, id="classes", marks=pytest.mark.nightly),
        pytest.param(ROUND, id="ties"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"algorithm": "kd_tree", "p": 1}, {"metric": "chebyshev"}], ids=str)
def test_classification_neighbours(compare: Same, data: Any, options: dict[str, Any]) -> None:
    grid = {"n_neighbors": [1, 2, 5, 9, 15], "weights": ["uniform", "distance"]}
    found = compare(neighbors.KNeighborsClassifier(**options), grid, *data, **SCORES, return_train_score=True)
    assert fit_counts(found) == (30, 3)


def test_regression_neighbours(compare: Same) -> None:
    grid = {"n_neighbors": [1, 2, 5, 9, 15], "weights": ["uniform", "distance"]}
    few_ties = NUMBERS[0].copy()
    few_ties[::6] = few_ties[1::6]
    for X in (NUMBERS[0], np.round(NUMBERS[0]), few_ties):
        assert fit_counts(compare(neighbors.KNeighborsRegressor(), grid, X, NUMBERS[1], return_train_score=True)) == (
            30,
            3,
        )


@pytest.mark.parametrize("options", [{"algorithm": "brute"}, {"algorithm": "ball_tree"}, {"metric": "cosine"}], ids=str)
def test_other_neighbour_algorithms_are_not_shared(compare: Same, options: dict[str, Any]) -> None:
    assert fit_counts(compare(neighbors.KNeighborsClassifier(**options), {"n_neighbors": [1, 5]}, *BINARY)) == (6, 6)


def test_more_neighbours_than_a_tree_is_used_for_are_not_shared(compare: Same) -> None:
    assert fit_counts(compare(neighbors.KNeighborsClassifier(), {"n_neighbors": [5, 9, 40]}, *BINARY)).performed >= 6
