"""Exact Shapley values of a linear model, in the columns that its features were made from.

Without a column its features count with their means over the training rows. As the model is a sum over features, what a
column adds is the same in every coalition, and so is its Shapley value.
"""

from __future__ import annotations

from typing import Any


class LinearExplainer:
    """Explains rows of encoded features.

    Args:
        coef: The coefficients (n_outputs, n_features).
        intercept: The constant of each output (n_outputs,).
        mean: The mean of each feature over the training rows (n_features,).
        owner: The column that each feature belongs to (n_features,).
        columns: The number of columns.
    """

    def __init__(self, coef: Any, intercept: Any, mean: Any, owner: Any, columns: int) -> None:
        self._coef, self._mean, self._owner, self._columns = coef, mean, owner, columns
        self.base = intercept + coef @ mean

    def explain(self, rows: Any) -> Any:
        """Return the values (n_rows, n_outputs, n_columns) of rows (n_rows, n_features)."""
        import numpy as np

        found = np.zeros((len(rows), len(self._coef), self._columns))
        for row, values in zip(rows - self._mean, found, strict=True):
            for place, coefficients in enumerate(self._coef):
                values[place] = np.bincount(self._owner, coefficients * row, self._columns)
        return found
