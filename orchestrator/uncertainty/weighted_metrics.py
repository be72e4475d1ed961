"""Metrics of scikit-learn for many weightings of the same rows at once: what a bootstrap computes a thousand times.

Each function takes the predictions and weights (b, n), and returns b values. A value whose form differs from what the
scorer itself computes is never used: :mod:`orchestrator.uncertainty.intervals` compares them on the rows as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Form: TypeAlias = "Callable[[Responses, Any], Any]"


@dataclass(frozen=True)
class Responses:
    """The predictions for rows with the targets ``y`` (n,): class codes or numbers ``predicted`` (n,).

    ``probabilities`` (n, k) belong to the class codes 0 to k - 1, ``ranking`` (n,) grows with the likelihood of class 1 of
    two; None without them.
    """

    y: Any
    predicted: Any
    probabilities: Any = None
    ranking: Any = None

    def take(self, rows: Any) -> Responses:
        """Return the predictions for the rows at these positions."""
        parts = (self.y, self.predicted, self.probabilities, self.ranking)
        return Responses(*(None if part is None else part[rows] for part in parts))


def form_of(name: str, responses: Responses) -> Form | None:
    """Return the vectorised form of scikit-learn's scorer ``name`` for these predictions; None if there is none."""
    form = _FORMS.get(name)
    if name.startswith("roc_auc_ovr") and responses.probabilities is None:
        return None
    return None if name in {"roc_auc", "average_precision"} and responses.ranking is None else form


def _ratio(above: Any, below: Any) -> Any:
    """Divide; nothing of nothing is 0, as in scikit-learn."""
    return np.divide(above, below, out=np.zeros(above.shape, above.dtype), where=below != 0)


def _of_labels(metric: str, average: str, responses: Responses, weights: Any) -> Any:
    codes = np.union1d(responses.y, responses.predicted)
    is_true = (responses.y[:, None] == codes).astype(weights.dtype)
    is_predicted = (responses.predicted[:, None] == codes).astype(weights.dtype)
    stacked = np.concatenate([is_true, is_predicted, is_true * is_predicted], axis=1)
    true, predicted, hits = np.split((weights @ stacked).astype(float), 3, axis=1)
    if metric == "mcc":
        return _matthews(true, predicted, hits)
    if average == "micro":
        true, predicted, hits = (part.sum(axis=1, keepdims=True) for part in (true, predicted, hits))
    below = {"precision": predicted, "recall": true, "f1": (true + predicted) / 2, "jaccard": true + predicted - hits}
    each = _ratio(hits, below[metric])
    if average == "binary":
        return each[:, codes == 1].sum(axis=1)  # 0 if neither a label nor a prediction is 1
    if average == "weighted":
        return (each * true).sum(axis=1) / true.sum(axis=1)
    if average == "true":  # classes without rows do not count
        return _ratio(each.sum(axis=1), (true > 0).sum(axis=1))
    return each.mean(axis=1)


def _matthews(true: Any, predicted: Any, hits: Any) -> Any:
    """Gorodkin's form for any number of classes, as in scikit-learn."""
    total, correct = true.sum(axis=1), hits.sum(axis=1)
    covariance = correct * total - (true * predicted).sum(axis=1)
    spread = (total**2 - (predicted**2).sum(axis=1)) * (total**2 - (true**2).sum(axis=1))
    return _ratio(covariance, np.sqrt(np.maximum(spread, 0)))


def _explained_variance(responses: Responses, weights: Any) -> Any:
    y, errors = responses.y - responses.y.mean(), responses.y - responses.predicted  # centred against cancellation
    parts = np.stack([np.ones(len(y)), errors, errors**2, y, y**2], axis=1).astype(weights.dtype)
    total, *sums = (weights @ parts).astype(float).T
    means = [one / total for one in sums]
    residual, variance = means[1] - means[0] ** 2, means[3] - means[2] ** 2
    return 1 - np.divide(residual, variance, out=np.full(len(weights), np.nan), where=variance > 0)


def _along_ranking(is_positive: Any, scores: Any, weights: Any) -> tuple[Any, Any]:
    """Return the weights (b, m) of the positive and of all rows that score at least each of the m different scores."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    sorted_weights = np.ascontiguousarray(weights[:, order])
    positive, every = np.cumsum(sorted_weights * is_positive[order], axis=1), np.cumsum(sorted_weights, axis=1)
    return (positive, every) if len(last) == len(order) else (positive[:, last], every[:, last])


def _area(is_positive: Any, scores: Any, weights: Any) -> Any:
    positive, every = _along_ranking(is_positive, scores, weights)
    negative = every - positive
    steps = np.diff(negative, axis=1)
    twice = np.einsum("bm,bm->b", steps, positive[:, 1:] + positive[:, :-1], dtype=float)
    twice += negative[:, 0] * positive[:, 0]  # the triangle before the first step
    below = 2.0 * positive[:, -1] * negative[:, -1]
    return np.divide(twice, below, out=np.full(len(weights), np.nan), where=below > 0)


def _roc_auc(responses: Responses, weights: Any) -> Any:
    return _area(responses.y == 1, responses.ranking, weights)


def _average_precision(responses: Responses, weights: Any) -> Any:
    positive, every = _along_ranking(responses.y == 1, responses.ranking, weights)
    precision = _ratio(positive, every)
    gained = positive[:, 0] * precision[:, 0] + np.einsum("bm,bm->b", np.diff(positive, axis=1), precision[:, 1:])
    return _ratio(gained, positive[:, -1])


def _roc_auc_ovr(responses: Responses, weights: Any, *, by_prevalence: bool) -> Any:
    p = responses.probabilities
    areas = np.stack([_area(responses.y == code, p[:, code], weights) for code in range(p.shape[1])], axis=1)
    if not by_prevalence:
        return areas.mean(axis=1)
    shares = weights @ (responses.y[:, None] == np.arange(p.shape[1])).astype(weights.dtype)
    return (areas * shares).sum(axis=1) / shares.sum(axis=1)


_FORMS: Mapping[str, Form] = {
    **{
        f"{metric}{suffix}": functools.partial(_of_labels, metric, average)
        for metric in ("precision", "recall", "f1", "jaccard")
        for suffix, average in {
            "": "binary",
            "_macro": "macro",
            "_weighted": "weighted",
            "_micro": "micro",
        }.items()
    },
    "accuracy": functools.partial(_of_labels, "recall", "micro"),
    "balanced_accuracy": functools.partial(_of_labels, "recall", "true"),
    "matthews_corrcoef": functools.partial(_of_labels, "mcc", ""),
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "roc_auc_ovr": functools.partial(_roc_auc_ovr, by_prevalence=False),
    "roc_auc_ovr_weighted": functools.partial(_roc_auc_ovr, by_prevalence=True),
    "explained_variance": _explained_variance,
}
