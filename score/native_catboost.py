"""CatBoost on the columns of categories that ``score.column_transforms.CodesToCategories`` makes.

CatBoost is given the columns that hold categories, none of which may be missing. Here these are the columns of pandas' dtype
of categories, and a missing value is a category of its own, -1.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import catboost

if TYPE_CHECKING:
    import pandas as pd

LEVELS = "levels"  # in the model's metadata: the number of categories of each such column, by the column's place


def _levels(X: pd.DataFrame) -> dict[int, int]:
    """Return the number of categories of each column that holds some, by its place."""
    return {
        place: len(X[name].cat.categories) for place, name in enumerate(X.columns) if X[name].dtype.name == "category"
    }


def _with_codes(X: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with whole numbers in the place of categories."""
    return X.assign(**{X.columns[place]: X.iloc[:, place].cat.codes.astype("int64") for place in _levels(X)})


class _OnCategories:
    """What both classes change of CatBoost's."""

    @staticmethod
    def make_pool(X: pd.DataFrame, y: Any, weight: Any = None) -> catboost.Pool:
        """Return rows (n_rows, n_features) as CatBoost takes them, such as those that it stops early by."""
        return catboost.Pool(_with_codes(X), y, cat_features=[*_levels(X)], weight=weight)

    def fit(self, X: pd.DataFrame, y: Any = None, sample_weight: Any = None, **options: Any) -> Any:
        """Fit to rows (n_rows, n_features); ``options`` are the others of CatBoost, without ``cat_features``.

        ``sample_weight`` has a name, as scikit-learn looks for it and leaves weights out where there is none.
        """
        levels = _levels(X)
        super().fit(_with_codes(X), y, cat_features=[*levels], sample_weight=sample_weight, **options)  # type: ignore[misc]  # of the other base
        self.get_metadata()[LEVELS] = json.dumps(levels)  # type: ignore[attr-defined]
        return self

    def predict(self, data: pd.DataFrame, *args: Any, **options: Any) -> Any:
        """Predict a label or a number for each row."""
        return super().predict(_with_codes(data), *args, **options)  # type: ignore[misc]


class CatBoostClassifier(_OnCategories, catboost.CatBoostClassifier):  # type: ignore[misc]  # untyped bases
    """``catboost.CatBoostClassifier``, with the parameters that it has."""

    def predict_proba(self, X: pd.DataFrame, *args: Any, **options: Any) -> Any:
        """Predict the probability of each class (n_rows, n_classes)."""
        return super().predict_proba(_with_codes(X), *args, **options)


class CatBoostRegressor(_OnCategories, catboost.CatBoostRegressor):  # type: ignore[misc]  # untyped bases
    """``catboost.CatBoostRegressor``, with the parameters that it has."""
