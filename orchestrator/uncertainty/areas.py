"""The interval of one AUC: DeLong's variance on the logit scale, which keeps the bounds between 0 and 1.

Where the sample separates the classes perfectly, that variance is 0, and Hanley and McNeil's formula takes its place by
R. G. Newcombe (2006), Confidence intervals for an effect size measure based on the Mann-Whitney statistic, Part 2,
Statistics in Medicine 25, method 5. On the logit scale: M. S. Pepe (2003), The statistical evaluation of medical tests.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri

from orchestrator.uncertainty.delong import delong
from orchestrator.uncertainty.detectable import hanley_mcneil
from orchestrator.uncertainty.interval import LEVEL, Interval

DELONG, NEWCOMBE = "delong-logit", "newcombe"


def auc_interval(y: Any, scores: Any, level: float = LEVEL) -> Interval:
    """Return the interval of the area under the ROC curve of ``scores`` (n,); ``y`` (n,) is 1 for positive rows.

    Raises:
        ValueError: as :func:`~orchestrator.uncertainty.delong.delong` does.
    """
    found = delong(y, scores)
    area, variance = float(found.aucs[0]), float(found.covariance[0, 0])
    z = float(ndtri((1 + level) / 2))
    if variance > 0 and 0 < area < 1:
        half = z * math.sqrt(variance) / (area * (1 - area))
        low, high = expit([logit(area) - half, logit(area) + half])
        return Interval(float(low), float(high), DELONG, level)
    positives = int(np.asarray(y).astype(bool).sum())
    negatives = len(np.asarray(y)) - positives
    return Interval(*_newcombe(area, positives, negatives, z), NEWCOMBE, level)


def _newcombe(area: float, positives: int, negatives: int, z: float) -> tuple[float, float]:
    """Return the areas whose own standard error puts them ``z`` of it from ``area``."""

    def excess(other: float) -> float:
        return abs(area - other) - z * math.sqrt(hanley_mcneil(other, positives, negatives))

    edge = 1e-12  # at 0 and 1 the standard error is 0
    low = brentq(excess, 0.0, min(area, 1 - edge)) if area > 0 else 0.0
    high = brentq(excess, max(area, edge), 1.0) if area < 1 else 1.0
    return float(low), float(high)
