"""The decision threshold by each rule, against all thresholds; ``stages/test_threshold.py`` runs the stages with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from orchestrator.errors import DataError
from orchestrator.modeling.threshold import choose
from orchestrator.spec.evaluate import EvaluateSpec
from score.predict.decision import decide

GRID = np.linspace(0.0005, 0.9995, 1000)  # between all probabilities of three decimals


def spec(threshold: float | str, **keys: Any) -> EvaluateSpec:
    return EvaluateSpec(threshold=threshold, **keys)


@pytest.fixture(params=["continuous", "ties"])
def rows(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    """Labels, probabilities (of a hundred trees, or with ties) and weights, some of which are 0."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 300)
    scores = np.clip(0.25 * y + rng.beta(2, 4, 300), 0, 1)
    scores = np.round(scores * 20) / 20 if request.param == "ties" else np.round(scores, 3)
    return y, scores, rng.integers(0, 4, 300).astype(float)


def test_max_f1_and_cost_are_the_best_of_all_thresholds(rows: tuple[Any, Any, Any]) -> None:
    y, scores, weights = rows
    best = choose(y, scores, spec("max_f1"), weights=weights)
    hits = np.array([weights[(scores >= at) & (y == 1)].sum() for at in GRID])
    values = 2 * hits / (weights[y == 1].sum() + np.array([weights[scores >= at].sum() for at in GRID]))
    assert best.chosen is not None
    assert best.chosen.f1 == pytest.approx(max(values))
    assert f1_score(y, scores >= best.threshold, sample_weight=weights) == pytest.approx(max(values))
    cheap = choose(y, scores, spec("cost", cost={"false_positive": 2, "false_negative": 3}), weights=weights)
    wrong = [2 * weights[(scores >= at) & (y == 0)].sum() + 3 * weights[(scores < at) & (y == 1)].sum() for at in GRID]
    assert cheap.chosen is not None
    assert cheap.chosen.cost == pytest.approx(min(wrong) / weights.sum())


def test_recall_at_is_the_highest_threshold_with_the_recall(rows: tuple[Any, Any, Any]) -> None:
    y, scores, weights = rows
    found = choose(y, scores, spec("recall_at", recall=0.8), weights=weights)
    labels = decide(np.column_stack([1 - scores, scores]), found.threshold)
    assert found.chosen is not None
    assert recall_score(y, labels, sample_weight=weights) == pytest.approx(found.chosen.recall)
    assert precision_score(y, labels, sample_weight=weights) == pytest.approx(found.chosen.precision)
    assert found.chosen.recall >= 0.8
    higher = np.unique(scores[(scores > found.threshold) & (weights > 0)])[0] + 1e-6  # the next row would be missed
    assert recall_score(y, scores >= higher, sample_weight=weights) < 0.8


def test_edges_of_the_rules() -> None:
    everything = choose([0, 1, 1], [0.5, 0.0, 0.9], spec("recall_at", recall=1.0))
    assert everything.threshold == 0
    tied = choose([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.8], spec("cost", cost={"false_positive": 2, "false_negative": 2}))
    assert tied.threshold == pytest.approx(0.7)  # of 0.25 and 0.7, which cost the same, the one that is nearer to 0.5
    with pytest.raises(DataError, match="all of one class"):
        choose([1, 1], [0.1, 0.2], spec("max_f1"))
    with pytest.raises(DataError, match="all of one class"):
        choose([1, 0], [0.1, 0.2], spec("max_f1"), weights=[1, 0])


def test_the_line_says_what_a_rule_was_given() -> None:
    y, scores = [0, 1, 0, 1], [0.2, 0.4, 0.6, 0.8]
    assert "(cost with false_positive=1, false_negative=5 on 4 " in choose(y, scores, spec("cost")).line
    assert "(recall_at with recall=0.9 on 4 " in choose(y, scores, spec("recall_at")).line
    assert "(max_f1 on 4 " in choose(y, scores, spec("max_f1")).line


def test_a_probability_that_only_rounding_keeps_below_reaches_the_threshold() -> None:
    below = np.nextafter(0.3, 0)
    assert decide(np.array([[0.7, 0.3], [1 - below, below], [0.71, 0.29]]), 0.3).tolist() == [1, 1, 0]
