"""Cells of typed columns as text, which is the same whatever type a file or a chunk gives the column."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def code_text(cell: Any) -> str:
    """Return a cell as text: a whole number without a decimal point, and a day without a time, whatever their types."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime) and cell.tzinfo is None and cell == datetime.combine(cell.date(), time()):
        return str(cell.date())
    return str(cell)


def array_as_text(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the cells of a column as text."""
    import pyarrow as pa

    return pa.array([None if cell is None else code_text(cell) for cell in column.to_pylist()], pa.string())
