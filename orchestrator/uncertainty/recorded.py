"""RecordedEstimator: the predictions of an estimator for resampled rows, from one prediction of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

METHODS = ("predict", "predict_proba", "decision_function")


class OtherRowsError(Exception):
    """A scorer wants predictions for rows that it was not given, such as rows that it has changed."""


class RecordedEstimator:
    """Looks like a fitted ``estimator``, and repeats its predictions for the rows of ``X`` that :meth:`take` selects."""

    def __init__(self, estimator: Any, X: Any) -> None:
        self._estimator, self._every_row, self._selected, self._rows = estimator, X, X, np.arange(len(X))
        self._answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """Return the estimator's attribute; in place of a method that predicts, one that repeats its answers."""
        method = getattr(self._estimator, name)
        if name not in METHODS:
            return method

        def repeat(X: Any) -> Any:
            if X is not self._selected:
                raise OtherRowsError(name)
            return self.answers(name)[self._rows]

        repeat.__name__ = name  # scikit-learn asks for it
        return repeat

    def __sklearn_tags__(self) -> Any:
        return self._estimator.__sklearn_tags__()

    def answers(self, name: str) -> Any:
        """Return what the method ``name`` predicts for each row of ``X``; None if the estimator has no such method."""
        if name not in self._answers:
            method = getattr(self._estimator, name, None)
            self._answers[name] = None if method is None else np.asarray(method(self._every_row))
        return self._answers[name]

    def take(self, rows: Any, *, plain: bool = False) -> Any:
        """Select the rows at these positions, and return them as a scorer gets them; ``plain``: it only hands them back."""
        self._rows, self._selected = rows, rows if plain else self._every_row.iloc[rows]
        return self._selected
