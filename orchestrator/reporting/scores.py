"""What makes a score readable: the label it is of, a dummy's score beside it, and as many digits as the rows bear."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.artifacts import Report, ScoreContext, Split

DIGITS = (2, 4)  # behind the point, at least and at most


def notes_of(split: Split, metrics: Iterable[str]) -> ScoreContext:
    """Return what the scores of a split's hold-out rows depend on besides the model."""
    if split.classes is None:
        return ScoreContext(len(split.y_test), dummy="mean")
    most_frequent = split.classes[int(split.y_train.mode()[0])]
    two = len(split.classes) == 2
    positive = str(split.classes[1]) if two else ""
    return ScoreContext(
        len(split.y_test), positive, tuple(_of_positive(metrics)) if two else (), f"always {most_frequent}"
    )


def _of_positive(metrics: Iterable[str]) -> Iterator[str]:
    """Yield the metrics that change where the two labels change places: of made-up rows, by scikit-learn itself."""
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.metrics import get_scorer

    class ScoreContext(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Takes its one column for the probability of label 1."""

        classes_ = np.array([0, 1])

        def predict_proba(self, X: Any) -> Any:
            return np.column_stack([1 - X[:, 0], X[:, 0]])

        def predict(self, X: Any) -> Any:
            return (X[:, 0] > 0.5).astype(int)

    X, y = np.array([[0.1], [0.45], [0.6], [0.35], [0.8]]), np.array([0, 0, 0, 1, 1])
    for name in metrics:
        score = get_scorer(name)
        if not math.isclose(score(ScoreContext(), X, y), score(ScoreContext(), 1 - X, 1 - y), rel_tol=1e-9):
            yield name


def dummy_scores(scorers: Mapping[str, Any], split: Split) -> dict[str, float]:
    """Score on the hold-out rows what knows the training labels alone: their shares and the most frequent, or the mean.

    A metric that cannot be computed for it is left out.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    dummy = DummyRegressor() if split.classes is None else DummyClassifier(strategy="prior")
    dummy.fit(split.X_train, split.y_train)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # precision of a label that is never predicted
        for name, score in scorers.items():
            try:
                found[name] = float(score(dummy, split.X_test, split.y_test))
            except Exception:  # noqa: BLE001, S112 - a foreign scorer may raise anything
                continue
    return found


def decimals_of(value: float, rows: int) -> int:
    """Return how many digits behind the point a score of so many rows bears: one row changes the last of them."""
    digits = min(max(len(str(rows)), DIGITS[0]), DIGITS[1]) if rows else 3
    size = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    return max(0, digits - size) if size > 0 or size < -digits else digits


def format_score(value: float, rows: int) -> str:
    """Return a score with as many digits as its rows bear."""
    return f"{value:.{decimals_of(value, rows)}f}"


def score_table(report: Report) -> Sequence[str]:
    """Return lines with each metric of the hold-out rows, cross-validated and of a dummy; none without a dummy."""
    notes, found = report.notes, report.metrics
    metrics = [name.removeprefix("holdout_") for name in found if name.startswith("holdout_")]
    if not notes.rows:
        return []
    rows = [["", f"hold-out ({notes.rows} rows)", "cross-validated", f"dummy ({notes.dummy})"]]
    for metric in metrics:
        label = f"{metric} of {notes.positive}" if metric in notes.positive_metrics else metric
        rows.append([label, *(_cell(found, kind, metric, notes.rows) for kind in ("holdout", "mean_test", "dummy"))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cell(found: Mapping[str, float], kind: str, metric: str, rows: int) -> str:
    value, std = found.get(f"{kind}_{metric}"), found.get(f"std_test_{metric}")
    if value is None:
        return ""
    text = format_score(value, rows)
    return f"{text} ± {std:.{decimals_of(value, rows)}f}" if kind == "mean_test" and std is not None else text
