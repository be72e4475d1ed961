"""The figures of an evaluation, as PNG bytes: curves, confusion matrix, predictions, and the scores of the grid.

They use matplotlib's object interface: no pyplot, so no window system, no global state, and a faster import.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import auc, average_precision_score, confusion_matrix, precision_recall_curve, roc_curve

from orchestrator.artifacts import Candidate, Split, Trained
from score.models.base import predicted

MAX_CLASSES = 10  # in curves and in labelled cells


def draw(trained: Trained, split: Split, refit: str) -> dict[str, bytes]:
    """Draw every figure that suits the task, and return them by file name; rows count by their weights, if they have some."""
    figures: dict[str, Figure | None] = {"search_heatmap.png": _heatmap(trained.candidates, refit)}
    if split.classes is None:
        figures["predicted_vs_actual.png"] = _predicted(predicted(trained.pipeline, split.X_test), split.y_test)
    else:
        labels = [str(label) for label in split.classes]
        y, weights = np.asarray(split.y_test), None if split.weights is None else np.asarray(split.weights.test)
        figures["confusion_matrix.png"] = _confusion(y, predicted(trained.pipeline, split.X_test), labels, weights)
        scores = _scores(trained.pipeline, split.X_test, len(labels))
        if scores is not None and len(labels) <= MAX_CLASSES and scores.shape[1] == len(labels):
            curves = [(label, y == code, scores[:, code]) for code, label in enumerate(labels)]
            curves = curves[1:] if len(labels) == 2 else curves
            curves = [
                curve for curve in curves if 0 < curve[1].sum() < len(y)
            ]  # needs hold-out rows of the class and of others
            figures["roc_curve.png"] = _roc(curves, weights) if curves else None
            figures["precision_recall_curve.png"] = _precision_recall(curves, weights) if curves else None
    return {name: png(figure) for name, figure in figures.items() if figure is not None}


def _scores(pipeline: Any, X: Any, classes: int) -> Any:
    """Return scores (n_rows, n_classes), greater for the likelier class; None if the estimator has none."""
    if hasattr(pipeline, "predict_proba"):
        return pipeline.predict_proba(X)
    if hasattr(pipeline, "decision_function"):
        scores = pipeline.decision_function(X)
        return np.column_stack([-scores, scores]) if classes == 2 else scores
    return None


def _axes(title: str, x: str, y: str, width: float = 5.0) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    buffer = io.BytesIO()
    # without matplotlib's version: the same numbers give the same bytes
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _roc(curves: Sequence[tuple[str, Any, Any]], weights: Any) -> Figure:
    figure, axes = _axes("ROC on the hold-out rows", "False positive rate", "True positive rate")
    for label, is_class, score in curves:
        false_positive, true_positive, _ = roc_curve(is_class, score, sample_weight=weights)
        axes.plot(false_positive, true_positive, label=f"{label} (AUC {auc(false_positive, true_positive):.3f})")
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="chance")
    axes.legend(loc="lower right")
    return figure


def _precision_recall(curves: Sequence[tuple[str, Any, Any]], weights: Any) -> Figure:
    figure, axes = _axes("Precision and recall on the hold-out rows", "Recall", "Precision")
    for label, is_class, score in curves:
        precision, recall, _ = precision_recall_curve(is_class, score, sample_weight=weights)
        average = average_precision_score(is_class, score, sample_weight=weights)
        axes.plot(recall, precision, label=f"{label} (AP {average:.3f})")
    axes.set_ylim(0, 1.03)
    axes.legend(loc="lower left")
    return figure


def _confusion(actual: Any, predicted: Any, labels: Sequence[str], weights: Any) -> Figure:
    counts = confusion_matrix(actual, predicted, labels=range(len(labels)), sample_weight=weights)
    figure, axes = _axes("Confusion matrix of the hold-out rows", "Predicted", "Actual")
    image = axes.imshow(counts, cmap="Blues", vmin=0)
    axes.set_xticks(range(len(labels)), labels, rotation=0 if len(labels) <= MAX_CLASSES else 90)
    axes.set_yticks(range(len(labels)), labels)
    if len(labels) <= MAX_CLASSES:
        _cells(axes, counts, "d" if weights is None else ".4g", dark=counts.max() / 2)
    figure.colorbar(image, ax=axes, label="rows" if weights is None else "sum of weights")
    return figure


def _predicted(predicted: Any, actual: Any) -> Figure:
    figure, axes = _axes("Predictions on the hold-out rows", "Actual", "Predicted")
    axes.scatter(actual, predicted, s=12, alpha=0.5)
    low, high = min(np.min(actual), np.min(predicted)), max(np.max(actual), np.max(predicted))
    axes.plot([low, high], [low, high], linestyle="--", color="grey", label="exact")
    axes.legend(loc="upper left")
    return figure


def _heatmap(candidates: Sequence[Candidate], refit: str) -> Figure | None:
    """Draw the best mean score over the two parameters with the most values; a curve if only one was searched.

    None if some candidates were scored on fewer rows than others.
    """
    if len({candidate.resources for candidate in candidates}) > 1:
        return None
    values: dict[str, list[str]] = {}
    for candidate in candidates:
        for name, value in candidate.params.items():
            known = values.setdefault(name, [])
            if str(value) not in known:
                known.append(str(value))
    searched = sorted((name for name in values if len(values[name]) > 1), key=lambda name: -len(values[name]))
    if not searched:
        return None
    if len(searched) == 1:
        return _curve(candidates, refit, searched[0])
    x, y = searched[:2]
    scores = np.full((len(values[y]), len(values[x])), np.nan)
    for candidate in candidates:
        row, column = values[y].index(str(candidate.params[y])), values[x].index(str(candidate.params[x]))
        scores[row, column] = np.fmax(scores[row, column], candidate.mean[refit])
    if np.isnan(scores).all():
        return None
    title = f"Cross-validated {refit}" + (", best over the other parameters" if len(searched) > 2 else "")
    figure, axes = _axes(title, x, y, width=6.0)
    image = axes.imshow(scores, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(values[x])), values[x])
    axes.set_yticks(range(len(values[y])), values[y])
    if scores.size <= MAX_CLASSES * MAX_CLASSES:
        _cells(axes, scores, ".3f", dark=None)
    figure.colorbar(image, ax=axes, label=f"mean {refit}")
    return figure


def _curve(candidates: Sequence[Candidate], refit: str, name: str) -> Figure:
    figure, axes = _axes(f"Cross-validated {refit}", name, f"mean {refit}, bar: one standard deviation")
    means = [candidate.mean[refit] for candidate in candidates]
    spread = [candidate.std[refit] for candidate in candidates]
    axes.errorbar(range(len(means)), means, yerr=spread, marker="o", capsize=3)
    axes.set_xticks(range(len(means)), [str(candidate.params[name]) for candidate in candidates])
    return figure


def _cells(axes: Any, numbers: Any, form: str, *, dark: float | None) -> None:
    """Write each cell's number in a colour that contrasts with the cell's."""
    middle = float(np.nanmin(numbers) + np.nanmax(numbers)) / 2
    for (row, column), number in np.ndenumerate(numbers):
        if not np.isnan(number):
            light = number > dark if dark is not None else number < middle
            axes.text(column, row, format(number, form), ha="center", va="center", color="white" if light else "black")
