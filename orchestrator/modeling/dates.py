"""Dates that no branch of the preprocessing takes, found before anything is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError
from orchestrator.findings import format_overrides

if TYPE_CHECKING:
    import pandas as pd


def check_dates(X: pd.DataFrame, pipeline: Any) -> None:
    """Refuse columns of dates that no branch takes, so that they would be left out without a word.

    Steps before the branches are trusted: they may do anything with dates.

    Raises:
        DataError: the text names the column, and what to do.
    """
    from sklearn.compose import ColumnTransformer

    first = pipeline.steps[0][1]
    if not isinstance(first, ColumnTransformer) or first.remainder != "drop":
        return
    taken = {name for _, _, chosen in first.transformers for name in _names(chosen, X)}
    dates = [str(name) for name in X.columns if X[name].dtype.kind == "M" and name not in taken]
    if dates:
        more = f" (and {len(dates) - 1} more)" if len(dates) > 1 else ""
        left_out = format_overrides({"data.drop": [dates[0]]})
        raise DataError(
            f"data.dates: column '{dates[0]}'{more} holds dates, and no branch of preprocess takes dates: add one with "
            f"columns: datetime, as preprocess=tabular has; {left_out} leaves it out, and data.dates=off reads it as text"
        )


def _names(chosen: Any, X: pd.DataFrame) -> list[str]:
    columns = chosen(X) if callable(chosen) else chosen
    return [columns] if isinstance(columns, str) else [name for name in columns if isinstance(name, str)]
