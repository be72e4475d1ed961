"""Limit the number of columns that one-hot encoding creates, before anything is fitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_LISTED = 3  # columns in the error
_INSIDE = ("estimator", "regressor")  # parameters of an estimator that hold another one, which gets the same columns


def check_one_hot(X: pd.DataFrame, pipeline: Any, most: int) -> None:
    """Refuse a table for which the pipeline's one-hot encoders would create more than ``most`` columns.

    Raises:
        DataError: the text names the columns with the most distinct values, and what to do.
    """
    widths = one_hot_widths(X, pipeline)
    if (total := sum(widths.values())) <= most:
        return
    largest = sorted(widths, key=lambda name: -widths[name])[:_LISTED]
    listed = ", ".join(f"'{name}' has {X[name].nunique():,} distinct values" for name in largest)
    raise DataError(
        f"data.max_one_hot: one-hot encoding would make {total:,} columns of the table, more than {most:,}: {listed}; leave "
        f"an identifier or free text out ('data.drop=[{largest[0]}]'), keep the most frequent values (max_categories of "
        "the encoder, under preprocess), or raise data.max_one_hot"
    )


def one_hot_widths(X: pd.DataFrame, pipeline: Any) -> dict[str, int]:
    """Return how many columns the pipeline's one-hot encoders would make of each column that reaches one.

    Of the members of a stack or a vote the one counts that makes the most.
    """
    return dict(_widths(pipeline, X, list(X.columns)))


def _widths(step: Any, X: pd.DataFrame, columns: list[str]) -> Counter[str]:
    """Return the widths by column; steps before an encoder are assumed to keep names, but for a ColumnTransformer."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline
    from sklearn.preprocessing import OneHotEncoder

    if isinstance(step, OneHotEncoder):
        return Counter({name: _one_hot_width(X[name], step) for name in columns if name in X.columns})
    if isinstance(step, Pipeline):
        for _, each in step.steps:
            if (found := _widths(each, X, columns)) or isinstance(each, ColumnTransformer):
                return found
    if isinstance(step, FeatureUnion):
        return _sum(_widths(each, X, columns) for _, each in step.transformer_list)
    if isinstance(step, ColumnTransformer):
        return _sum(_widths(each, X, _names(chosen, X)) for _, each, chosen in step.transformers)
    if hasattr(step, "cardinality_threshold"):  # skrub's TableVectorizer
        texts = [
            name for name in columns if X[name].dtype.kind == "O" and X[name].nunique() < step.cardinality_threshold
        ]
        return _widths(step.low_cardinality, X, texts)
    return max((_widths(each, X, columns) for each in _members(step)), key=Counter.total, default=Counter())


def _sum(widths: Iterable[Counter[str]]) -> Counter[str]:
    total = Counter[str]()
    for each in widths:
        total.update(each)
    return total


def _members(step: Any) -> list[Any]:
    """Return the unfitted estimators inside of one that get the columns which it gets."""
    named = getattr(step, "estimators", None) or ()
    inside = [*(each for _, each in named), *(getattr(step, name, None) for name in _INSIDE)]
    return [each for each in inside if hasattr(each, "get_params")]


def _names(chosen: Any, X: pd.DataFrame) -> list[str]:
    columns = chosen(X) if callable(chosen) else chosen
    return [name for name in ([columns] if isinstance(columns, str) else list(columns)) if isinstance(name, str)]


def _one_hot_width(values: pd.Series, encoder: Any) -> int:
    """Return how many columns an encoder makes of one; missing values are a level."""
    counts = values.value_counts(dropna=False)
    levels, least = len(counts), encoder.min_frequency
    if least is not None:
        floor = least * len(values) if isinstance(least, float) else least
        frequent = int((counts >= floor).sum())
        levels = frequent + (frequent < levels)
    return min(levels, encoder.max_categories or levels)
