"""Leave out the rows whose target is missing, unless what reads as missing may be a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import DataError
from orchestrator.reading.frame import Table
from orchestrator.spec.data import DataSpec

if TYPE_CHECKING:
    import pandas as pd


def rows_with_target(table: Table, data: DataSpec) -> tuple[pd.DataFrame, str]:
    """Return the rows of a table that have a target, and a sentence about the others; "" if there are none.

    The index are the places in the table. Whole numbers that are decimals only because of missing values become integers
    again.

    Raises:
        DataError: ``data.missing_target`` is refuse, no row has a target, or a text that may be a class reads as missing.
    """
    frame, name = table.frame, data.target
    absent = frame[name].isna()
    missing, rows = int(absent.sum()), len(frame)
    if not missing:
        return frame, ""
    words = [word for word in table.missing(name) if word]
    if data.missing_target == "refuse":
        hint = f"; {', '.join(map(repr, words))} stands for missing (data.keep_default_na=false: for itself)"
        remedy = "fill or remove them, or leave them out: data.missing_target=drop"
        raise DataError(
            f"data.target: '{name}' is missing in {missing:,} of {rows:,} rows; {remedy}{hint if words else ''}"
        )
    if missing == rows:
        raise DataError(f"data.target: '{name}' has no value in any of the {rows:,} rows")
    if doubtful := words_of_classes(table, data):
        word = doubtful[0]
        raise DataError(
            f"data.target: {word!r} in {table.missing(name)[word]:,} rows of '{name}' reads as missing and may be a class: "
            f"write data.keep_default_na=false if it is one, or 'data.missing_values=[\"{word}\"]' to leave these rows out"
        )
    kept = frame[~absent].copy()
    target = kept[name].infer_objects()
    if target.dtype.kind == "f" and bool((target % 1 == 0).all()) and float(target.abs().max()) < 2**53:
        target = target.astype("int64")
    kept[name] = target
    return (
        kept,
        f"{missing:,} of {rows:,} rows have no '{name}' and are left out (data.missing_target=refuse stops there)",
    )


def words_of_classes(table: Table, data: DataSpec) -> list[str]:
    """Return the texts of the target that read as missing by default and may be classes.

    The target holds text, and no column of numbers shows that the file writes missing values so.
    """
    frame, words = table.frame, [word for word in table.missing(data.target) if word]
    if frame[data.target].dtype.kind in "iuf":
        return []
    numeric = [column for column in frame.columns if frame[column].dtype.kind in "iuf"]
    usual = {word for column in numeric for word in table.missing(str(column))}
    return [word for word in words if word not in {*usual, *data.missing_values}]
