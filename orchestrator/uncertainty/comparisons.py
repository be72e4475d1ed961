"""Compare two models by paired tests: on the same folds, on the same hold-out rows, and for areas under ROC curves.

Each test gives a :class:`PairedComparison`; decisions and what would be needed for one are computed from it alone. Scores are
such that greater is better.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from orchestrator.uncertainty.bootstrap import Resampling, subset
from orchestrator.uncertainty.delong import delong

Rule = Literal["better", "not_worse"]
RESAMPLES = 400  # the standard error of a bootstrap is then known to 4 %
COMPUTED = 0.8  # share of the resamples for which a score must exist
POWER = 0.8
ROUNDING = 1e-6  # of a difference: a standard error below it is no spread, but rounding


@dataclass(frozen=True)
class PairedComparison:
    """A ``difference`` of two models' scores, the first less the second, and its ``standard_error`` on ``rows`` rows.

    It follows Student's t with ``degrees`` of freedom (infinite: a normal distribution) around the true difference. Where
    nothing spreads, as with a perfect model, n pairs can say no more than the sign test: 1 / 2**n, with n - 1 degrees.
    """

    method: str
    first: float
    second: float
    standard_error: float
    degrees: float
    rows: int

    @property
    def difference(self) -> float:
        """The estimate."""
        return self.first - self.second

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the two-sided confidence interval of the difference."""
        half = self._quantile((1 + level) / 2) * self.standard_error
        return self.difference - half, self.difference + half

    def p_value(self, margin: float = 0.0) -> float:
        """Return the one-sided p-value of the hypothesis that the true difference is at most ``margin``."""
        if self.standard_error == 0:
            return 0.5 ** (self.degrees + 1) if self.difference > margin else 1.0
        return float(stats.t.sf((self.difference - margin) / self.standard_error, self.degrees))

    def lower_bound(self, alpha: float) -> float:
        """Return the one-sided lower confidence bound of the difference at level 1 - ``alpha``."""
        if self.standard_error == 0 and self.p_value() > alpha:  # nothing spreads on too few rows
            return min(self.difference, 0.0)
        return self.difference - self._quantile(1 - alpha) * self.standard_error

    def _quantile(self, share: float) -> float:
        return float(stats.t.ppf(share, self.degrees)) if self.standard_error else 0.0


def is_shown(comparison: PairedComparison, rule: Rule, margin: float, alpha: float) -> bool:
    """Decide whether the first model is shown to be better by more than ``margin``, or worse by less than that.

    The second is a test of non-inferiority: what would have to be shown to be false is a loss of ``margin`` or more.
    """
    return comparison.p_value(threshold_of(rule, margin)) <= alpha


def threshold_of(rule: Rule, margin: float) -> float:
    """Return the difference that has to be exceeded."""
    return margin if rule == "better" else -margin


@dataclass(frozen=True)
class Needed:
    """What a decision needs with a probability of 0.8: this ``difference`` on these rows, or this many ``rows``.

    ``rows`` is for the difference as estimated; None where that is on the wrong side of the threshold.
    """

    difference: float
    rows: int | None


def needed_for(comparison: PairedComparison, rule: Rule, margin: float, alpha: float) -> Needed:
    """Return what would have made the decision likely; the standard error shrinks with the root of the rows."""
    threshold = threshold_of(rule, margin)
    if comparison.standard_error == 0:
        return Needed(threshold, None)
    beyond, error, degrees = comparison.difference - threshold, comparison.standard_error, comparison.degrees
    reach = float(stats.t.ppf(1 - alpha, degrees) + stats.t.ppf(POWER, degrees)) * error
    of_many = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(POWER)) * error  # with more rows there are more degrees
    rows = math.ceil(comparison.rows * (of_many / beyond) ** 2) if beyond > 0 else None
    return Needed(threshold + reach, rows)


