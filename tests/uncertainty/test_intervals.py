"""Which method each metric gets, and that all of it is fast, repeatable and honest about what it cannot give."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer, make_scorer

from orchestrator.uncertainty.design import HoldOutDesign
from orchestrator.uncertainty.interval import Interval
from orchestrator.uncertainty.intervals import HeldOutRows

RANDOM = np.random.default_rng(0)
N = 154
X = pd.DataFrame(RANDOM.normal(size=(N, 3)), columns=["a", "b", "c"])
Y = pd.Series((X["a"] + RANDOM.normal(size=N) > 0.4).astype(int))
THREE = pd.Series(pd.cut(X["a"] + RANDOM.normal(size=N), [-9, -0.5, 0.5, 9], labels=False))
NUMBERS = pd.Series(3 * X["a"] + RANDOM.normal(size=N) + 20)
MODELS = {
    "two": (LogisticRegression(), Y),
    "three": (LogisticRegression(), THREE),
    "numbers": (LinearRegression(), NUMBERS),
}


def interval(kind: str, scorer: Any, *, known: bool = True, weights: Any = None, seed: int = 0, **design: Any) -> Any:
    model, y = MODELS[kind]
    model.fit(X, y)
    weighted = {} if weights is None else {"sample_weight": weights}
    score = get_scorer(scorer) if isinstance(scorer, str) else scorer
    how = HoldOutDesign(**(design or {"stratified": kind != "numbers"}))
    rows = HeldOutRows(model, X, y, how, seed, classified=kind != "numbers", weights=weights)
    value = float(score(model, X, y, **weighted))
    found = rows.interval(str(scorer), score, value, known=known)
    assert found is None or found.low < value < found.high
    return found


@pytest.mark.parametrize(
    ("kind", "name", "method"),
    [
        ("two", "roc_auc", "delong-logit"),
        ("two", "accuracy", "wilson"),
        ("two", "f1", "wilson"),
        ("three", "balanced_accuracy", "wilson-mover"),
        ("two", "average_precision", "bootstrap-bca"),
        ("two", "neg_log_loss", "bootstrap-t"),
        ("three", "f1_macro", "bootstrap-bca"),
        ("three", "roc_auc_ovr", "bootstrap-bca"),
        ("numbers", "r2", "bootstrap-t"),
        ("numbers", "neg_root_mean_squared_error", "bootstrap-t"),
        ("numbers", "neg_median_absolute_error", "bootstrap-bca"),  # by calls
    ],
)
def test_each_metric_has_its_method(kind: str, name: str, method: str) -> None:
    assert interval(kind, name).method == method


def test_weights_are_resampled_and_groups_are_left_out_or_resampled_as_a_whole() -> None:
    weights = RANDOM.integers(1, 4, N).astype(float)
    assert interval("two", "accuracy", weights=weights).method == "bootstrap-bca"
    assert interval("numbers", "neg_mean_absolute_error", weights=weights).method == "bootstrap-t"
    groups = np.arange(N) // 7
    assert interval("two", "roc_auc", groups=groups).method == "cluster-jackknife"
    assert interval("two", "average_precision", groups=groups).method == "cluster-bootstrap-bca"
    assert interval("numbers", "r2", groups=groups).method == "cluster-bootstrap-t"
    assert interval("two", "accuracy", groups=np.zeros(N, dtype=int)) is None  # one group


def test_a_scorer_of_the_users_is_called_for_each_resample() -> None:
    def share(estimator: Any, rows: Any, y: Any) -> float:
        return float((estimator.predict(rows) == y).mean())

    by_calls, wilson = interval("two", share, known=False), interval("two", "accuracy")
    assert by_calls.method == "bootstrap-bca"
    assert (by_calls.low, by_calls.high) == pytest.approx((wilson.low, wilson.high), abs=0.03)
    scorer = make_scorer(lambda y, predicted: float((y == predicted).mean()))
    found = interval("two", scorer, known=False)
    assert interval("two", scorer, known=False) == found
    assert interval("two", scorer, known=False, seed=1) != found


def test_what_no_resampling_can_know_has_no_interval() -> None:
    def changes_rows(estimator: Any, rows: Any, y: Any) -> float:
        return float((estimator.predict(rows * 2) == y).mean())

    def fails_on_resamples(_estimator: Any, rows: Any, _y: Any) -> float:
        return 1 / int(rows.index.is_unique)

    largest = make_scorer(lambda y, predicted: -float(np.abs(y - predicted).max()))
    assert interval("two", changes_rows, known=False) is None
    assert interval("two", fails_on_resamples, known=False) is None
    part = HeldOutRows(LinearRegression().fit(X, NUMBERS), X, NUMBERS, HoldOutDesign(), 0, classified=False)
    assert part.interval("neg_max_error", largest, -2.0, known=True) is None
    assert part.interval("r2", get_scorer("r2"), float("nan"), known=True) is None


def test_a_perfect_model_has_no_bootstrap_interval_but_an_exact_one() -> None:
    y = pd.Series((X["a"] > 0).astype(int))
    part = HeldOutRows(
        LogisticRegression(C=1e6, max_iter=1000).fit(X, y), X, y, HoldOutDesign(True), 0, classified=True
    )
    assert part.interval("f1_macro", get_scorer("f1_macro"), 1.0, known=True) is None
    accuracy, area = (part.interval(name, get_scorer(name), 1.0, known=True) for name in ("accuracy", "roc_auc"))
    assert accuracy is not None
    assert area is not None
    assert (accuracy.high, area.high, area.method) == (1, 1, "newcombe")


def test_on_many_rows_the_spread_is_that_of_a_part_and_scaled() -> None:
    rows = 40_000
    big = pd.DataFrame(RANDOM.normal(size=(rows, 3)), columns=["a", "b", "c"])
    y = pd.Series(3 * big["a"] + RANDOM.normal(size=rows))
    model = LinearRegression().fit(big[:1000], y[:1000])
    value = float(get_scorer("neg_mean_absolute_error")(model, big, y))
    started = time.process_time()
    found = HeldOutRows(model, big, y, HoldOutDesign(), 0, classified=False).interval(
        "neg_mean_absolute_error", get_scorer("neg_mean_absolute_error"), value, known=True
    )
    assert time.process_time() - started < 5
    assert found is not None
    spread = np.abs(y - model.predict(big)).std() / np.sqrt(rows)
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.1)
    assert (found.low + found.high) / 2 == pytest.approx(value, abs=spread / 3)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.7724, 0.8981, "0.772 to 0.898"),
        (0.4, 0.8, "0.400 to 0.800"),
        (0.81234, 0.82345, "0.8123 to 0.8235"),
        (-5.2e4, -3.1e4, "-52000 to -31000"),
    ],
)
def test_bounds_are_rounded_to_what_their_distance_supports(low: float, high: float, text: str) -> None:
    assert Interval(low, high, "wilson").text() == text
