"""Separate the column that decides how rows are split from the features."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.errors import DataError
from orchestrator.reading.frame import Table
from orchestrator.spec.data import DataSpec

if TYPE_CHECKING:
    import pandas as pd


def take_split_column(
    X: pd.DataFrame, table: Table, data: DataSpec, first_held_out: int | None
) -> tuple[pd.DataFrame, pd.Series | None, Table]:
    """Return the features without the column that decides the split, that column, and the table that says so.

    ``X`` are rows of the table without its target; its index are their places in the table. From ``first_held_out`` on they
    come from the file of the hold-out rows: the column is then True for them. It is None where rows are held out at random.
    The column stays a feature if ``data.split.keep`` is set.

    Raises:
        DataError: no feature is left.
    """
    import pandas as pd

    by = data.split.by
    if by is None:
        from_file = None if first_held_out is None else pd.Series(X.index >= first_held_out, index=X.index)
        return X, from_file, table
    values = table.frame[by].loc[X.index]
    if data.split.keep and by not in data.drop:
        return X, values, table
    X = X.drop(columns=by)
    if X.shape[1] == 0:
        raise DataError(f"data.split.by: there is no column to learn from besides '{by}' and the target")
    why = "the rows are split by it; data.split.keep=true makes it a feature"
    return X, values, replace(table, left_out={**table.left_out, by: why})
