"""Predictions of models on the same hold-out rows, as estimators that scikit-learn's scorers can score."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from orchestrator.artifacts import Split
from orchestrator.modeling.scorers import sklearn_names
from orchestrator.uncertainty.areas import auc_interval
from orchestrator.uncertainty.comparisons import PairedComparison, Score, by_rows, compare_aucs, compare_by_bootstrap
from orchestrator.uncertainty.design import HoldOutDesign
from orchestrator.uncertainty.interval import Interval
from orchestrator.uncertainty.shares import label_interval
from orchestrator.uncertainty.weighted_metrics import Responses, form_of

AUC = "roc_auc"


@dataclass(frozen=True)
class Predictions:
    """What a model predicts for n rows: class codes or numbers (n,), ``probabilities`` (n, k) in the order of the codes.

    ``ranking`` (n,) is the decision function of two classes, where the model has one. None without them.
    """

    predicted: Any
    probabilities: Any = None
    ranking: Any = None

    @property
    def score(self) -> Any:
        """What orders the rows of two classes; None if nothing does."""
        if self.ranking is not None or self.probabilities is None:
            return self.ranking
        return self.probabilities[:, 1]

    def take(self, rows: Any) -> Predictions:
        """Return the predictions for the rows at these positions."""
        parts = (self.predicted, self.probabilities, self.ranking)
        return Predictions(*(None if part is None else part[rows] for part in parts))


def predict(pipeline: Any, X: pd.DataFrame) -> Predictions:
    """Return what a fitted pipeline predicts."""
    probabilities = pipeline.predict_proba(X) if hasattr(pipeline, "predict_proba") else None
    ranking = np.asarray(pipeline.decision_function(X)) if hasattr(pipeline, "decision_function") else np.empty((0, 0))
    return Predictions(np.asarray(pipeline.predict(X)), probabilities, ranking if ranking.ndim == 1 else None)


class _Known(BaseEstimator):  # type: ignore[misc]
    """Returns known predictions for the rows whose positions are in the index of ``X``."""

    def __init__(self, known: Predictions | None = None) -> None:
        self.known: Any = known

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: pd.DataFrame) -> Any:
        """Return class codes, or numbers (n_rows,)."""
        return self.known.predicted[X.index.to_numpy()]


class KnownRegressor(RegressorMixin, _Known):  # type: ignore[misc]
    """A regressor of known predictions."""


class KnownClassifier(ClassifierMixin, _Known):  # type: ignore[misc]
    """A classifier of known predictions of ``classes`` classes."""

    def __init__(self, known: Predictions | None = None, classes: int = 2) -> None:
        super().__init__(known)
        self.classes = classes

    @property
    def classes_(self) -> Any:
        """The class codes."""
        return np.arange(self.classes)

    @available_if(lambda self: self.known.probabilities is not None)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Return probabilities (n_rows, n_classes)."""
        return self.known.probabilities[X.index.to_numpy()]

    @available_if(lambda self: self.known.ranking is not None)  # type: ignore[untyped-decorator]
    def decision_function(self, X: pd.DataFrame) -> Any:
        """Return the decision function (n_rows,)."""
        return self.known.ranking[X.index.to_numpy()]


