"""The interval of one AUC: DeLong's variance on the logit scale, which keeps the bounds between 0 and 1.

Near 1 that variance hangs on the few rows that are ranked wrongly, so it is known badly itself, and Student's t takes the place
of the normal distribution. Its degrees of freedom are Welch and Satterthwaite's for the variances of both classes, of each by
its kurtosis: B. O'Neill (2014), Some useful moment results in sampling problems, The American Statistician 68. Where the
sample separates the classes perfectly, that variance is 0, and Hanley and McNeil's formula takes its place by R. G. Newcombe
(2006), Confidence intervals for an effect size measure based on the Mann-Whitney statistic, Part 2, Statistics in Medicine
25, method 5. On the logit scale: M. S. Pepe (2003), The statistical evaluation of medical tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri, stdtrit
from scipy.stats import kurtosis

from orchestrator.uncertainty.delong import delong
from orchestrator.uncertainty.detectable import hanley_mcneil
from orchestrator.uncertainty.interval import LEVEL, Interval

DELONG, NEWCOMBE = "delong-logit", "newcombe"
SAME = 1e-9  # a share of rows differs from another by more, unless rounding makes the difference


def auc_interval(y: Any, scores: Any, level: float = LEVEL) -> Interval:
    """Return the interval of the area under the ROC curve of ``scores`` (n,); ``y`` (n,) is 1 for positive rows.

    Raises:
        ValueError: as :func:`~orchestrator.uncertainty.delong.delong` does.
    """
    found = delong(y, scores)
    area, variance = float(found.aucs[0]), float(found.covariance[0, 0])
    varying = [each[0] for each in found.placements if np.ptp(each) > SAME]
    if varying and 0 < area < 1:
        quantile = float(stdtrit(_degrees(varying), (1 + level) / 2))
        half = quantile * math.sqrt(variance) / (area * (1 - area))
        low, high = expit([logit(area) - half, logit(area) + half])
        return Interval(float(low), float(high), DELONG, level)
    positives = int(np.asarray(y).astype(bool).sum())
    negatives = len(np.asarray(y)) - positives
    return Interval(*_newcombe(area, positives, negatives, float(ndtri((1 + level) / 2))), NEWCOMBE, level)


def _degrees(samples: Sequence[Any]) -> float:
    """Return the degrees of freedom of the summed variances of the means of samples (n,), each with a variance."""
    variances = np.array([sample.var(ddof=1) / len(sample) for sample in samples])
    each = [2 * len(one) / (kurtosis(one, fisher=False) - (len(one) - 3) / (len(one) - 1)) for one in samples]
    return float(variances.sum() ** 2 / (variances**2 / each).sum())


def _newcombe(area: float, positives: int, negatives: int, z: float) -> tuple[float, float]:
    """Return the areas whose own standard error puts them ``z`` of it from ``area``."""

    def excess(other: float) -> float:
        return abs(area - other) - z * math.sqrt(hanley_mcneil(other, positives, negatives))

    edge = 1e-12  # at 0 and 1 the standard error is 0
    low = brentq(excess, 0.0, min(area, 1 - edge)) if area > 0 else 0.0
    high = brentq(excess, max(area, edge), 1.0) if area < 1 else 1.0
    return float(low), float(high)
