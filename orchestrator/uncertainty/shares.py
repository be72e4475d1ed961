"""Wilson's intervals of shares, and of the metrics of predicted labels that are shares or follow from one.

E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22. A mean of independent
shares: G. Y. Zou and A. Donner (2008), Construction of confidence limits about effect measures: a general approach,
Statistics in Medicine 27 (MOVER).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from orchestrator.uncertainty.interval import LEVEL, Interval

WILSON, MOVER = "wilson", "wilson-mover"


def wilson_bounds(share: Any, size: Any, level: float = LEVEL) -> tuple[Any, Any]:
    """Return the bounds of Wilson's intervals of shares (n,) of ``size`` (n,) rows, which need be no whole numbers."""
    z = ndtri((1 + level) / 2)
    square = z**2 / size
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * np.sqrt(share * (1 - share) / size + square / (4 * size))
    return np.where(share > 0, middle - half, 0.0), np.where(share < 1, middle + half, 1.0)


def wilson(successes: int, total: int, level: float = LEVEL) -> Interval:
    """Return Wilson's interval of a share: ``successes`` of ``total``.

    Raises:
        ValueError: the total is 0, so there is no share.
    """
    if not total:
        raise ValueError("no rows, no share")
    low, high = wilson_bounds(successes / total, total, level)
    return Interval(float(low), float(high), WILSON, level)


def mean_of_shares(counts: Sequence[tuple[int, int]], level: float = LEVEL) -> Interval:
    """Return the interval of the mean of independent shares, each as (successes, total), from their Wilson intervals."""
    shares = np.array([successes / total for successes, total in counts])
    each = [wilson(*pair, level) for pair in counts]
    below = math.sqrt(sum((share - one.low) ** 2 for share, one in zip(shares, each, strict=True))) / len(each)
    above = math.sqrt(sum((one.high - share) ** 2 for share, one in zip(shares, each, strict=True))) / len(each)
    return Interval(float(shares.mean()) - below, float(shares.mean()) + above, MOVER, level)


def label_interval(name: str, y: Any, predicted: Any, level: float = LEVEL) -> Interval | None:
    """Return the interval of scikit-learn's metric ``name``; None if it is no share of rows, or one of no rows.

    ``y`` and ``predicted`` (n,) are class codes, 1 the positive one of two. Each row counts alike.
    """
    y, predicted = np.asarray(y), np.asarray(predicted)
    form = _FORMS.get(name)
    try:
        return form(y, predicted, level) if form else None
    except ValueError:  # no row is predicted, or none is of a class
        return None


def _accuracy(y: Any, predicted: Any, level: float) -> Interval:
    return wilson(int((y == predicted).sum()), len(y), level)


def _recall(y: Any, predicted: Any, level: float) -> Interval:
    return wilson(int(((y == 1) & (predicted == 1)).sum()), int((y == 1).sum()), level)


def _precision(y: Any, predicted: Any, level: float) -> Interval:
    return wilson(int(((y == 1) & (predicted == 1)).sum()), int((predicted == 1).sum()), level)


def _jaccard(y: Any, predicted: Any, level: float) -> Interval:
    return wilson(int(((y == 1) & (predicted == 1)).sum()), int(((y == 1) | (predicted == 1)).sum()), level)


def _f1(y: Any, predicted: Any, level: float) -> Interval:
    """F1 is 2 J / (1 + J) of the Jaccard share J of the rows that are positive or predicted to be."""
    share = _jaccard(y, predicted, level)
    low, high = (2 * bound / (1 + bound) for bound in (share.low, share.high))
    return Interval(low, high, WILSON, level)


def _balanced_accuracy(y: Any, predicted: Any, level: float) -> Interval:
    return mean_of_shares(
        [(int((predicted[y == code] == code).sum()), int((y == code).sum())) for code in np.unique(y)], level
    )


def _macro_recall(y: Any, predicted: Any, level: float) -> Interval:
    """A class that is predicted and has no rows counts as a recall of 0, and no share of rows says how sure that is."""
    if not np.isin(predicted, y).all():
        raise ValueError("a class without rows is predicted")
    return _balanced_accuracy(y, predicted, level)


_FORMS: Mapping[str, Callable[[Any, Any, float], Interval]] = {
    **dict.fromkeys(("accuracy", "precision_micro", "recall_micro", "f1_micro", "recall_weighted"), _accuracy),
    "recall": _recall,
    "precision": _precision,
    "jaccard": _jaccard,
    "f1": _f1,
    "balanced_accuracy": _balanced_accuracy,
    "recall_macro": _macro_recall,
}
