"""The hold-out rows' predictions, made once: scorers that ask for them again get these."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from orchestrator.artifacts import Split, Trained

if TYPE_CHECKING:
    import pandas as pd

_METHODS = ("predict", "predict_proba", "decision_function")


class Replay(BaseEstimator):  # type: ignore[misc]
    """A fitted pipeline that looks up its predictions for rows that it was asked for before.

    ``X`` (n_rows, n_columns) are these rows. Rows are found by their index, which must be unique; a request with other rows
    goes to the pipeline itself.
    """

    def __init__(self, pipeline: Any, X: pd.DataFrame) -> None:
        self.pipeline, self.X = pipeline, X
        self._known: dict[str, Any] = {}

    def __sklearn_tags__(self) -> Any:
        return self.pipeline.__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in {"pipeline", "X", "_known"}:
            raise AttributeError(name)
        found = getattr(self.pipeline, name)  # raises what the pipeline raises for a method that it lacks
        if name not in _METHODS:
            return found
        # under the method's own name, which scikit-learn's scorers ask for
        return functools.wraps(found)(lambda X, **options: self._answer(name, X, options))

    def _answer(self, name: str, X: Any, options: dict[str, Any]) -> Any:
        at = self.X.index.get_indexer(X.index) if hasattr(X, "index") and not options else None
        if at is None or (at < 0).any():
            return getattr(self.pipeline, name)(X, **options)
        if name not in self._known:
            self._known[name] = np.asarray(getattr(self.pipeline, name)(self.X))
        return self._known[name][at]


def replay_holdout(trained: Trained, split: Split) -> tuple[Replay, pd.DataFrame, pd.Series]:
    """Return a replay of the trained pipeline, and the hold-out rows and targets with the index that it knows them by."""
    X = split.X_test.reset_index(drop=True)
    return Replay(trained.pipeline, X), X, split.y_test.reset_index(drop=True)


def class_scores(model: Any, X: Any, classes: int) -> Any:
    """Return scores (n_rows, n_classes), greater for the likelier class; None if the model has none for each."""
    if hasattr(model, "predict_proba"):
        scores = np.asarray(model.predict_proba(X))
    elif hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(X))
        scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
    else:
        return None
    return scores if scores.shape[1] == classes else None
