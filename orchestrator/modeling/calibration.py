"""Calibrated probabilities: scikit-learn's CalibratedClassifierCV around the estimator, cross-validated in each fit.

What ships is scikit-learn's own class, without this one around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from orchestrator.errors import DataError
from orchestrator.modeling.labels import MODEL
from orchestrator.spec.model import UNCALIBRATED
from orchestrator.spec.split import SplitSpec

KEYS = "keys"  # the parameter of fit with the rows' groups or times
FOLDS = 5  # of the rows of a fit; scikit-learn's number


def _has(name: str) -> Any:
    return available_if(lambda self: self._answers(name))


class Calibrated(BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Fits a classifier and the calibration of its probabilities on the same rows.

    Each row's calibration is learned from a prediction by a fit that has not seen it: the rows of a fit are split in five by
    the rule by which rows of the table are held out, and the classifier that predicts is fitted on all of them. Where time
    decides, the newest fifth calibrates a classifier that is fitted on the others.

    Its parameters are those of the estimator and ``calibrate``.

    Attributes:
        estimator: The unfitted classifier.
        calibrate: A method of CalibratedClassifierCV, or "none".
        rule: By which rows are held out.
        estimator_: The fitted CalibratedClassifierCV; the fitted classifier itself with "none".
    """

    def __init__(self, estimator: Any, calibrate: str, rule: SplitSpec) -> None:
        self.estimator, self.calibrate, self.rule = estimator, calibrate, rule

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the classifier, and the method."""
        return {**self.estimator.get_params(deep=deep), "calibrate": self.calibrate}

    def set_params(self, **params: Any) -> Calibrated:
        """Set the method, and parameters of the classifier."""
        self.calibrate = params.pop("calibrate", self.calibrate)
        self.estimator.set_params(**params)
        return self

    def __sklearn_clone__(self) -> Calibrated:
        return type(self)(clone(self.estimator), self.calibrate, self.rule)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def _answers(self, name: str) -> bool:
        if self.__sklearn_is_fitted__() or self.calibrate == UNCALIBRATED:
            return hasattr(getattr(self, "estimator_", self.estimator), name)
        return name == "predict_proba"

    @property
    def by_keys(self) -> bool:
        """Whether groups or times decide on the folds."""
        return self.rule.rule in {"group", "time"}

    def fit(self, X: Any, y: Any, sample_weight: Any = None, keys: Any = None) -> Calibrated:
        """Fit to rows ``X`` (n_rows, n_features) and ``y`` (n_rows,), whose groups or times are ``keys`` (n_rows,).

        Raises:
            DataError: too few rows, groups or times to split them.
        """
        codes = np.asarray(y)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if self.calibrate == UNCALIBRATED:
            self.estimator_ = clone(self.estimator).fit(X, codes, **weights)
        else:
            folds = _folds(codes, keys, self.rule) if self.by_keys else FOLDS
            made = CalibratedClassifierCV(
                clone(self.estimator), method=self.calibrate, cv=folds, ensemble=self.rule.rule == "time"
            )
            self.estimator_ = made.fit(X, codes, **weights)
            made.cv = FOLDS  # positions of these rows mean nothing elsewhere
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: Any) -> Any:
        """Predict a label for each row (n_rows,)."""
        return self.estimator_.predict(X)

    @_has("predict_proba")  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class (n_rows, n_classes)."""
        return self.estimator_.predict_proba(X)

    @_has("decision_function")  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Any:
        """Return the scores of a classifier that is not calibrated."""
        return self.estimator_.decision_function(X)


def _folds(y: Any, keys: Any, rule: SplitSpec) -> list[tuple[Any, Any]]:
    """Return positions of the rows to fit on and to calibrate by, split by groups or times."""
    import pandas as pd

    from orchestrator.modeling.early_stopping import SetAside
    from orchestrator.modeling.splitting.folds import make_folds
    from orchestrator.modeling.splitting.holdout import HeldOut, hold_out
    from orchestrator.modeling.splitting.summary import SplitSummary

    target = pd.Series(y)
    if keys is None:
        raise DataError(f"model.calibrate: needs each row's '{rule.by}'; write search.fit_on=training")
    try:
        if rule.rule == "time":
            held = hold_out(
                target, pd.Series(keys), SetAside(1 / FOLDS, stratify=False, split=rule), 0, classified=True
            )
            folds = [(held.train, held.test)]
        else:
            whole = HeldOut(np.arange(len(y)), np.arange(0), SplitSummary(rule.rule, len(y), 0), np.asarray(keys))
            made, _ = make_folds(FOLDS, whole, pd.DataFrame(index=target.index), target, rule, 0, classified=True)
            folds = list(made or ())
    except DataError as error:
        reason = str(error).partition(": ")[2]
        raise DataError(
            f"model.calibrate: the {len(y):,} rows of a fit cannot be split in {FOLDS}: {reason}"
        ) from error
    for fit, _ in folds:
        if lost := len({*y.tolist()} - {*y[fit].tolist()}):
            raise DataError(
                f"model.calibrate: of the {len(y):,} rows of a fit a fifth by '{rule.by}' has all that is of {lost} "
                f"class{'es' * (lost > 1)}; leave calibration out, or choose another rule (data.split)"
            )
    return folds


def fit_params(model: Any, keys: Any) -> dict[str, Any]:
    """Return what a fit of a pipeline with this last step takes of the rows' groups or times ``keys`` (n_rows,)."""
    return {f"{MODEL}__{KEYS}": keys} if isinstance(model, Calibrated) and model.by_keys else {}


def unwrap(pipeline: Any) -> Calibrated | None:
    """Put scikit-learn's own class in the place of a fitted last step; return that step unfitted, None if it is another."""
    name, model = pipeline.steps[-1]
    if not isinstance(model, Calibrated):
        return None
    pipeline.steps[-1] = (name, model.estimator_)
    unfitted: Calibrated = clone(model)
    return unfitted


def wrap(pipeline: Any, unfitted: Calibrated | None) -> Any:
    """Undo :func:`unwrap` in an unfitted copy of a pipeline."""
    if unfitted is not None:
        pipeline.steps[-1] = (pipeline.steps[-1][0], clone(unfitted))
    return pipeline


def uncalibrated(model: Any) -> Any:
    """Return the classifier inside of a step that may calibrate it."""
    return model.estimator if isinstance(model, Calibrated) else model


def name_of(model: Any, unfitted: Calibrated | None) -> str:
    """Return the class of a fitted last step, and how it is calibrated; ``unfitted`` is what :func:`unwrap` returned."""
    if unfitted is None or not isinstance(model, CalibratedClassifierCV):
        return type(model).__name__
    return f"{type(unfitted.estimator).__name__}, calibrated by {model.method}"
