"""The numbers of the figures on the hold-out rows: curves, confusion matrix, predicted against actual values."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.metrics import auc, average_precision_score, confusion_matrix, precision_recall_curve, roc_curve

from orchestrator.artifacts import Split
from orchestrator.report.inspection import Confusion, Curve, HoldoutFigures, ShareOfBin
from orchestrator.report.predictions import class_scores
from orchestrator.reporting.reliability import reliability

CLASSES = 10  # of which curves are drawn
CELLS = 12  # labels of a confusion matrix; of more the most frequent confusions are listed
PAIRS = 15
POINTS = 160  # of a curve
DOTS = 600  # of a regression


def figures_of(model: Any, split: Split, seed: int, threshold: float = 0.5) -> HoldoutFigures:
    """Return the numbers of every figure that suits the task; rows count by their weights, if they have some.

    ``threshold`` is the probability of the second of two labels from which a row gets it.
    """
    X, y, weights = split.X_test, split.y_test, None if split.weights is None else np.asarray(split.weights.test)
    if split.classes is None:
        rows = np.arange(len(y))
        if len(rows) > DOTS:
            rows = np.sort(np.random.default_rng(seed).choice(len(rows), DOTS, replace=False))
        predicted = np.asarray(model.predict(X), dtype=float).ravel()
        pairs = zip(np.asarray(y, dtype=float)[rows].tolist(), predicted[rows].tolist(), strict=True)
        return HoldoutFigures(points=tuple(pairs), sampled=len(rows))
    labels, codes = [str(label) for label in split.classes], np.asarray(y)
    confusion = _confusion(codes, np.asarray(model.predict(X)).ravel(), labels, weights)
    scores = class_scores(model, X, len(labels))
    if scores is None or len(labels) > CLASSES:
        return HoldoutFigures(confusion=confusion)
    each = [(label, codes == code, scores[:, code]) for code, label in enumerate(labels)]
    each = each[1:] if len(labels) == 2 else each
    each = [one for one in each if 0 < one[1].sum() < len(codes)]  # needs hold-out rows of the class and of others
    prevalence = float(np.average(codes == 1, weights=weights)) if len(labels) == 2 else 0.0
    figures = HoldoutFigures(
        tuple(_roc(each, weights)), tuple(_precision_recall(each, weights)), prevalence, confusion, sampled=len(codes)
    )
    if not (len(labels) == 2 and each and hasattr(model, "predict_proba")):
        return figures
    _, positive, probability = each[0]
    bins, lines = _calibration(positive, probability, weights), _by_threshold(positive, probability, weights)
    return replace(figures, calibration=tuple(bins), by_threshold=tuple(lines), threshold=threshold)


def _calibration(positive: Any, probability: Any, weights: Any) -> Iterator[ShareOfBin]:
    found = reliability(positive, probability, weights)
    low, high = found.bounds()
    yield from (ShareOfBin(*map(float, one)) for one in zip(found.predicted, found.observed, low, high, strict=True))


def _by_threshold(positive: Any, probability: Any, weights: Any) -> Iterator[Curve]:
    """Yield precision, recall and F1 of labels from each probability on that occurs."""
    precision, recall, values = precision_recall_curve(positive, probability, sample_weight=weights)
    precision, recall = precision[:-1], recall[:-1]  # the last ones are of no row
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    for name, line in (("precision", precision), ("recall", recall), ("F1", f1)):
        yield Curve(name, *_thin(values, line), 0.0)


def _roc(each: Any, weights: Any) -> Iterator[Curve]:
    for label, is_class, score in each:
        false_positive, true_positive, _ = roc_curve(is_class, score, sample_weight=weights)
        area = float(auc(false_positive, true_positive))
        yield Curve(label, *_thin(false_positive, true_positive), area)


def _precision_recall(each: Any, weights: Any) -> Iterator[Curve]:
    for label, is_class, score in each:
        precision, recall, _ = precision_recall_curve(is_class, score, sample_weight=weights)
        average = float(average_precision_score(is_class, score, sample_weight=weights))
        yield Curve(label, *_thin(recall[::-1], precision[::-1]), average)


def _thin(x: Any, y: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return at most POINTS points of a line, its ends among them, rounded to what a figure shows."""
    at = np.unique(np.linspace(0, len(x) - 1, min(POINTS, len(x))).astype(int))
    return tuple(np.round(x[at], 4).tolist()), tuple(np.round(y[at], 4).tolist())


def _confusion(actual: Any, predicted: Any, labels: list[str], weights: Any) -> Confusion:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single label among the rows
        counts = confusion_matrix(actual, predicted, labels=range(len(labels)), sample_weight=weights)
    weighted = weights is not None
    if len(labels) <= CELLS:
        return Confusion(tuple(labels), counts.tolist(), weighted=weighted)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    most = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = [divmod(int(place), len(labels)) for place in most]
    pairs = [(labels[row], labels[column], wrong[row, column].item()) for row, column in places if wrong[row, column]]
    return Confusion(tuple(labels), pairs=pairs, weighted=weighted)
