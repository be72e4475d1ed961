"""Limit the number of columns that one-hot encoding creates, before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_LISTED = 3  # columns in the error


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
    """Return how many columns the pipeline's one-hot encoders would make of each column that reaches one."""
    widths: dict[str, int] = {}
    for name, encoder in _encoded_columns(pipeline, X):
        if name in X.columns:
            widths[name] = widths.get(name, 0) + _one_hot_width(X[name], encoder)
    return widths


def _encoded_columns(step: Any, X: pd.DataFrame, columns: list[str] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield each column that reaches a one-hot encoder, with the encoder; earlier steps are assumed to keep names."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline
    from sklearn.preprocessing import OneHotEncoder

    if isinstance(step, Pipeline):
        for _, each in step.steps:
            yield from _encoded_columns(each, X, columns)
    elif isinstance(step, FeatureUnion):
        for _, each in step.transformer_list:
            yield from _encoded_columns(each, X, columns)
    elif isinstance(step, ColumnTransformer):
        for _, each, chosen in step.transformers:
            yield from _encoded_columns(each, X, _names(chosen, X))
    elif isinstance(step, OneHotEncoder):
        yield from ((name, step) for name in (X.columns if columns is None else columns))


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