@dataclass(frozen=True)
class HoldOutRows:
    """Rows that models are compared on: ``X`` (n, n_columns) with a new index, targets, weights and groups (n,) or None.

    ``design`` says how they were held out, and so how they are drawn again.
    """

    X: pd.DataFrame
    y: Any
    classes: int | None
    weights: Any = None
    groups: Any = None
    design: HoldOutDesign = field(default_factory=HoldOutDesign)

    @property
    def strata(self) -> Any:
        """The classes (n,) that rows are drawn within; None where they are not."""
        return None if self.classes is None else self.design.strata(self.y)

    @classmethod
    def of(cls, split: Split, rows: Any = None) -> HoldOutRows:
        """Return the hold-out rows of a split, or those at some positions."""
        chosen = np.arange(len(split.y_test)) if rows is None else rows
        weights = None if split.weights is None else split.weights.test.to_numpy()[chosen]
        groups = (
            None if split.design is None or split.design.groups is None else np.asarray(split.design.groups)[chosen]
        )
        X, y = split.X_test.iloc[chosen].reset_index(drop=True), split.y_test.to_numpy()[chosen]
        design = HoldOutDesign() if split.design is None else replace(split.design, groups=groups)
        return cls(X, y, None if split.classes is None else len(split.classes), weights, groups, design)

    def scores_of(self, metric: str, scorer: Any, first: Predictions, second: Predictions | None = None) -> Score:
        """Return a function that scores two models on resampled rows; without a second one that is 0."""
        of_first = self._score_of(metric, scorer, first)
        of_second = None if second is None else self._score_of(metric, scorer, second)

        def score(positions: Any, counts: Any) -> tuple[Any, Any]:
            found = of_first(positions, counts)
            return found, np.zeros(len(counts)) if of_second is None else of_second(positions, counts)

        return score

    def _score_of(self, metric: str, scorer: Any, model: Predictions) -> Callable[[Any, Any], Any]:
        """Return the scores of a model: all resamples at once where the metric has such a form, else one by one."""
        weights = np.ones(len(self.y)) if self.weights is None else self.weights
        known = KnownRegressor(model) if self.classes is None else KnownClassifier(model, self.classes)

        def of_rows(rows: Any) -> tuple[float, float]:
            weighted = {} if self.weights is None else {"sample_weight": self.weights[rows]}
            return float(scorer(known, self.X.iloc[rows], self.y[rows], **weighted)), 0.0

        one_by_one = by_rows(of_rows)
        responses = Responses(self.y, model.predicted, model.probabilities, model.score)
        form = form_of(metric, responses) if [*sklearn_names([metric])] else None
        if form is not None:
            at_once = form
            exact, same = of_rows(np.arange(len(self.y)))[0], float(at_once(responses, weights[None])[0])
            if math.isclose(exact, same, rel_tol=1e-9, abs_tol=1e-12):
                return lambda positions, counts: at_once(responses.take(positions), counts * weights[positions])
        return lambda positions, counts: one_by_one(positions, counts)[0]


def compare(
    rows: HoldOutRows, metric: str, scorer: Any, first: Predictions, second: Predictions, seed: int
) -> PairedComparison:
    """Compare two models on the same rows by a metric: AUCs by DeLong's test, anything else by a paired bootstrap.

    Raises:
        ValueError: the metric cannot be computed for one of them.
    """
    if metric == AUC and rows.classes == 2 and rows.weights is None and rows.groups is None:
        if first.score is None or second.score is None:
            raise ValueError(f"{metric} needs probabilities, which one of the models does not give")
        return compare_aucs(rows.y, first.score, second.score)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a class that is never predicted
            return compare_by_bootstrap(
                rows.scores_of(metric, scorer, first, second),
                len(rows.y),
                differing=_differing(rows, scorer, first, second),
                seed=seed,
                strata=rows.strata,
                groups=rows.groups,
            )
    except (AttributeError, TypeError) as error:  # probabilities that a scorer needs and a model does not give
        raise ValueError(f"{metric} cannot be computed: {error}") from error


def interval_of(rows: HoldOutRows, metric: str, model: Predictions, level: float) -> Interval | None:
    """Return the interval of scikit-learn's ``metric`` that follows from counts or ranks; None if there is none.

    Raises:
        ValueError: a class has less than two rows, by which no area can be judged.
    """
    if rows.classes is None or rows.weights is not None or rows.groups is not None:
        return None
    if metric != AUC:
        return label_interval(metric, rows.y, model.predicted, level)
    return auc_interval(rows.y, model.score, level) if rows.classes == 2 and model.score is not None else None


def _differing(rows: HoldOutRows, scorer: Any, first: Predictions, second: Predictions) -> int:
    """Return on how many rows, or groups, two models differ in what the scorer looks at."""
    differ = first.predicted != second.predicted
    if getattr(scorer, "_response_method", "") != "predict" and rows.classes is not None:
        for one, two in ((first.probabilities, second.probabilities), (first.score, second.score)):
            if one is not None and two is not None:
                unequal = np.asarray(one) != np.asarray(two)
                differ = differ | (unequal if unequal.ndim == 1 else unequal.any(axis=1))
    return len(np.unique(np.asarray(rows.groups)[differ])) if rows.groups is not None else int(np.sum(differ))
