"""How many columns one-hot encoding makes of a table, counted before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 3  # columns that make most of them


def check_one_hot(X: pd.DataFrame, pipeline: Any, most: int) -> None:
    """Refuse a table of which the pipeline's one-hot encoders would make more than ``most`` columns.

    Raises:
        DataError: naming the columns with the most distinct values, and what to do.
    """
    made: dict[str, int] = {}
    for name, encoder in _encoded(pipeline, X):
        if name in X.columns:
            made[name] = made.get(name, 0) + _columns_of(X[name], encoder)
    if (total := sum(made.values())) <= most:
        return
    largest = sorted(made, key=lambda name: -made[name])[:_NAMED]
    listed = ", ".join(f"'{name}' has {X[name].nunique():,} distinct values" for name in largest)
    raise DataError(
        f"data.max_one_hot: one-hot encoding would make {total:,} columns of the table, more than {most:,}: {listed}; leave "
        f"an identifier or free text out ('data.drop=[{largest[0]}]'), keep the most frequent values (max_categories of "
        "the encoder, under preprocess), or raise data.max_one_hot"
    )


def _encoded(step: Any, X: pd.DataFrame, columns: list[str] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield each column that reaches a one-hot encoder, with the encoder; steps before it keep the columns' names."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline
    from sklearn.preprocessing import OneHotEncoder

    if isinstance(step, Pipeline):
        for _, each in step.steps:
            yield from _encoded(each, X, columns)
    elif isinstance(step, FeatureUnion):
        for _, each in step.transformer_list:
            yield from _encoded(each, X, columns)
    elif isinstance(step, ColumnTransformer):
        for _, each, chosen in step.transformers:
            yield from _encoded(each, X, _names(chosen, X))
    elif isinstance(step, OneHotEncoder):
        yield from ((name, step) for name in (X.columns if columns is None else columns))


def _names(chosen: Any, X: pd.DataFrame) -> list[str]:
    found = chosen(X) if callable(chosen) else chosen
    return [name for name in ([found] if isinstance(found, str) else list(found)) if isinstance(name, str)]


def _columns_of(values: pd.Series, encoder: Any) -> int:
    """Return how many columns an encoder makes of one, a missing value being a level of its own."""
    counts = values.value_counts(dropna=False)
    levels, least = len(counts), encoder.min_frequency
    if least is not None:
        floor = least * len(values) if isinstance(least, float) else least
        frequent = int((counts >= floor).sum())
        levels = frequent + (frequent < levels)
    return min(levels, encoder.max_categories or levels)
