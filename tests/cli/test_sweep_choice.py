"""Which job of a sweep is the best."""

from __future__ import annotations

import math
from typing import Any

import pytest

from orchestrator.cli.sweep_choice import choose
from orchestrator.cli.sweep_jobs import SweepJob


def job(number: str, mean: float, estimator: str = "RandomForestClassifier", **others: Any) -> SweepJob:
    values: dict[str, Any] = {"std": 0.02, "folds": 5, "fit_seconds": 1.0, "metric": "roc_auc"} | others
    return SweepJob(number, [], mean=mean, estimator=f"sklearn.some.{estimator}", **values)


def one(*jobs: SweepJob, rule: str = "one_standard_error") -> str | None:
    chosen = choose(jobs, rule)
    return None if chosen is None else chosen.number


FOREST, LINEAR = "RandomForestClassifier", "LogisticRegression"


@pytest.mark.parametrize(
    ("jobs", "simplest", "best"),
    [
        pytest.param([job("a", 0.80), job("b", 0.795, LINEAR)], "b", "a", id="a simpler family within one error"),
        pytest.param([job("a", 0.80), job("b", 0.789, LINEAR)], "a", "a", id="0.011 below, and the error is 0.01"),
        pytest.param(
            [job("a", 0.80, std=0.04), job("b", 0.789, LINEAR)], "b", "a", id="the error is that of the best job"
        ),
        pytest.param(
            [job("a", 0.80, params={"max_depth": None}), job("b", 0.795, params={"max_depth": 4})],
            "b",
            "a",
            id="no limit is the most complex",
        ),
        pytest.param(
            [
                job("a", 0.80, "LGBMClassifier", params={"max_depth": -1}),
                job("b", 0.795, "LGBMClassifier", params={"max_depth": 4}),
            ],
            "b",
            "a",
            id="LightGBM has no limit below 1",
        ),
        pytest.param(
            [job("a", 0.80, LINEAR, params={"C": 10}), job("b", 0.80, LINEAR, params={"C": 0.1})],
            "b",
            "a",
            id="more regularised",
        ),
        pytest.param(
            [job("a", 0.80, "Mine", fit_seconds=2.0), job("b", 0.795, LINEAR, fit_seconds=3.0)],
            "a",
            "a",
            id="a family that is not known: the faster",
        ),
        pytest.param(
            [
                job("a", 0.80, "ExtraTreesClassifier", fit_seconds=3.0),
                job("b", 0.795, FOREST, fit_seconds=2.0, params={"max_depth": 4}),
                job("c", 0.795, FOREST, fit_seconds=1.0, params={"max_depth": 9}),
            ],
            "b",
            "a",
            id="classes of one family: the faster of their simplest",
        ),
        pytest.param([job("a", 0.80, fit_seconds=math.nan), job("b", 0.8)], "b", "a", id="a time that is not known"),
        pytest.param([job("a", 0.80, folds=0), job("b", 0.7999, LINEAR)], "a", "a", id="folds are not known"),
        pytest.param([job("a", math.nan), job("b", 0.6)], "b", "b", id="no score"),
        pytest.param([job("a", 0.9, error="train: burnt"), job("b", 0.6)], "b", "b", id="failed"),
        pytest.param([job("a", 0.9, error="train: burnt")], None, None, id="all failed"),
    ],
)
def test_choice(jobs: list[SweepJob], simplest: str | None, best: str | None) -> None:
    assert one(*jobs) == simplest
    assert one(*jobs, rule="best") == best


def test_the_standard_error_is_that_of_the_mean() -> None:
    """scikit-learn's deviation has the number of folds as its divisor."""
    scores = [0.7, 0.8, 0.9, 0.8]
    mean = sum(scores) / 4
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / 4)
    sample = math.sqrt(sum((score - mean) ** 2 for score in scores) / 3)
    assert job("a", mean, std=deviation, folds=4).standard_error == pytest.approx(sample / math.sqrt(4))
