from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import t, ttest_1samp

from orchestrator.uncertainty.bootstrap import Resampling
from orchestrator.uncertainty.jackknife import JACKKNIFE, jackknife_interval

RANDOM = np.random.default_rng(0)


def share(values: np.ndarray) -> object:
    return lambda counts: (counts @ values) / counts.sum(axis=1)


def test_of_a_mean_of_equal_groups_it_is_the_t_interval_of_their_means() -> None:
    groups, hits = np.repeat(np.arange(12), 50), RANDOM.random(600)
    found = jackknife_interval(share(hits), Resampling(600, groups=groups), 0)  # type: ignore[arg-type]
    assert found is not None
    assert found.method == JACKKNIFE
    means = hits.reshape(12, 50).mean(axis=1)
    plain = ttest_1samp(means, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=2e-3)  # the logit scale is curved
    middle = (logit(found.low) + logit(found.high)) / 2
    assert middle == pytest.approx(logit(hits.mean()), abs=1e-6)


def test_of_many_groups_several_are_left_out_at_once() -> None:
    groups = np.arange(900) // 2
    hits = (RANDOM.random(450) < 0.7).astype(float)[groups]
    found = jackknife_interval(share(hits), Resampling(900, groups=groups), 0)  # type: ignore[arg-type]
    assert found is not None
    half = t.ppf(0.975, 99) * np.sqrt(0.21 / 450)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.25)


def test_without_a_value_there_is_none() -> None:
    groups = np.repeat(np.arange(5), 4)
    every = Resampling(20, groups=groups)
    assert jackknife_interval(share(np.ones(20)), every, 0) is None  # type: ignore[arg-type]
    assert jackknife_interval(share((groups == 0).astype(float)), every, 0) is None  # type: ignore[arg-type]
