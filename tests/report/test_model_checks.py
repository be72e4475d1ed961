"""Planted faults are found, each by its own check, and sound models have no findings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

from orchestrator.artifacts import Candidate
from orchestrator.findings import KINDS, OF_THE_MODEL, TableFinding
from orchestrator.modeling.decision import Decision
from orchestrator.spec.model import ModelSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.uncertainty.interval import Interval
from tests.report.trainings import Training, table, train, two_classes

CODES = {code for code in KINDS if code.startswith(OF_THE_MODEL)}


def found(made: Training) -> Sequence[TableFinding]:
    return made.inspect().findings


def with_cross_validated(made: Training, score: float) -> Training:
    """Say what the folds gave, which these trainings do not compute."""
    best = dataclasses.replace(made.trained.best, mean=dict.fromkeys(made.trained.best.mean, score))
    return dataclasses.replace(made, trained=dataclasses.replace(made.trained, candidates=[best]))


def searched(scores: dict[Any, float], values: list[Any] | None = None, std: float = 0.01) -> Training:
    """Return a training whose search of ``C`` gave these scores."""
    ranked = sorted(scores, key=lambda value: -scores[value])
    candidates = [
        Candidate({"C": value}, {"roc_auc": score}, {"roc_auc": std}, 1 + ranked.index(value), 0.1)
        for value, score in scores.items()
    ]
    X = table(400)
    y = pd.Series(np.where(X["a"] + 0.7 * np.random.default_rng(1).normal(size=400) > 0, "yes", "no"))
    made = train(X, y, candidates=candidates)
    made.model = ModelSpec(estimator="x.Y", param_grid={"C": tuple(values or scores)})
    return made


@pytest.mark.parametrize("seed", range(5))
def test_sound_models_have_no_findings(seed: int) -> None:
    assert found(two_classes(400, seed)) == ()
    X = table(400, seed)
    noise = np.random.default_rng(seed).normal(size=400)
    assert found(train(X, X["a"] + 0.5 * noise)) == ()


def test_a_tree_that_learned_noise_by_heart_is_overfitting() -> None:
    X = table(2400)
    noise = np.random.default_rng(1).normal(size=2400)
    y = pd.Series(np.where(X["a"] + 2 * noise > 0, "yes", "no"))
    (finding,) = found(with_cross_validated(train(X, y, estimator=DecisionTreeClassifier(random_state=0)), 0.62))
    assert finding.code == "model-overfitting"
    assert "1.000 on its training rows and 0.620 cross-validated" in finding.text
    assert "76% is lost" in finding.text
    steady = with_cross_validated(train(X, y, estimator=DecisionTreeClassifier(max_depth=2, random_state=0)), 0.66)
    assert found(steady) == ()


def test_a_forest_whose_training_score_is_perfect_is_not_alarming_by_that_alone() -> None:
    X = table(600)
    made = train(
        X, X["a"] + 0.3 * np.random.default_rng(1).normal(size=600), estimator=RandomForestRegressor(20, random_state=0)
    )
    assert found(made) == ()


def test_labels_by_a_threshold_are_not_compared_with_those_of_the_folds() -> None:
    X = table(400)
    y = pd.Series(np.where(X["a"] + 0.9 * np.random.default_rng(1).normal(size=400) > 0.8, "yes", "no"))
    made = train(X, y, candidates=[Candidate({"C": 1.0}, {"recall": 0.45}, {"recall": 0.02}, 1, 0.1)])
    made.search = SearchSpec.model_validate(
        {"_target_": "sklearn.model_selection.GridSearchCV", "cv": 4, "scoring": ["recall"], "refit": "recall"}
    )
    decision = Decision(0.001, "fixed", "yes")  # by which every row is "yes"
    made.evaluation = dataclasses.replace(
        made.evaluation, metrics={"recall": 1.0}, dummy={"recall": 0.0}, intervals={}, decision=decision
    )
    assert made.inspect().training_scores["recall"] == 1
    assert "model-overfitting" not in {each.code for each in found(made)}


def test_a_model_of_noise_is_no_better_than_the_dummy() -> None:
    X, rng = table(400), np.random.default_rng(5)
    (finding,) = found(with_cross_validated(train(X, pd.Series(rng.normal(size=400))), 0.0))
    assert finding.code == "model-no-better"
    assert "no better than" in finding.text


def test_an_interval_that_holds_the_dummys_score_shows_no_gain() -> None:
    made = two_classes(400)
    made.evaluation = dataclasses.replace(made.evaluation, intervals={"roc_auc": Interval(0.45, 0.99, "")})
    assert not found(made)  # the folds show one
    (finding, *_) = found(with_cross_validated(made, 0.51))
    assert finding.code == "model-no-better"
    assert "does not show that it is better than" in finding.text


def test_a_score_that_is_no_number_is_not_compared_with_the_dummys() -> None:
    made = two_classes(400)
    made.evaluation = dataclasses.replace(made.evaluation, metrics={"roc_auc": float("nan")}, intervals={})
    assert not found(made)


@pytest.mark.parametrize(
    ("rows", "test_size", "said", "remedy"),
    [
        (60, 0.25, "of the 15 hold-out rows are of class", ""),
        (180, 0.1, "of the 18 hold-out rows are of class", "data.test_size=0.23"),
    ],
)
def test_few_holdout_rows_are_found(rows: int, test_size: float, said: str, remedy: str) -> None:
    X = table(rows)
    y = pd.Series(np.where(np.arange(rows) % 2, "yes", "no"))
    X["a"] = X["a"] + 4.0 * (y == "yes")
    made = train(X, y, held_out=test_size)
    made.data = made.data.model_copy(update={"test_size": test_size})
    (finding,) = found(made)
    assert finding.code == "model-few-rows"
    assert said in finding.text
    assert finding.remedy.startswith(remedy)


def test_a_rise_that_changes_nothing_is_no_finding() -> None:
    assert not found(searched({1: 0.99, 10: 0.991, 100: 0.993}, std=0.0001))


@pytest.mark.parametrize(
    ("scores", "remedy"),
    [
        ({1: 0.7, 10: 0.8, 100: 0.9}, "'model.param_grid.C=[1,10,100,1000]'"),
        ({0.1: 0.9, 1.0: 0.8, 10.0: 0.7}, "'model.param_grid.C=[0.01,0.1,1.0,10.0]'"),
        ({2: 0.7, 3: 0.8, 4: 0.9}, "'model.param_grid.C=[2,3,4,5]'"),
        ({1: 0.7, 10: 0.9, 100: 0.8}, None),  # inside
        ({1: 0.7, 10: 0.899, 100: 0.9}, None),  # by less than the standard error
        ({1: 0.9, 2: 0.8, 3: 0.7}, None),  # nothing below 1
        ({0.5: 0.7, 0.75: 0.8, 1.0: 0.9}, None),  # a share
        ({10: 0.8, 100: 0.9}, None),  # of two, one always wins
        ({"l1": 0.8, "l2": 0.9, "none": 0.7}, None),
    ],
)
def test_a_winner_at_the_edge_of_its_grid_is_found(scores: dict[Any, float], remedy: str | None) -> None:
    findings = found(searched(scores))
    assert [finding.code for finding in findings] == ([] if remedy is None else ["model-grid-edge"])
    assert [finding.remedy for finding in findings] == ([] if remedy is None else [remedy])


def test_every_code_is_planted_here() -> None:
    assert {"model-overfitting", "model-no-better", "model-few-rows", "model-grid-edge"} == CODES
