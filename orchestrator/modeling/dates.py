"""Dates that no step of the pipeline would turn into numbers, found before anything is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError
from orchestrator.findings import format_overrides

if TYPE_CHECKING:
    import pandas as pd


def check_dates(X: pd.DataFrame, pipeline: Any) -> None:
    """Refuse columns of dates that would reach the estimator as they are, or that no branch takes.

    Steps before the branches are trusted: they may do anything with dates.

    Raises:
        DataError: the text names the column, and what to do.
    """
    from sklearn.compose import ColumnTransformer

    dates = [str(name) for name in X.columns if X[name].dtype.kind == "M"]
    first = pipeline.steps[0][1]
    if isinstance(first, ColumnTransformer) and first.remainder == "drop":
        taken = {name for _, _, chosen in first.transformers for name in _names(chosen, X)}
        dates = [name for name in dates if name not in taken]
        why = "no branch of preprocess takes dates: add one with columns: datetime, as preprocess=tabular has"
    elif len(pipeline.steps) == 1:
        why = f"{type(first).__name__} takes numbers: preprocess=tabular turns dates into these"
    else:
        return
    if dates:
        more = f" (and {len(dates) - 1} more)" if len(dates) > 1 else ""
        left_out = format_overrides({"data.drop": [dates[0]]})
        raise DataError(
            f"data.dates: column '{dates[0]}'{more} holds dates, and {why}; {left_out} leaves it out, and data.dates=off "
            "reads it as text"
        )


def _names(chosen: Any, X: pd.DataFrame) -> list[str]:
    columns = chosen(X) if callable(chosen) else chosen
    return [columns] if isinstance(columns, str) else [name for name in columns if isinstance(name, str)]
