"""Score a fitted estimator from one prediction, computing what its metrics have in common once.

On small folds metrics spend their time on checking their input. So, for scikit-learn's own metrics only, true labels
are taken out of their pandas Series once; precision, recall and F1 come from the one call that each of them makes
(``precision_recall_fscore_support``; if one of them is zero each is called by itself, because it may have to warn);
and the ROC AUC of labels 0 and 1 is the ``auc`` of the ``roc_curve``, without encoding the labels.
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
from orchestrator.search.shared_data import NotShareableError, is_exactly

RANKING_METHODS = ("decision_function", "predict_proba")  # ROC AUC is computed from the first that exists
PRECISION_RECALL_F1 = (metrics.precision_score, metrics.recall_score, metrics.f1_score)
COMBINED = "precision, recall and F1"  # a key that no scorer has


def precision_recall_f1(
    y_true: Any, y_pred: Any, *, average: str, pos_label: Any = 1, sample_weight: Any = None
) -> Any:
    """Return precision, recall and F1; scikit-learn looks at the names of the parameters."""
    options = {"average": average, "pos_label": pos_label, "sample_weight": sample_weight}
    scores = metrics.precision_recall_fscore_support(y_true, y_pred, warn_for=(), **options)[:3]
    return scores if all(scores) else tuple(metric(y_true, y_pred, **options) for metric in PRECISION_RECALL_F1)


def roc_auc(y_true: Any, y_score: Any, *, sample_weight: Any = None) -> Any:
    """Return the area under the ROC curve."""
    plain = type(y_true) is type(y_score) is np.ndarray and y_true.ndim == y_score.ndim == 1
    if sample_weight is None and plain and y_true.dtype.kind in "iu" and np.unique(y_true).tolist() == [0, 1]:
        return metrics.auc(*metrics.roc_curve(y_true, y_score)[:2])
    return metrics.roc_auc_score(y_true, y_score, sample_weight=sample_weight)


def speed_up(scorer: Any) -> Any:
    """Return a scorer with the same score: the fast ROC AUC for scikit-learn's, any other unchanged."""
    metric, options = sklearn_private.scorer_metric(scorer)
    is_roc_auc = metric is metrics.roc_auc_score and not options
    if is_roc_auc and sklearn_private.scorer_response(scorer) == RANKING_METHODS:
        return metrics.make_scorer(roc_auc, response_method=RANKING_METHODS)
    return scorer


@dataclass(frozen=True)
class FastScorer:
    """The scorers of a search."""

    scorer: Any

    @cached_property
    def _scorers(self) -> Mapping[str, Any]:
        return sklearn_private.named_scorers(self.scorer) or {}

    @cached_property
    def _combined_positions(self) -> Mapping[str, int]:
        """Scorer name -> its position in PRECISION_RECALL_F1, for those that have the same options."""
        metric_options = {name: sklearn_private.scorer_metric(scorer) for name, scorer in self._scorers.items()}
        options = {
            name: options
            for name, (metric, options) in metric_options.items()
            if metric in PRECISION_RECALL_F1
            and options.get("average") == "binary"
            and options.keys() <= {"average", "pos_label"}
        }
        first = next(iter(options.values()), None)
        positions = {
            name: PRECISION_RECALL_F1.index(metric_options[name][0]) for name in options if options[name] == first
        }
        return positions if len(positions) > 1 else {}

    @cached_property
    def _multimetric(self) -> Any:
        scorers = {
            name: speed_up(scorer) for name, scorer in self._scorers.items() if name not in self._combined_positions
        }
        if self._combined_positions:
            _, options = sklearn_private.scorer_metric(self._scorers[next(iter(self._combined_positions))])
            scorers[COMBINED] = metrics.make_scorer(precision_recall_f1, response_method="predict", **options)
        return sklearn_private.combine_scorers(scorers)

    @cached_property
    def _single(self) -> Any:
        return speed_up(self.scorer)

    @cached_property
    def _only_sklearn_metrics(self) -> bool:
        scorer_metrics = (sklearn_private.scorer_metric(scorer)[0] for scorer in self._scorers.values())
        return all(getattr(metric, "__module__", "").startswith("sklearn.metrics.") for metric in scorer_metrics)

    def convert_labels(self, y: Any) -> Any:
        """Return the true labels as the array that every metric would convert them to."""
        plain = is_exactly("pandas", y, "Series") and isinstance(y.dtype, np.dtype) and y.dtype.kind in "biuf"
        return y.to_numpy() if plain and self._only_sklearn_metrics else y

    def __call__(self, estimator: Any, X: Any, y: Any, params: Mapping[str, Any]) -> Any:
        """Return the score, or all scores by name, exactly as the search's scorers compute them.

        Raises:
            NotShareableError: a score is no number; scikit-learn has its own errors for that.
        """
        data = (X,) if y is None else (X, y)
        if sklearn_private.is_single(self.scorer):
            return _to_number(self._single(estimator, *data, **params))
        scores = self._multimetric(estimator, *data, **params)
        combined, positions = scores.get(COMBINED), self._combined_positions
        return {
            name: _to_number(combined[positions[name]] if name in positions else scores[name]) for name in self._scorers
        }


def _to_number(score: Any) -> Any:
    if hasattr(score, "item"):
        score = score.item()
    if not isinstance(score, Number):
        raise NotShareableError("a score that is no number")
    return score
