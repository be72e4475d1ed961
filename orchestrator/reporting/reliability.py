"""How far probabilities of two classes can be trusted: Brier score, expected calibration error, reliability diagram.

The expected calibration error is that of Naeini, Cooper and Hauskrecht (AAAI 2015): the distance between the mean probability and the
share of positive rows, averaged over bins of equal width by their rows. The bars of the diagram are Wilson's intervals (1927).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import brier_score_loss

from orchestrator.artifacts import Split
from orchestrator.reporting.figures import png
from orchestrator.uncertainty.shares import wilson_bounds

BINS = 10  # of equal width, from 0 to 1
DECIMALS = 12  # of the calibration error; what is below is rounding, and would be shown with 18 decimals


class Reliability(NamedTuple):
    """The bins that hold rows: arrays (n_bins,).

    ``size`` is the number of rows, of weighted ones the effective number (Kish): the squared sum of weights by the sum of
    squares. ``weight`` is the share of all weights.
    """

    predicted: Any
    observed: Any
    size: Any
    weight: Any

    @property
    def error(self) -> float:
        """The expected calibration error."""
        return round(float((self.weight * np.abs(self.predicted - self.observed)).sum()), DECIMALS)

    def bounds(self) -> tuple[Any, Any]:
        """Return the bounds of the observed shares (n_bins,)."""
        return wilson_bounds(self.observed, self.size)


def reliability(y: Any, positive: Any, weights: Any = None) -> Reliability:
    """Return the bins of probabilities ``positive`` (n_rows,) of code 1 of the codes ``y`` (n_rows,)."""
    y, positive = np.asarray(y, dtype=float), np.asarray(positive, dtype=float)
    weights = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    places = np.minimum((positive * BINS).astype(int), BINS - 1)
    total, squares, chances, hits = (
        np.bincount(places, values, BINS) for values in (weights, weights**2, weights * positive, weights * y)
    )
    used = total > 0
    total, squares, chances, hits = (each[used] for each in (total, squares, chances, hits))
    return Reliability(chances / total, hits / total, total**2 / squares, total / total.sum())


def scores(y: Any, positive: Any, weights: Any = None) -> dict[str, float]:
    """Return both scores of probabilities of code 1; of both the lower one is better."""
    return {
        "brier_score": float(brier_score_loss(y, positive, sample_weight=weights)),
        "expected_calibration_error": reliability(y, positive, weights).error,
    }


class Judged(NamedTuple):
    """The scores on the hold-out rows, those of the training rows' share as every row's probability, and the diagram."""

    scores: dict[str, float]
    dummy: dict[str, float]
    figures: dict[str, bytes]


def judge(pipeline: Any, split: Split) -> Judged:
    """Judge the probabilities of a fitted pipeline on the hold-out rows, by their weights; nothing without two classes."""
    if split.classes is None or len(split.classes) != 2 or not hasattr(pipeline, "predict_proba"):
        return Judged({}, {}, {})
    positive = pipeline.predict_proba(split.X_test)
    if positive.shape[1] != 2 or not np.isfinite(positive).all():
        return Judged({}, {}, {})
    y, weights = np.asarray(split.y_test), None if split.weights is None else np.asarray(split.weights.test)
    learned = None if split.weights is None else np.asarray(split.weights.train)
    prior = np.full(len(y), np.average(split.y_train, weights=learned))
    found = scores(y, positive[:, 1], weights)
    figure = draw(reliability(y, positive[:, 1], weights), found, str(split.classes[1]))
    return Judged(found, scores(y, prior, weights), {"reliability.png": png(figure)})


def draw(bins: Reliability, found: dict[str, float], label: str) -> Figure:
    """Draw the reliability diagram above the number of rows in each bin."""
    figure = Figure(figsize=(5.0, 5.0), dpi=110, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="calibrated")
    low, high = bins.bounds()
    bars = np.maximum(0, [bins.observed - low, high - bins.observed])
    text = f"Brier {found['brier_score']:.3f}, ECE {found['expected_calibration_error']:.3f}"
    axes.errorbar(bins.predicted, bins.observed, yerr=bars, marker="o", linestyle="", capsize=3, label=text)
    axes.set(title="Reliability on the hold-out rows", ylabel=f"Share of {label}, bar: 95 % (Wilson)")
    axes.set_ylim(-0.03, 1.03)
    axes.legend(loc="upper left")
    below.bar(bins.predicted, bins.size, width=0.6 / BINS, color="grey")
    below.set(
        xlabel=f"Mean probability of {label} in {BINS} bins of equal width",
        ylabel="Rows" if np.allclose(bins.size, np.rint(bins.size)) else "Effective rows",
    )
    return figure
