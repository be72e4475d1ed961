from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from orchestrator.uncertainty.areas import DELONG, NEWCOMBE, auc_interval
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
