"""Intervals of hold-out metrics: for each the method whose coverage ``benchmarks/coverage.py`` found to hold.

Shares of rows by Wilson, an AUC by DeLong, mean losses by a studentised bootstrap, everything else by a BCa bootstrap:
scikit-learn's common metrics for all resamples at once, others, such as a user's, one resample after the other. Rows with
weights are always resampled; groups are left out, or resampled, as a whole.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from orchestrator.uncertainty.areas import auc_interval
from orchestrator.uncertainty.bootstrap import Resampling, bootstrap_interval, subset
from orchestrator.uncertainty.design import HoldOutDesign, is_rare
from orchestrator.uncertainty.interval import Interval
from orchestrator.uncertainty.jackknife import jackknife_interval
from orchestrator.uncertainty.recorded import OtherRowsError, RecordedEstimator
from orchestrator.uncertainty.shares import label_interval
from orchestrator.uncertainty.studentised import ratio_of, studentised_interval
from orchestrator.uncertainty.weighted_metrics import Responses, form_of

LOOP_RESAMPLES = 200  # where each costs a call of the scorer, of 2 ms
LOOP_BLOCKS = 50
EXTREMES = {"max_error", "neg_max_error"}  # no bootstrap can know how far the largest error of other rows goes
NO_JACKKNIFE = {"matthews_corrcoef", "explained_variance", "average_precision"}  # beyond 0 and 1, or biased
FREE = {"average_precision"}  # within classes its spread is too small: it hangs on how many rows are positive
SAME = 1e-9  # relative: the vectorised form computes what the scorer does


class HeldOutRows:
    """The hold-out rows ``X`` (n, d) and ``y`` (n,) with an estimator's predictions, ready for the interval of any metric.

    ``y`` holds class codes if ``classified``; ``weights`` (n,) are None where each row counts alike. Intervals are the same
    for the same ``seed``.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        design: HoldOutDesign,
        seed: int,
        *,
        classified: bool,
        weights: Any = None,
    ) -> None:
        self._recorded, self._y, self._weights = RecordedEstimator(estimator, X), y, weights
        self._seed, self._classified, self._alike = seed, classified, weights is None and design.groups is None
        codes = np.asarray(y) if classified else None
        rare = codes is not None and is_rare(codes)
        strata = None if codes is None else design.strata(codes)
        self._rows = subset(len(y), strata, design.groups, np.random.default_rng(seed))
        groups = design.groups
        if groups is not None:
            groups = np.unique(np.asarray(groups)[self._rows], return_inverse=True)[1]
        self._resampling = Resampling(len(self._rows), None if strata is None else strata[self._rows], groups)
        self._free = self._resampling if rare else Resampling(len(self._rows), None, groups)
        units = len(y) if groups is None else len(np.unique(design.groups))
        self._shrink = math.sqrt(self._resampling.units / units)  # of the spread, from these units to all of them

    def interval(self, name: str, scorer: Any, value: float, *, known: bool) -> Interval | None:
        """Return the interval of a metric with this value; None where none can be given.

        ``known``: the name is scikit-learn's own, so it says what the scorer computes. There is no interval for an extreme,
        for a metric that has no value on many resamples or the same one on all, with less than two rows of a class or two
        groups, or for a scorer that fails or predicts rows which it was not given.
        """
        if not math.isfinite(value) or self._resampling.units < 2 or (known and name in EXTREMES):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # precision of a label that no resampled row has
            try:
                found = self._exact(name) if known and self._alike else None
                found = found or self._resampled(name, scorer, value, known=known)
            except Exception:  # noqa: BLE001 - a foreign scorer may raise anything on resampled rows
                return None
        return found if found is not None and found.low < found.high else None

    def _exact(self, name: str) -> Interval | None:
        if not self._classified:
            return None
        if name == "roc_auc" and (ranking := self._responses().ranking) is not None:
            return auc_interval(np.asarray(self._y), ranking)
        return label_interval(name, self._y, self._recorded.answers("predict"))

    def _resampled(self, name: str, scorer: Any, value: float, *, known: bool) -> Interval | None:
        part = self._responses().take(self._rows)
        weights = np.ones(len(self._rows)) if self._weights is None else np.asarray(self._weights)[self._rows]
        every = len(self._rows) == len(self._y)
        ratio = ratio_of(name, part, weights) if known else None
        if ratio is not None:
            at = float(ratio.metric(np.log(ratio.above.sum() / ratio.below.sum())))
            if (not every or _same(at, value)) and (found := studentised_interval(ratio, self._resampling, self._seed)):
                return self._of_all_rows(found, at, value)
        form = form_of(name, part) if known else None
        if form is not None:
            at = float(form(part, weights[None])[0])
            if not every or _same(at, value):
                how, found = self._free if name in FREE else self._resampling, None
                if how.groups is not None and name not in NO_JACKKNIFE:
                    found = jackknife_interval(lambda counts: form(part, counts * weights), how, self._seed)
                found = found or bootstrap_interval(lambda counts: form(part, counts * weights), how, self._seed)
                return self._of_all_rows(found, at, value)
        return self._by_calls(scorer, value)

    def _by_calls(self, scorer: Any, value: float) -> Interval | None:
        """Return the interval by calling the scorer for each resample."""
        plain = hasattr(scorer, "_score_func")  # scikit-learn's, which looks at the predictions alone
        y, codes, weights = self._y, np.asarray(self._y), self._weights

        def score(counts: Any) -> float:
            rows = np.repeat(self._rows, counts.astype(int))
            weighted = {} if weights is None else {"sample_weight": np.asarray(weights)[rows]}
            X = self._recorded.take(rows, plain=plain)
            try:
                return float(scorer(self._recorded, X, codes[rows] if plain else y.iloc[rows], **weighted))
            except OtherRowsError:
                raise
            except ValueError:  # such as a class without rows
                return math.nan

        def scores(counts: Any) -> Any:
            return np.array([score(one) for one in counts])

        found = bootstrap_interval(scores, self._resampling, self._seed, resamples=LOOP_RESAMPLES, blocks=LOOP_BLOCKS)
        return self._of_all_rows(found, score(np.ones(len(self._rows))), value)

    def _of_all_rows(self, found: Interval | None, part: float, value: float) -> Interval | None:
        """Return the interval around the value on all rows, from that around the value on the resampled part."""
        if found is None or self._shrink == 1:
            return found
        low, high = (value + self._shrink * (bound - part) for bound in (found.low, found.high))
        return replace(found, low=low, high=high)

    def _responses(self) -> Responses:
        predicted, y = self._recorded.answers("predict"), np.asarray(self._y)
        predicted = predicted[:, 0] if predicted.shape[1:] == (1,) else predicted
        if not self._classified:
            return Responses(y.astype(float), predicted)
        ranking, probabilities = self._recorded.answers("decision_function"), self._recorded.answers("predict_proba")
        if ranking is None and probabilities is not None and probabilities.shape[1:] == (2,):
            ranking = probabilities[:, 1]
        return Responses(y, predicted, probabilities, ranking if ranking is not None and ranking.ndim == 1 else None)


def metric_intervals(
    rows: HeldOutRows, scorers: Mapping[str, Any], values: Mapping[str, float], known: Collection[str]
) -> dict[str, Interval]:
    """Return the interval of each metric that has one; the names in ``known`` are scikit-learn's own."""
    found = {name: rows.interval(name, scorer, values[name], known=name in known) for name, scorer in scorers.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=SAME, abs_tol=1e-12)
