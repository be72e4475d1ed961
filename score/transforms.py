"""The scikit-learn transformers that ship with every package, importable under the same name everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

if TYPE_CHECKING:
    import pandas as pd


class _FrameTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Base of transformers that keep a DataFrame's columns; learns only their names."""

    columns: Sequence[str] | None

    def fit(self, X: pd.DataFrame, y: Any = None) -> _FrameTransformer:  # noqa: ARG002  # scikit-learn's signature
        """Check the parameters against ``X`` (n_rows, n_columns) and remember its columns.

        Raises:
            TypeError: ``X`` is no DataFrame.
            ValueError: a parameter is wrong, or a column is not there.
        """
        self._validate_params()
        self._chosen(X)
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True  # stateless: transform needs no fit

    def _chosen(self, X: pd.DataFrame) -> list[str]:
        """Return the columns to transform, after checking that ``X`` has them and those of ``fit``."""
        import pandas as pd

        if not isinstance(X, pd.DataFrame):
            raise TypeError(
                f"{type(self).__name__} takes a pandas DataFrame, got {type(X).__name__}: put it before the steps that give arrays, such as an imputer"
            )
        there = list(X.columns)
        chosen = there if self.columns is None else list(self.columns)
        fitted = list(getattr(self, "feature_names_in_", there))
        if lost := list(dict.fromkeys(name for name in [*chosen, *fitted] if name not in there)):
            named = ", ".join(map(repr, lost))
            raise ValueError(f"{type(self).__name__}: no column {named}; there are {', '.join(map(repr, there))}")
        if there != fitted:
            raise ValueError(f"{type(self).__name__}: fitted on columns {fitted}, in this order, got {there}")
        return chosen

    def _floats(self, X: pd.DataFrame, chosen: list[str]) -> pd.DataFrame:
        """Return a new frame with the chosen columns as float64."""
        try:
            return X.astype(dict.fromkeys(chosen, "float64"))
        except (TypeError, ValueError):
            for name in chosen:  # find the column, which pandas does not name
                try:
                    X[name].astype("float64")
                except (TypeError, ValueError) as error:
                    raise ValueError(f"{type(self).__name__}: column {name!r} holds no numbers ({error})") from error
            raise


class ToFloat(_FrameTransformer):
    """Cast ``columns`` (None: all) to float64."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"columns": ["array-like", None]}

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = columns

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return ``X`` (n_rows, n_columns) with float64 columns; raises ValueError for a column without numbers."""
        return self._floats(X, self._chosen(X))


class ZerosToMissing(_FrameTransformer):
    """Replace zeros by NaN in ``columns``, where a zero stands for "not measured"; they become float64."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"columns": ["array-like"]}

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return ``X`` (n_rows, n_columns) with NaN for zeros; raises ValueError for a column without numbers."""
        chosen = self._chosen(X)
        result = self._floats(X, chosen)  # float64 always: the dtype must not depend on the rows at hand
        result[chosen] = result[chosen].mask(result[chosen] == 0)
        return result


class BooleansToObjects(_FrameTransformer):
    """Convert boolean columns to objects, as scikit-learn's imputers refuse a table of booleans alone."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"columns": ["array-like", None]}

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = columns

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return ``X`` (n_rows, n_columns) with objects for booleans, and NaN for a missing one."""
        result = X.copy(deep=False)
        for name in self._chosen(X):
            if str(X[name].dtype) in ("bool", "boolean"):
                values = X[name].astype(object)
                result[name] = values.mask(X[name].isna(), np.nan)
        return result
