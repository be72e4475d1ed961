"""Scores for readers: the positive label, a dummy's score for comparison, and only significant digits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.artifacts import Report, ScoreContext, Split
from orchestrator.modeling.scorers import sklearn_names
from orchestrator.modeling.weights import score_params

DIGITS = (2, 4)  # decimals, at least and at most
LOSSES = ("brier_score", "expected_calibration_error")  # of which the lower one is better


def score_notes(split: Split, metrics: Iterable[str]) -> ScoreContext:
    """Return what is needed to read the scores of a split: rows, positive label, metrics of it, and the dummy."""
    import numpy as np

    weight = split.weights.column if split.weights else ""
    if split.classes is None:
        return ScoreContext(len(split.y_test), dummy="mean", weight=weight)
    counts = (
        split.weights.train.groupby(split.y_train).sum() if split.weights else split.y_train.value_counts(sort=False)
    )
    most_frequent = split.classes[int(np.argmax(counts.reindex(range(len(split.classes)), fill_value=0)))]
    is_binary = len(split.classes) == 2
    positive = str(split.classes[1]) if is_binary else ""
    of_positive = tuple(_asymmetric(metrics)) if is_binary else ()
    return ScoreContext(len(split.y_test), positive, of_positive, f"always {most_frequent}", weight)


def _asymmetric(metrics: Iterable[str]) -> Iterator[str]:
    """Yield the metrics whose value for made-up rows changes when the two labels are swapped."""
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.metrics import get_scorer

    class OneColumnClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """A classifier that returns its one column as the probability of label 1."""

        classes_ = np.array([0, 1])

        def predict_proba(self, X: Any) -> Any:
            return np.column_stack([1 - X[:, 0], X[:, 0]])

        def predict(self, X: Any) -> Any:
            return (X[:, 0] > 0.5).astype(int)

    X, y = np.array([[0.1], [0.45], [0.6], [0.35], [0.8]]), np.array([0, 0, 0, 1, 1])
    for name in sklearn_names([*metrics]):
        score = get_scorer(name)
        if not math.isclose(
            score(OneColumnClassifier(), X, y), score(OneColumnClassifier(), 1 - X, 1 - y), rel_tol=1e-9
        ):
            yield name


def dummy_scores(scorers: Mapping[str, Any], split: Split) -> dict[str, float]:
    """Score on the hold-out rows a dummy that knows only the class frequencies, or the mean, of the training rows.

    Both the dummy and its scores count rows by their weights, if they have some.

    Metrics that cannot be computed for it are left out.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    dummy = DummyRegressor() if split.classes is None else DummyClassifier(strategy="prior")
    weighted = {} if split.weights is None else split.weights.score_params(training=True)
    dummy.fit(split.X_train, split.y_train, **weighted)
    computed = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # precision of a label that is never predicted
        for name, score in scorers.items():
            try:
                computed[name] = float(score(dummy, split.X_test, split.y_test, **score_params(split.weights)))
            except Exception:  # noqa: BLE001, S112 - a foreign scorer may raise anything
                continue
    return computed


def decimals_for(value: float, rows: int) -> int:
    """Return the number of significant decimals of a score: the last one is about what a single row changes."""
    digits = min(max(len(str(rows)), DIGITS[0]), DIGITS[1]) if rows else 3
    size = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    return max(0, digits - size) if size > 0 or size < -digits else digits


def format_score(value: float, rows: int) -> str:
    """Format a score with the decimals that are significant for this number of rows."""
    return f"{value:.{decimals_for(value, rows)}f}"


def score_table(report: Report) -> Sequence[str]:
    """Return the lines of a table of each metric: on the hold-out rows, cross-validated, and of the dummy."""
    notes, scores = report.notes, report.metrics
    metrics = [name.removeprefix("holdout_") for name in scores if name.startswith("holdout_")]
    if not notes.rows:
        return []
    weighted = f", weighted by '{notes.weight}'" if notes.weight else ""
    rows = [["", f"hold-out ({notes.rows} rows{weighted})", "cross-validated", f"dummy ({notes.dummy})"]]
    for metric in metrics:
        label = f"{metric} of {notes.positive}" if metric in notes.positive_metrics else metric
        label += " (lower is better)" if metric in LOSSES else ""
        rows.append([label, *(_cell(scores, kind, metric, notes.rows) for kind in ("holdout", "mean_test", "dummy"))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    labels = (
        [f"Label {report.decision.line}; cross-validated scores are of the estimator's own labels."]
        if report.decision
        else []
    )
    again = ["The shipped model was fitted again on all rows; these are the scores of the fit on the training rows."]
    return (
        [
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        + labels
        + (again if report.params.get("search.fit_on") == "all" else [])
    )


def _cell(scores: Mapping[str, float], kind: str, metric: str, rows: int) -> str:
    value, std = scores.get(f"{kind}_{metric}"), scores.get(f"std_test_{metric}")
    if value is None:
        return ""
    text = format_score(value, rows)
    return f"{text} ± {std:.{decimals_for(value, rows)}f}" if kind == "mean_test" and std is not None else text
