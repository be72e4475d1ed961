from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import t
from sklearn.metrics import roc_auc_score

from orchestrator.uncertainty.areas import DELONG, NEWCOMBE, auc_interval
from orchestrator.uncertainty.delong import delong
from orchestrator.uncertainty.detectable import hanley_mcneil

RANDOM = np.random.default_rng(0)


def test_the_bounds_lie_around_the_area_and_within_0_and_1() -> None:
    y = np.arange(40) % 2
    scores = RANDOM.normal(size=40) + 1.5 * y
    found = auc_interval(y, scores)
    assert found.method == DELONG
    assert 0 < found.low < roc_auc_score(y, scores) < found.high < 1
    turned = auc_interval(1 - y, scores)
    assert (turned.low, turned.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_a_sample_without_variance_has_newcombes_interval() -> None:
    y = np.array([0] * 20 + [1] * 10)
    perfect, tied = auc_interval(y, y), auc_interval(y, np.zeros(30))
    assert (perfect.method, tied.method) == (NEWCOMBE, NEWCOMBE)
    assert perfect.high == 1
    assert 0.8 < perfect.low < 0.95
    assert (1 - perfect.low) == pytest.approx(1.959964 * hanley_mcneil(perfect.low, 10, 20) ** 0.5)
    assert tied.low == pytest.approx(1 - tied.high)
    worst = auc_interval(y, -y)
    assert (worst.low, worst.high) == pytest.approx((0, 1 - perfect.low))


def test_a_variance_that_hangs_on_few_rows_has_students_quantile() -> None:
    """Coverage of an AUC of 0.98 with a tenth of 250 rows positive: 88.6 % by the normal quantile, 94.3 % by Student's."""
    y = np.array([1] * 25 + [0] * 225)
    scores = np.where(y == 1, 10.0, 0.0) + RANDOM.normal(size=250)
    scores[0] = 0.5  # all of the variance
    found, plain = auc_interval(y, scores), delong(y, scores)
    area, error = plain.aucs[0], plain.covariance[0, 0] ** 0.5
    quantile = (logit(area) - logit(found.low)) * area * (1 - area) / error
    assert quantile == pytest.approx(t.ppf(0.975, 2.1), abs=0.4)
    even = RANDOM.normal(size=250) + y
    found, plain = auc_interval(y, even), delong(y, even)
    area, error = plain.aucs[0], plain.covariance[0, 0] ** 0.5
    assert (logit(area) - logit(found.low)) * area * (1 - area) / error == pytest.approx(2.05, abs=0.05)


def test_a_class_whose_rows_contribute_the_same_has_no_part_in_the_degrees_of_freedom() -> None:
    """One negative row above all 7 positive ones: what each of these contributes, 14 of 15, differs by rounding alone."""
    y = np.array([1] * 7 + [0] * 15)
    scores = np.concatenate([100.0 + np.arange(7), np.arange(14.0), [1000.0]])
    found, of_more = auc_interval(y, scores), auc_interval(np.append(y, 1), np.append(scores, 107.0))
    assert (found.low, found.high) == pytest.approx((of_more.low, of_more.high))
    assert 0 < found.low < found.high < 1
