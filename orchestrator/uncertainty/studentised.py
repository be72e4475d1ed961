"""Studentised bootstrap intervals of errors that are means, or ratios of means, on the logarithmic scale.

P. Hall (1988), Theoretical comparison of bootstrap confidence intervals, Annals of Statistics 16. A loss is skewed, and
its spread grows with its mean: dividing each resample's error by its own standard error keeps the coverage with few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.uncertainty.bootstrap import RESAMPLES, Resampling
from orchestrator.uncertainty.interval import LEVEL, Interval
from orchestrator.uncertainty.weighted_metrics import Responses

STUDENTISED, CLUSTER = "bootstrap-t", "cluster-bootstrap-t"


@dataclass(frozen=True)
class Ratio:
    """A metric of scikit-learn as ``metric(log(sum(above) / sum(below)))``; both are (n,), and of all rows."""

    above: Any
    below: Any
    metric: Callable[[Any], Any]


def ratio_of(name: str, responses: Responses, weights: Any) -> Ratio | None:
    """Return scikit-learn's scorer ``name`` as a ratio for rows with weights (n,); None if it is none."""
    if name in {"neg_log_loss", "neg_brier_score"} and responses.probabilities is None:
        return None
    loss = _LOSSES.get(name)
    if loss is None:
        return None
    above, back = loss[0](responses), loss[1]
    below = np.ones(len(above))
    if name == "r2":
        below = (responses.y - np.average(responses.y, weights=weights)) ** 2
    ratio = Ratio(weights * above, weights * below, back)
    return ratio if ratio.above.sum() > 0 and ratio.below.sum() > 0 else None


def studentised_interval(
    ratio: Ratio, resampling: Resampling, seed: int, *, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the interval of a ratio; None if it has no spread."""
    above, below, units = ratio.above, ratio.below, resampling
    if resampling.groups is not None:  # whole groups are the units
        above, below = (np.bincount(resampling.groups, part) for part in (above, below))
        units = Resampling(len(above))
    estimate, error = _log_ratio(np.ones((1, len(above))), above, below)
    parts = [_log_ratio(counts, above, below) for counts in units.counts(resamples, seed)]
    values, errors = (np.concatenate(part) for part in zip(*parts, strict=True))
    with np.errstate(all="ignore"):
        pivots = (values - estimate) / errors
    pivots = pivots[np.isfinite(pivots)]
    if not error[0] > 0 or len(pivots) < resamples / 2:
        return None
    low, high = np.quantile(pivots, [(1 - level) / 2, (1 + level) / 2])
    first, second = (float(ratio.metric(estimate[0] - pivot * error[0])) for pivot in (low, high))
    return Interval(
        min(first, second), max(first, second), STUDENTISED if resampling.groups is None else CLUSTER, level
    )


def _log_ratio(counts: Any, above: Any, below: Any) -> tuple[Any, Any]:
    """Return the logarithm of the ratio and its standard error (delta method) for counts (b, n)."""
    with np.errstate(all="ignore"):
        parts = np.stack([above, below, above**2, above * below, below**2], axis=1)
        numerator, denominator, *products = (counts @ parts.astype(counts.dtype)).astype(float).T
        squares = (
            products[0] / numerator**2 - 2 * products[1] / (numerator * denominator) + products[2] / denominator**2
        )
        return np.log(numerator / denominator), np.sqrt(np.maximum(squares, 0))


def _log_losses(responses: Responses) -> Any:
    p = np.clip(responses.probabilities, np.finfo(responses.probabilities.dtype).eps, 1)
    return -np.log(p[np.arange(len(p)), responses.y] / p.sum(axis=1))


def _brier_losses(responses: Responses) -> Any:
    p = responses.probabilities
    squared = ((p - (responses.y[:, None] == np.arange(p.shape[1]))) ** 2).sum(axis=1)
    return squared / 2 if p.shape[1] == 2 else squared


def _squared(responses: Responses) -> Any:
    return (responses.y - responses.predicted) ** 2


def _absolute(responses: Responses) -> Any:
    return np.abs(responses.y - responses.predicted)


def _relative(responses: Responses) -> Any:
    return _absolute(responses) / np.maximum(np.abs(responses.y), np.finfo(float).eps)


def _squared_logarithms(responses: Responses) -> Any:
    return (np.log1p(responses.y) - np.log1p(responses.predicted)) ** 2


def _negative(value: Any) -> Any:
    return -np.exp(value)


def _negative_root(value: Any) -> Any:
    return -np.exp(value / 2)


_LOSSES: Mapping[str, tuple[Callable[[Responses], Any], Callable[[Any], Any]]] = {
    "neg_log_loss": (_log_losses, _negative),
    "neg_brier_score": (_brier_losses, _negative),
    "neg_mean_squared_error": (_squared, _negative),
    "neg_root_mean_squared_error": (_squared, _negative_root),
    "neg_mean_absolute_error": (_absolute, _negative),
    "neg_mean_absolute_percentage_error": (_relative, _negative),
    "neg_mean_squared_log_error": (_squared_logarithms, _negative),
    "neg_root_mean_squared_log_error": (_squared_logarithms, _negative_root),
    "r2": (_squared, lambda value: 1 - np.exp(value)),
}
