"""Separate the column of the rows' weights from the features, and refuse what is no weight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.errors import DataError
from orchestrator.reading.frame import Table
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import format_value

if TYPE_CHECKING:
    import pandas as pd


def take_weight_column(
    X: pd.DataFrame, table: Table, data: DataSpec, first_held_out: int | None
) -> tuple[pd.DataFrame, pd.Series | None, Table]:
    """Return the features without ``data.weight``, that column as float64 (n_rows,), and the table that says so.

    ``X`` are rows of the table; its index are their places in it. From ``first_held_out`` on they come from the file of the
    hold-out rows. Without ``data.weight`` nothing changes.

    Raises:
        DataError: a weight is missing, no number, infinite or negative, all are 0, or no feature is left.
    """
    name = data.weight
    if name is None:
        return X, None, table
    weights = _checked(table.frame[name].loc[X.index], data, first_held_out)
    X = X.drop(columns=name)
    if X.shape[1] == 0:
        raise DataError(f"data.weight: there is no column to learn from besides '{name}' and the target")
    return X, weights, replace(table, left_out={**table.left_out, name: "the rows are weighted by it"})


def _checked(values: pd.Series, data: DataSpec, first_held_out: int | None) -> pd.Series:
    import numpy as np
    import pandas as pd

    def refuse(wrong: pd.Series, said: str, remedy: str) -> DataError:
        """Return an error that names how many rows are wrong, and the place of the first."""
        at, file = int(wrong.index[wrong][0]), data.path.name
        if first_held_out is not None and at >= first_held_out and data.split.file is not None:
            at, file = at - first_held_out, data.split.file.name
        count = int(wrong.sum())
        rows = f"in {count:,} of {len(values):,} rows, first in row {at + 1} of {file}"
        return DataError(f"data.weight: '{data.weight}' {said} {rows}; {remedy}")

    if (missing := values.isna()).any():
        raise refuse(missing, "is missing", "fill them (0 leaves a row out of fits and scores), or remove these rows")
    if values.dtype.kind not in "iuf":
        unread = pd.to_numeric(values.astype(object), errors="coerce").isna()
        wrong = unread if unread.any() else pd.Series(data=True, index=values.index)
        cell = format_value(str(values[wrong].iloc[0]))
        remedy = "write plain numbers, or say how they are written (data.decimal, data.thousands, data.text_columns)"
        raise refuse(wrong, f"holds what is no number, such as {cell},", remedy)
    numbers = values.astype("float64")
    if (infinite := numbers.abs() == np.inf).any():
        raise refuse(infinite, "is infinite", "write numbers")
    if (negative := numbers < 0).any():
        cell = f"{numbers[negative].iloc[0]:g}"
        raise refuse(negative, f"is negative, such as {cell},", "a weight is 0 or more; 0 leaves a row out")
    if not numbers.any():
        raise DataError(
            f"data.weight: '{data.weight}' is 0 in all {len(numbers):,} rows; leave data.weight out, or fill it"
        )
    return numbers
