"""Scores for readers: the positive label, intervals, a dummy's score for comparison, and only significant digits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.artifacts import Report, ScoreContext, Split
from orchestrator.modeling.dummy import fit_dummy
from orchestrator.modeling.scorers import sklearn_names
from orchestrator.modeling.weights import score_params
from orchestrator.uncertainty.interval import Interval, decimals_for

FEW_GROUPS = 30
LOSSES = ("brier_score", "expected_calibration_error")  # of which the lower one is better


def score_notes(split: Split, metrics: Iterable[str]) -> ScoreContext:
    """Return what is needed to read the scores of a split: rows, positive label, metrics of it, and the dummy."""
    import numpy as np

    weight = split.weights.column if split.weights else ""
    if split.classes is None:
        return ScoreContext(len(split.y_test), dummy="mean", weight=weight, caution=_caution(split))
    counts = (
        split.weights.train.groupby(split.y_train).sum() if split.weights else split.y_train.value_counts(sort=False)
    )
    most_frequent = split.classes[int(np.argmax(counts.reindex(range(len(split.classes)), fill_value=0)))]
    is_binary = len(split.classes) == 2
    positive = str(split.classes[1]) if is_binary else ""
    of_positive = tuple(_asymmetric(metrics)) if is_binary else ()
    return ScoreContext(len(split.y_test), positive, of_positive, f"always {most_frequent}", weight, _caution(split))


def _caution(split: Split) -> str:
    """Return what the intervals of this hold-out set take for granted; "" if that is only that rows are independent."""
    if split.design is None:
        return ""
    if split.design.ordered:
        return (
            "The intervals take the hold-out rows as independent; rows that follow each other in time may not be, and then "
            "the intervals are too narrow."
        )
    if split.design.groups is None:
        return ""
    groups, by = len(set(split.design.groups.tolist())), split.summary.by if split.summary else ""
    few = "; these are few, so take them as rough" if groups < FEW_GROUPS else ""
    return f"The intervals are of {groups:,} groups of '{by}', not of single rows{few}."


def score_intervals(
    estimator: Any,
    split: Split,
    scorers: Mapping[str, Any],
    values: Mapping[str, float],
    *,
    own: Collection[str],
    seed: int,
) -> dict[str, Interval]:
    """Return the intervals of metrics with these values on the hold-out rows; ``own`` are the names of a user's scorers."""
    from orchestrator.uncertainty.design import HoldOutDesign
    from orchestrator.uncertainty.intervals import HeldOutRows, metric_intervals

    rows = HeldOutRows(
        estimator,
        split.X_test,
        split.y_test,
        split.design or HoldOutDesign(),
        seed,
        classified=split.classes is not None,
        weights=None if split.weights is None else split.weights.test.to_numpy(),
    )
    return metric_intervals(rows, scorers, values, {*sklearn_names([*scorers])} - {*own})


def brier_interval(estimator: Any, split: Split, value: float, seed: int) -> Interval | None:
    """Return the interval of a Brier score, which is the loss, and so has the opposite sign of scikit-learn's score.

    None where there is none, such as of a perfect model.
    """
    from sklearn.metrics import get_scorer

    name = "neg_brier_score"
    found = score_intervals(estimator, split, {name: get_scorer(name)}, {name: -value}, own=(), seed=seed).get(name)
    return None if found is None else replace(found, low=-found.high, high=-found.low)


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
    """Score a dummy on the hold-out rows, by their weights; metrics that cannot be computed for it are left out."""
    dummy, computed = fit_dummy(split), dict[str, float]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # precision of a label that is never predicted
        for name, score in scorers.items():
            try:
                computed[name] = float(score(dummy, split.X_test, split.y_test, **score_params(split.weights)))
            except Exception:  # noqa: BLE001, S112 - a foreign scorer may raise anything
                continue
    return computed


def format_score(value: float, rows: int, interval: Interval | None = None) -> str:
    """Format a score with the decimals that are significant for its interval, or for this number of rows."""
    return f"{value:.{decimals_for(value, rows, interval)}f}"


def score_table(report: Report) -> Sequence[str]:
    """Return the lines of a table of each metric: on the hold-out rows with its interval, cross-validated, of the dummy."""
    notes, scores = report.notes, report.metrics
    metrics = [name.removeprefix("holdout_") for name in scores if name.startswith("holdout_")]
    if not notes.rows:
        return []
    weighted = f", weighted by '{notes.weight}'" if notes.weight else ""
    bounds = [f"{next(iter(report.intervals.values())).level:.0%} interval"] if report.intervals else []
    rows = [["", f"hold-out ({notes.rows} rows{weighted})", *bounds, "cross-validated", f"dummy ({notes.dummy})"]]
    for metric in metrics:
        label = f"{metric} of {notes.positive}" if metric in notes.positive_metrics else metric
        label += " (lower is better)" if metric in LOSSES else ""
        interval = report.intervals.get(metric)
        held_out, *others = (
            _cell(scores, kind, metric, notes.rows, interval) for kind in ("holdout", "mean_test", "dummy")
        )
        rows.append([label, held_out, *([interval.text() if interval else "none"] if bounds else []), *others])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    below = [notes.caution] if bounds and notes.caution else []
    if report.decision:
        below.append(f"Label {report.decision.line}; cross-validated scores are of the estimator's own labels.")
    if report.params.get("search.fit_on") == "all":
        below.append(
            "The shipped model was fitted again on all rows; these are the scores of the fit on the training rows."
        )
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ] + below


def _cell(scores: Mapping[str, float], kind: str, metric: str, rows: int, interval: Interval | None) -> str:
    value, std = scores.get(f"{kind}_{metric}"), scores.get(f"std_test_{metric}")
    if value is None:
        return ""
    text = format_score(value, rows, interval)
    return (
        f"{text} ± {std:.{decimals_for(value, rows, interval)}f}" if kind == "mean_test" and std is not None else text
    )
