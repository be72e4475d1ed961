"""DeLong's covariance of areas under ROC curves on the same rows, in the O(k n log n) form of Sun and Xu.

E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson (1988), Comparing the areas under two or more correlated receiver
operating characteristic curves: a nonparametric approach, Biometrics 44. X. Sun and W. Xu (2014), Fast implementation of
DeLong's algorithm for comparing the areas under correlated receiver operating characteristic curves, IEEE Signal
Processing Letters 21(11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class CorrelatedAUCs:
    """Areas ``aucs`` (k,) of k score vectors on the same rows, and their estimated ``covariance`` (k, k).

    ``placements`` are of the positive rows (k, m) and of the negative ones (k, n): the share of the other class that each is
    ranked rightly against.
    """

    aucs: Any
    covariance: Any
    placements: tuple[Any, Any]


def delong(y: Any, scores: Any, sample_weight: Any = None) -> CorrelatedAUCs:
    """Return the areas under the ROC curves of ``scores`` (n,) or (k, n), and their covariance.

    ``y`` (n,) holds 1 for the positive rows and 0 for the others. A tie of a positive with a negative row counts one half.
    The covariance is estimated from the placements of the rows of each class among those of the other one, so it holds for
    k models that scored the same rows.

    Raises:
        ValueError: rows have weights, for which DeLong's covariance is not defined; ``y`` is not of zeros and ones; a class
            has less than two rows; a score is not finite; or the shapes differ.
    """
    if sample_weight is not None:
        raise ValueError("DeLong's covariance is not defined for weighted rows; use a bootstrap")
    y, scores = np.asarray(y), np.atleast_2d(np.asarray(scores, dtype=float))
    if y.ndim != 1 or scores.ndim != 2 or scores.shape[1] != len(y):
        raise ValueError(f"scores should be (k, {len(y)}) for {len(y)} labels, got {scores.shape}")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("y should hold 0 and 1 only")
    if not np.isfinite(scores).all():
        raise ValueError("scores should be finite")
    is_positive = y.astype(bool)
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if min(positives, negatives) < 2:
        raise ValueError(f"each class needs two rows or more, got {positives} positive and {negatives} negative ones")
    ranks = rankdata(scores, axis=1)  # ties share their mean rank
    among_positives = rankdata(scores[:, is_positive], axis=1)
    among_negatives = rankdata(scores[:, ~is_positive], axis=1)
    of_positives = (
        ranks[:, is_positive] - among_positives
    ) / negatives  # share of the negatives below each positive row
    of_negatives = (
        1 - (ranks[:, ~is_positive] - among_negatives) / positives
    )  # of the positives above each negative row
    covariance = np.atleast_2d(np.cov(of_positives)) / positives + np.atleast_2d(np.cov(of_negatives)) / negatives
    return CorrelatedAUCs(of_positives.mean(axis=1), covariance, (of_positives, of_negatives))
