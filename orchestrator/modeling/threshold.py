"""The decision threshold of two classes: chosen on out-of-fold predictions of the training rows, and applied to a pipeline.

The labels that it gives are those of :func:`score.predict.decision.decide`, which a service uses, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from orchestrator.errors import DataError
from orchestrator.modeling import calibration
from orchestrator.modeling.decision import Decision, LabelScores
from orchestrator.spec.evaluate import EvaluateSpec
from score.predict.decision import SLACK, decide

if TYPE_CHECKING:
    from orchestrator.artifacts import Split, Trained
    from orchestrator.modeling.splitting.folds import Folds

DECIMALS = 6  # of a chosen threshold


class DecidedPipeline(Pipeline):  # type: ignore[misc]  # untyped base
    """A fitted pipeline of two classes whose ``predict`` compares the positive label's probability with a ``threshold``."""

    threshold: float

    def predict(self, X: Any, **params: Any) -> Any:
        """Predict the class code of each row (n_rows,)."""
        return decide(self.predict_proba(X, **params), self.threshold)


def decided(pipeline: Any, decision: Decision | None) -> Any:
    """Return the pipeline with labels by the threshold; the pipeline itself without one."""
    if decision is None:
        return pipeline
    made = DecidedPipeline(pipeline.steps)
    made.threshold = decision.threshold
    return made


def make_decision(spec: EvaluateSpec, trained: Trained, split: Split, cv: Any) -> Decision | None:
    """Return the decision that a specification asks for; None where the estimator's own ``predict`` decides.

    Raises:
        DataError: there are not two classes, no probabilities, or too few predictions to choose by.
    """
    if not spec.decides:
        return None
    at = "evaluate.threshold"
    if split.classes is None or len(split.classes) != 2:
        what = "a regression" if split.classes is None else f"{len(split.classes)} classes"
        raise DataError(f"{at}: decides between two classes, and this is {what}; write 0.5")
    if not hasattr(trained.pipeline, "predict_proba"):
        raise DataError(f"{at}: {type(trained.pipeline[-1]).__name__} gives no probabilities; write 0.5")
    positive = str(split.classes[1])
    if isinstance(spec.threshold, float):
        return Decision(spec.threshold, "fixed", positive, params=spec.flat())
    rows, scores = out_of_fold(trained, split, cv)
    y = split.y_train.to_numpy()[rows]
    weights = None if split.weights is None else split.weights.train.to_numpy()[rows]
    return choose(y, scores, spec, positive, weights)


def out_of_fold(trained: Trained, split: Split, cv: Any) -> tuple[Any, Any]:
    """Return positions of training rows (n,), and the positive class's probability (n,) by a fit that has not seen each.

    The folds are the search's, and each fit is one of the best candidate. A row that no fold scores is left out, and one
    that several folds score stands several times.
    """
    from sklearn.model_selection import check_cv

    folds: Folds = split.folds or list(check_cv(cv, split.y_train, classifier=True).split(split.X_train, split.y_train))
    rows, scores = [], []
    for fit, score in folds:
        fitted = fit_part(trained, split, fit)
        found = fitted.predict_proba(split.X_train.iloc[score])
        if found.shape[1] != 2:
            raise DataError("evaluate.threshold: a fold learns from one class alone; use fewer folds (search.cv)")
        rows.append(score)
        scores.append(found[:, 1])
    return np.concatenate(rows), np.concatenate(scores)


def fit_part(trained: Trained, split: Split, rows: Any) -> Any:
    """Return an unfitted copy of the best pipeline, fitted on the training rows at these positions."""
    from orchestrator.modeling.early_stopping import set_trees

    unfitted = calibration.wrap(clone(trained.pipeline), trained.unfitted)
    if trained.trees is not None:
        set_trees(unfitted[-1], trained.pipeline[-1], trained.trees)
    weights = {} if split.weights is None else split.weights.fit_params()
    params = {**weights, **calibration.fit_params(unfitted[-1], split.keys)}
    params = {name: np.asarray(values)[rows] for name, values in params.items()}
    return unfitted.fit(split.X_train.iloc[rows], split.y_train.iloc[rows], **params)


def choose(y: Any, scores: Any, spec: EvaluateSpec, positive: str = "1", weights: Any = None) -> Decision:
    """Choose the threshold by the rule of ``spec``, of codes ``y`` (n,), probabilities of code 1 and weights (n,).

    Thresholds lie in the middle between neighbouring probabilities. ``max_f1`` takes the best F1, ``cost`` the least cost,
    and of equally good ones that nearest to 0.5; ``recall_at`` takes the highest at which the recall is at least
    ``evaluate.recall``.

    Raises:
        DataError: rows of one of the classes are missing.
    """
    y, scores = np.asarray(y), np.asarray(scores, dtype=np.float64)
    weights = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = weights > 0
    y, scores, weights = y[known], scores[known], weights[known]
    if not (y == 1).any() or not (y == 0).any():
        raise DataError("evaluate.threshold: the folds' rows are all of one class; use fewer folds (search.cv)")
    distinct = np.unique(scores)
    edges = np.concatenate([[0.0], distinct, [1.0]])
    candidates = np.unique(np.round((edges[1:] + edges[:-1]) / 2, DECIMALS))
    outcomes = _outcomes(y, scores, weights, candidates, spec)
    if spec.threshold == "recall_at":
        # the lowest candidate has all rows above it: its recall is 1
        best = int(np.flatnonzero(outcomes["recall"] >= spec.recall - SLACK)[-1])
    else:
        value = outcomes["f1"] if spec.threshold == "max_f1" else -outcomes["cost"]
        equal = np.flatnonzero(value >= value.max() - SLACK)
        best = int(equal[np.argmin(np.abs(candidates[equal] - 0.5))])
    said = [name for name in outcomes if name != "cost" or spec.threshold == "cost"]
    half = _outcomes(y, scores, weights, np.array([0.5]), spec)
    chosen, at_half = (
        LabelScores(**{name: float(values[place]) for name, values in each.items() if name in said})
        for each, place in ((outcomes, best), (half, 0))
    )
    return Decision(float(candidates[best]), str(spec.threshold), positive, len(y), chosen, at_half, spec.flat())


def _outcomes(y: Any, scores: Any, weights: Any, thresholds: Any, spec: EvaluateSpec) -> dict[str, Any]:
    """Return the values (n_thresholds,) of :class:`LabelScores` by name."""
    order = np.argsort(scores)
    # the rows from this place on reach the threshold, as ``decide`` has it
    places = np.searchsorted(scores[order], thresholds - SLACK, side="left")
    positives = np.where(y[order] == 1, weights[order], 0.0)
    below, all_below = (np.concatenate([[0.0], np.cumsum(each)]) for each in (positives, weights[order]))
    missed, total = below[places], below[-1]
    hits = total - missed
    called = all_below[-1] - all_below[places]
    wrong = called - hits
    cost = (spec.cost.false_positive * wrong + spec.cost.false_negative * missed) / all_below[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(called > 0, hits / called, 0.0)
    return {"precision": precision, "recall": hits / total, "f1": 2 * hits / (total + called), "cost": cost}
