"""The smallest difference between two models that a hold-out set can show, before any of it is measured.

Both models are scored on the same rows. Their difference has the variance 2 (1 - r) v, where v is the variance of one
model's score and r the correlation of the two. A test at level alpha finds a difference of (z(1 - alpha/2) + z(power))
standard errors with that power.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

ALPHA, POWER, CORRELATION = 0.05, 0.8, 0.5
LIKELY = 0.8  # the score of a share or an AUC
LIKELY_R2 = 0.5
_OF_POSITIVE = {"recall", "precision", "f1", "jaccard"}  # rows that these are a share of: about as many as are positive
_OF_ALL = {"accuracy", "f1_micro", "f1_weighted", "recall_weighted"}
_AREAS = {"roc_auc", "roc_auc_ovr", "roc_auc_ovr_weighted"}
_OF_EACH = {"balanced_accuracy", "recall_macro", "precision_macro", "f1_macro"}


def smallest_difference(metric: str, counts: Sequence[float]) -> float | None:
    """Return the difference in scikit-learn's ``metric`` that the test finds; None if its variance cannot be foreseen.

    ``counts`` are the hold-out rows of each class, the positive one of two last, or the number of rows of a regression.
    """
    if min(counts, default=0) < 2:
        return None
    variance = _variance(metric, counts)
    if variance is None:
        return None
    errors = NormalDist().inv_cdf(1 - ALPHA / 2) + NormalDist().inv_cdf(POWER)
    return errors * math.sqrt(2 * (1 - CORRELATION) * variance)


def level_of(metric: str) -> float:
    """Return the score that :func:`smallest_difference` takes for likely."""
    return LIKELY_R2 if metric == "r2" else LIKELY


def hanley_mcneil(area: float, positives: float, negatives: float) -> float:
    """Return the variance of an AUC by Hanley and McNeil (1982), Radiology 143, in Newcombe's symmetrised form."""
    both = (positives + negatives) / 2 - 1
    return area * (1 - area) / (positives * negatives) * (1 + both * (1 - area) / (2 - area) + both * area / (1 + area))


def _variance(metric: str, counts: Sequence[float]) -> float | None:
    """Return the variance of a likely score on so many rows; None if it is not known."""
    rows, share, classes = sum(counts), LIKELY * (1 - LIKELY), len(counts)
    if classes == 1:  # a regression; Olkin and Finn's formula, of one feature
        return 4 * LIKELY_R2 * (1 - LIKELY_R2) ** 2 / rows if metric == "r2" else None
    if metric in _OF_ALL:
        return share / rows
    if metric in _OF_EACH:
        return sum(share / count for count in counts) / classes**2
    if metric in _AREAS:  # the mean of several classes' areas varies at most so much
        areas = [hanley_mcneil(LIKELY, count, rows - count) for count in counts]
        return sum(areas) / classes
    return share / counts[1] if metric in _OF_POSITIVE and classes == 2 else None