def compare_folds(first: Sequence[float], second: Sequence[float], test_share: float, rows: int) -> PairedComparison:
    """Compare two models' scores on the same folds by the corrected resampled t-test.

    ``test_share`` is the ratio of a fold's test rows to its training rows. The correction takes account of training rows
    that folds share. C. Nadeau and Y. Bengio (2003), Inference for the generalization error, Machine Learning 52.

    Raises:
        ValueError: there are fewer than two folds, or their numbers differ.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"two folds or more are needed, the same for both models; got {len(a)} and {len(b)}")
    variance = float(np.var(a - b, ddof=1))
    error = math.sqrt((1 / len(a) + test_share) * variance)
    return PairedComparison(f"corrected t-test on {len(a)} folds", a.mean(), b.mean(), error, len(a) - 1, rows)


def compare_aucs(y: Any, first: Any, second: Any) -> PairedComparison:
    """Compare the areas under the ROC curves of two vectors of scores (n,) on the same rows by DeLong's test.

    ``y`` (n,) is 1 for positive rows. E. DeLong, D. DeLong and D. Clarke-Pearson (1988), Biometrics 44.
    """
    found = delong(y, np.stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)]))
    (one, two), ((a, c), (_, b)) = found.aucs, found.covariance
    error, degrees = math.sqrt(max(float(a + b - 2 * c), 0.0)), math.inf
    if np.array_equal(stats.rankdata(first), stats.rankdata(second)):
        error = 0.0  # the same order: what is left of the variance is rounding
    elif error <= ROUNDING * abs(float(one - two)):  # one separates the classes perfectly, the other knows nothing
        error, degrees = 0.0, int(min(np.sum(y == 1), np.sum(y == 0))) - 1
    return PairedComparison("DeLong's test", float(one), float(two), error, degrees, len(y))


Score = Callable[
    [Any, Any], tuple[Any, Any]
]  # positions (m,) and how often each counts (b, m) -> both models' scores (b,)


def by_rows(score: Callable[[Any], tuple[float, float]]) -> Score:
    """Return the :data:`Score` that calls a function of positions for each resample; what it cannot compute is NaN."""

    def score_each(positions: Any, counts: Any) -> tuple[Any, Any]:
        found = []
        for one in counts:
            try:
                found.append(score(np.repeat(positions, one.astype(int))))
            except ValueError:  # such as a class that no resampled row has
                found.append((math.nan, math.nan))
        first, second = np.array(found, dtype=float).T
        return first, second

    return score_each


def compare_by_bootstrap(
    score: Score,
    rows: int,
    *,
    differing: int,
    seed: int,
    strata: Any = None,
    groups: Any = None,
    resamples: int = RESAMPLES,
) -> PairedComparison:
    """Compare any score of two models on the same ``rows`` rows by resampling them in pairs.

    Rows are drawn within ``strata`` (n,), which are class codes, or by whole ``groups`` (n,), as rows of one group say the
    same twice; of many rows a part is resampled. The standard error is that of the resampled differences, and Student's t has
    as many degrees of freedom as rows (or groups) on which the models are ``differing``, less one: where labels differ in
    three rows, these are all the evidence there is, as in McNemar's test. B. Efron and R. Tibshirani (1993), An Introduction
    to the Bootstrap, chapters 6 and 16.

    Raises:
        ValueError: the score does not exist for all rows, or for more than a fifth of the resamples.
    """
    first, second = score(np.arange(rows), np.ones((1, rows)))
    one, two = float(first[0]), float(second[0])
    if not (math.isfinite(one) and math.isfinite(two)):
        raise ValueError("the score cannot be computed for these rows")
    method = f"paired bootstrap of {rows:,} rows" if groups is None else "paired bootstrap of whole groups"
    if differing == 0:
        return PairedComparison(method, one, two, 0.0, math.inf, rows)
    random = np.random.default_rng(seed)
    codes = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    positions = subset(rows, strata, codes, random)
    part = None if codes is None else np.unique(codes[positions], return_inverse=True)[1]
    resampling = Resampling(len(positions), None if strata is None else np.asarray(strata)[positions], part)
    drawn = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of a class that a resample does not predict
        for counts in resampling.counts(resamples, seed):
            first, second = score(positions, counts)
            drawn.append(np.asarray(first) - np.asarray(second))
    differences = np.concatenate(drawn)
    finite = differences[np.isfinite(differences)]
    if len(finite) < COMPUTED * resamples:
        raise ValueError(f"the score cannot be computed for {resamples - len(finite)} of {resamples} resamples")
    units = rows if codes is None else int(codes.max()) + 1
    error = float(np.std(finite, ddof=1)) * math.sqrt(resampling.units / units)
    error = error if error > ROUNDING * abs(one - two) else 0.0
    return PairedComparison(method, one, two, error, max(differing - 1, 1), rows)
