"""Scores of a fitted estimator from one prediction, with what metrics have in common computed once.

On small folds metrics mostly check their input. So, among scikit-learn's own metrics only, true labels are taken out of
their pandas Series once; precision, recall and F1 come from the one call that each of them makes anyway
(``precision_recall_fscore_support``; where one of them is zero it may have to warn, so each is asked by itself); and the
ROC AUC of labels that are 0 and 1 is the ``auc`` of the ``roc_curve`` at once, as labels need no encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Number
from typing import Any

import numpy as np
from sklearn import metrics

from orchestrator.search import sklearn_private
from orchestrator.search.shared_data import Unshareable, is_of

RANKED = ("decision_function", "predict_proba")  # what ROC AUC is computed from, whichever there is
THREE = (metrics.precision_score, metrics.recall_score, metrics.f1_score)
TOGETHER = "precision, recall and F1"  # no scorer's name


def three(y_true: Any, y_pred: Any, *, average: str, pos_label: Any = 1, sample_weight: Any = None) -> Any:
    """Precision, recall and F1; scikit-learn asks for the names of the parameters."""
    options = {"average": average, "pos_label": pos_label, "sample_weight": sample_weight}
    found = metrics.precision_recall_fscore_support(y_true, y_pred, warn_for=(), **options)[:3]
    return found if all(found) else tuple(metric(y_true, y_pred, **options) for metric in THREE)


def area(y_true: Any, y_score: Any, *, sample_weight: Any = None) -> Any:
    """The area under the ROC curve."""
    plain = type(y_true) is type(y_score) is np.ndarray and y_true.ndim == y_score.ndim == 1
    if sample_weight is None and plain and y_true.dtype.kind in "iu" and np.unique(y_true).tolist() == [0, 1]:
        return metrics.auc(*metrics.roc_curve(y_true, y_score)[:2])
    return metrics.roc_auc_score(y_true, y_score, sample_weight=sample_weight)


def quick(scorer: Any) -> Any:
    """A scorer with the same score."""
    metric, options = sklearn_private.metric_of(scorer)
    if metric is metrics.roc_auc_score and not options and sklearn_private.response_of(scorer) == RANKED:
        return metrics.make_scorer(area, response_method=RANKED)
    return scorer


@dataclass(frozen=True)
class Scoring:
    """The scorers of a search."""

    scorer: Any

    @cached_property
    def _named(self) -> Mapping[str, Any]:
        return sklearn_private.scorers_of(self.scorer) or {}

    @cached_property
    def _of_three(self) -> Mapping[str, int]:
        """Which scorers are precision, recall or F1 with the same options, and which of the three each is."""
        found = {name: sklearn_private.metric_of(scorer) for name, scorer in self._named.items()}
        options = {
            name: options
            for name, (metric, options) in found.items()
            if metric in THREE and options.get("average") == "binary" and options.keys() <= {"average", "pos_label"}
        }
        first = next(iter(options.values()), None)
        alike = {name: THREE.index(found[name][0]) for name in options if options[name] == first}
        return alike if len(alike) > 1 else {}

    @cached_property
    def _shared(self) -> Any:
        alone = {name: quick(scorer) for name, scorer in self._named.items() if name not in self._of_three}
        if self._of_three:
            _, options = sklearn_private.metric_of(self._named[next(iter(self._of_three))])
            alone[TOGETHER] = metrics.make_scorer(three, response_method="predict", **options)
        return sklearn_private.together(alone)

    @cached_property
    def _quick(self) -> Any:
        return quick(self.scorer)

    @cached_property
    def _stock(self) -> bool:
        modules = [getattr(sklearn_private.metric_of(scorer)[0], "__module__", "") for scorer in self._named.values()]
        return all(module.startswith("sklearn.metrics.") for module in modules)

    def labels(self, y: Any) -> Any:
        """What the metrics make of the true labels first thing, so that not each of them has to."""
        plain = is_of("pandas", y, "Series") and isinstance(y.dtype, np.dtype) and y.dtype.kind in "biuf"
        return y.to_numpy() if plain and self._stock else y

    def __call__(self, estimator: Any, X: Any, y: Any, params: Mapping[str, Any]) -> Any:
        """The score, or all scores by name, exactly as the scorers of the search give them.

        Raises:
            Unshareable: one is no number: scikit-learn says what is to be said about that.
        """
        data = (X,) if y is None else (X, y)
        if sklearn_private.is_single(self.scorer):
            return _number(self._quick(estimator, *data, **params))
        scores = self._shared(estimator, *data, **params)
        together = scores.get(TOGETHER)
        return {
            name: _number(together[self._of_three[name]] if name in self._of_three else scores[name])
            for name in self._named
        }


def _number(score: Any) -> Any:
    if hasattr(score, "item"):
        score = score.item()
    if not isinstance(score, Number):
        raise Unshareable("a score that is no number")
    return score
