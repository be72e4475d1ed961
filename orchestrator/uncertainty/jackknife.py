"""The delete-a-group jackknife of a metric between 0 and 1, for rows in groups: it holds with ten groups, too.

A bootstrap of few groups draws too narrow. J. G. MacKinnon, M. Ø. Nielsen and M. D. Webb (2023), Fast and reliable jackknife
and bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38. Student's t has as many degrees of
freedom as groups, less one; the logit scale keeps the bounds between 0 and 1.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, logit, stdtrit

from orchestrator.uncertainty.bootstrap import BLOCKS, Metric, Resampling
from orchestrator.uncertainty.interval import LEVEL, Interval

JACKKNIFE = "cluster-jackknife"


def jackknife_interval(metric: Metric, resampling: Resampling, seed: int, *, level: float = LEVEL) -> Interval | None:
    """Return the interval of ``metric``; None if it is 0, 1 or without a value on all groups, or on all but one of them.

    Of many groups, several are left out at once.
    """
    left_out = np.concatenate([metric(counts) for counts in resampling.without_blocks(BLOCKS, seed)])
    with np.errstate(divide="ignore"):
        estimate, others = logit(metric(np.ones((1, resampling.rows)))[0]), logit(left_out)
    if not math.isfinite(estimate) or not np.isfinite(others).all():
        return None
    degrees = len(others) - 1
    half = stdtrit(degrees, (1 + level) / 2) * math.sqrt(degrees * others.var())
    low, high = expit([estimate - half, estimate + half])
    return Interval(float(low), float(high), JACKKNIFE, level)
