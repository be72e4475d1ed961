"""Combinations of parameters that an estimator refuses are found before anything is trained, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.config.trial_fit import impossible_candidates
from orchestrator.spec.model import ModelSpec


def problems(estimator: str, grid: dict[str, Any], params: dict[str, Any] | None = None) -> list[str]:
    model = ModelSpec(estimator=estimator, params=params or {}, param_grid=grid)
    return [str(problem) for problem in impossible_candidates(model)]


FOREST = "sklearn.ensemble.RandomForestClassifier"


@pytest.mark.parametrize(
    ("estimator", "params", "grid", "message"),
    [
        (
            "sklearn.linear_model.LogisticRegression",
            {},
            {"penalty": ["l1", "l2"], "C": [0.1, 1.0], "solver": ["lbfgs", "liblinear"]},
            "model.param_grid: LogisticRegression refuses penalty=l1, solver=lbfgs: Solver lbfgs supports only",
        ),
        (
            FOREST,
            {"n_estimators": 5000},
            {"bootstrap": [True, False], "oob_score": [True, False], "criterion": ["gini", "entropy"]},
            "RandomForestClassifier refuses bootstrap=False, oob_score=True: Out of bag estimation only available",
        ),
        (
            "sklearn.svm.LinearSVC",
            {"penalty": "l1", "loss": "hinge"},
            {},
            "model.params: LinearSVC refuses penalty=l1, loss=hinge: Unsupported set of arguments",
        ),
        (
            "sklearn.linear_model.Ridge",
            {"positive": True},
            {"solver": ["lbfgs", "svd"]},
            "model.param_grid: Ridge refuses positive=True, solver=svd: solver='svd' does not support positive fitting",
        ),
        (
            "sklearn.ensemble.VotingClassifier",
            {"estimators": [["one", "sklearn.tree.DecisionTreeClassifier"]]},
            {},
            "model.params: VotingClassifier: text stands in the place of an object; describe it: {_target_:",
        ),
    ],
)
def test_a_combination_that_is_always_refused_is_named_once(
    estimator: str, params: dict[str, Any], grid: dict[str, Any], message: str
) -> None:
    (found,) = problems(estimator, grid, params)
    assert message in found
    assert "\n" not in found
    assert ("search.on_error=skip" in found) == bool(grid)


@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        (FOREST, {"n_estimators": [10, 2000], "max_depth": [2, None], "max_features": [1, 50, "sqrt"]}),
        ("sklearn.svm.SVC", {"kernel": ["precomputed", "rbf"]}),  # depends on what the table is
        ("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": [5, 5000]}),
        ("sklearn.neighbors.KNeighborsClassifier", {"metric": ["haversine"], "algorithm": ["ball_tree"]}),
        ("sklearn.linear_model.LogisticRegressionCV", {"cv": [5, 500], "use_legacy_attributes": [False]}),
        ("sklearn.ensemble.HistGradientBoostingClassifier", {"categorical_features": [["city"], None]}),
        ("sklearn.tree.DecisionTreeClassifier", {"monotonic_cst": [[1, 0], None], "class_weight": [{"yes": 3}, None]}),
        ("sklearn.naive_bayes.GaussianNB", {"priors": [[0.2, 0.3, 0.5]]}),
        ("sklearn.discriminant_analysis.LinearDiscriminantAnalysis", {"n_components": [1, 7]}),
        ("sklearn.naive_bayes.CategoricalNB", {"min_categories": [[2, 3, 4], None]}),
        ("sklearn.cross_decomposition.PLSRegression", {"n_components": [2, 60]}),
    ],
)
def test_what_another_table_may_allow_is_no_mistake(estimator: str, grid: dict[str, Any]) -> None:
    assert problems(estimator, grid) == []


def test_large_grids_are_tried_in_part_and_leave_the_random_numbers_alone() -> None:
    grid: dict[str, Any] = {name: [1, None, 0.5] for name in ("max_depth", "max_leaf_nodes", "max_samples")}
    grid |= {"criterion": ["gini", "entropy", "log_loss"], "max_features": ["sqrt", "log2", None, 1]}
    grid |= {"bootstrap": [True, False]}
    before: Any = np.random.get_state()  # noqa: NPY002 - the one that scikit-learn draws from
    assert any("bootstrap=False" in each for each in problems(FOREST, grid))
    after: Any = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(after[1], before[1])
