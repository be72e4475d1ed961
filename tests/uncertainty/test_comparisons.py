"""Paired tests on data with a known truth, and the decisions that follow from a comparison."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, roc_auc_score

from orchestrator.uncertainty.comparisons import (
    Needed,
    PairedComparison,
    Rule,
    by_rows,
    compare_aucs,
    compare_by_bootstrap,
    compare_folds,
    is_shown,
    needed_for,
)


def known(difference: float, error: float = 0.01, degrees: float = math.inf, rows: int = 100) -> PairedComparison:
    return PairedComparison("known", 0.8 + difference, 0.8, error, degrees, rows)


@pytest.mark.parametrize(
    ("difference", "error", "rule", "margin", "alpha", "shown"),
    [
        (0.020, 0.01, "better", 0.00, 0.05, True),  # z = 2.0
        (0.020, 0.01, "better", 0.00, 0.01, False),
        (0.020, 0.01, "better", 0.01, 0.05, False),  # z = 1.0
        (0.040, 0.01, "better", 0.02, 0.05, True),
        (0.000, 0.01, "better", 0.00, 0.05, False),
        (-0.10, 0.01, "better", 0.00, 0.05, False),
        (0.000, 0.01, "not_worse", 0.02, 0.05, True),
        (-0.01, 0.01, "not_worse", 0.02, 0.05, False),
        (0.020, 0.01, "not_worse", 0.01, 0.05, True),
        (0.000, 0.00, "better", 0.00, 0.05, False),  # the same predictions
        (0.000, 0.00, "not_worse", 0.01, 0.05, True),
        (0.010, 0.00, "better", 0.00, 0.05, True),
    ],
)
def test_decisions(difference: float, error: float, rule: Rule, margin: float, alpha: float, shown: bool) -> None:
    assert is_shown(known(difference, error), rule, margin, alpha) is shown


def test_interval_bound_and_p_value_agree() -> None:
    compared = known(0.02, degrees=9)
    low, high = compared.interval()
    assert (low + high) / 2 == pytest.approx(0.02)
    assert compared.lower_bound(0.025) == pytest.approx(low)
    assert compared.p_value(low) == pytest.approx(0.025)
    assert known(0.02, error=0.0).interval() == pytest.approx((0.02, 0.02))


def test_what_is_needed_would_be_shown_in_eight_of_ten_cases() -> None:
    compared, random = known(0.01, rows=200), np.random.default_rng(0)
    needed = needed_for(compared, "better", 0.0, 0.05)
    assert needed.rows is not None
    for difference, error in ((needed.difference, 0.01), (0.01, 0.01 * math.sqrt(200 / needed.rows))):
        drawn = random.normal(difference, error, 4000)
        assert np.mean([is_shown(known(one, error), "better", 0.0, 0.05) for one in drawn]) == pytest.approx(
            0.8, abs=0.02
        )
    assert needed_for(known(-0.01), "better", 0.0, 0.05).rows is None
    assert needed_for(known(0.0, error=0.0), "better", 0.01, 0.05) == Needed(0.01, None)


def test_the_t_test_on_folds_is_corrected_for_shared_training_rows() -> None:
    first, second = [0.80, 0.84, 0.79, 0.83, 0.82], [0.78, 0.81, 0.79, 0.80, 0.78]
    compared = compare_folds(first, second, test_share=0.25, rows=100)
    plain = stats.ttest_rel(first, second, alternative="greater")
    corrected = plain.statistic / math.sqrt(5 * (1 / 5 + 0.25))  # Nadeau and Bengio (2003), section 3
    assert compared.p_value() == pytest.approx(stats.t.sf(corrected, 4))
    assert compared.p_value() > plain.pvalue
    with pytest.raises(ValueError, match="two folds or more"):
        compare_folds([0.8], [0.7], 0.25, 100)


def scored(rows: int, gain: float = 0.0, seed: int = 0) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(seed)
    y = np.repeat([0, 1], rows // 2)
    shared, one, two = random.normal(size=(3, rows))
    return y, (1 + gain) * y + shared + one, y + shared + two


def test_aucs_are_compared_as_the_bootstrap_compares_them() -> None:
    y, first, second = scored(200, 0.5)
    exact = compare_aucs(y, first, second)
    assert (exact.first, exact.second) == pytest.approx((roc_auc_score(y, first), roc_auc_score(y, second)))
    resampled = compare_by_bootstrap(
        by_rows(lambda at: (roc_auc_score(y[at], first[at]), roc_auc_score(y[at], second[at]))),
        200,
        differing=200,
        seed=0,
        strata=y,
        resamples=200,
    )
    assert resampled.difference == pytest.approx(exact.difference)
    assert resampled.standard_error == pytest.approx(exact.standard_error, rel=0.2)


def test_equal_orders_are_no_evidence() -> None:
    y, first, _ = scored(60)
    assert compare_aucs(y, first, 3 * first + 1).standard_error == 0
    same = compare_by_bootstrap(by_rows(lambda _: (0.7, 0.7)), 60, differing=0, seed=0)
    assert not is_shown(same, "better", 0.0, 0.5)


def test_three_rows_that_differ_are_three_rows_of_evidence() -> None:
    y = np.zeros(154, dtype=int)
    other = np.r_[np.ones(3, dtype=int), np.zeros(151, dtype=int)]
    compared = compare_by_bootstrap(
        by_rows(lambda at: (accuracy_score(y[at], y[at]), accuracy_score(y[at], other[at]))),
        154,
        differing=3,
        seed=0,
        resamples=200,
    )
    exact = stats.binomtest(3, 3, alternative="greater").pvalue  # McNemar's exact test
    assert compared.p_value() == pytest.approx(exact, abs=0.03)


def test_rows_of_a_group_say_the_same_twice() -> None:
    random = np.random.default_rng(1)
    gains = np.repeat(random.normal(0.1, 1, 20), 10)
    free, grouped = (
        compare_by_bootstrap(
            by_rows(lambda at: (float(gains[at].mean()), 0.0)), 200, differing=20, seed=0, groups=groups, resamples=300
        )
        for groups in (None, np.repeat(np.arange(20), 10))
    )
    assert grouped.standard_error > 2 * free.standard_error
    assert grouped.method == "paired bootstrap of whole groups"


def test_a_perfect_model_on_few_rows_is_no_evidence() -> None:
    def few(each: int) -> tuple[PairedComparison, PairedComparison]:
        y = np.repeat([0, 1], each)
        right = by_rows(lambda at: (accuracy_score(y[at], y[at]), accuracy_score(y[at], np.zeros(len(at)))))
        return compare_aucs(y, y, np.zeros(2 * each)), compare_by_bootstrap(
            right, 2 * each, differing=each, seed=0, strata=y, resamples=50
        )

    for compared in few(3):
        assert compared.standard_error == 0
        assert compared.p_value() == pytest.approx(1 / 8), "nothing spreads, so it is the sign test"
        assert compared.lower_bound(0.025) == 0
    for compared in few(30):
        assert is_shown(compared, "better", 0.0, 0.001)
        assert compared.lower_bound(0.025) == compared.difference


def test_the_same_seed_gives_the_same_comparison() -> None:
    y, first, second = scored(60)

    def run(seed: int) -> float:
        return compare_by_bootstrap(
            by_rows(lambda at: (float((first * y)[at].mean()), float((second * y)[at].mean()))),
            60,
            differing=60,
            seed=seed,
        ).standard_error

    assert run(3) == run(3) != run(4)


def test_a_score_that_cannot_be_computed_is_said() -> None:
    def rarely(at: Any) -> tuple[float, float]:
        if len(np.unique(at)) < 30:
            raise ValueError("no such class")
        return 0.5, 0.4

    with pytest.raises(ValueError, match="cannot be computed for 50 of 50 resamples"):
        compare_by_bootstrap(by_rows(rarely), 30, differing=30, seed=0, resamples=50)
    with pytest.raises(ValueError, match="cannot be computed for these rows"):
        compare_by_bootstrap(by_rows(lambda _: (math.nan, 0.4)), 30, differing=30, seed=0)


@pytest.mark.nightly
def test_equal_models_are_promoted_no_more_often_than_the_level() -> None:
    shown = [is_shown(compare_aucs(*scored(154, seed=seed)), "better", 0.0, 0.05) for seed in range(2000)]
    assert np.mean(shown) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
