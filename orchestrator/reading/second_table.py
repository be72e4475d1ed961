"""Read the table of the hold-out rows (``data.split.file``) and append it to the table that is learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import Table, read_table
from orchestrator.reading.header import Header, column_differences
from orchestrator.reading.parts import order_difference
from orchestrator.reading.scan import ColumnScan
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import format_value

if TYPE_CHECKING:
    import pandas as pd

FILE = "split.file"  # the key below ``data``


def append_held_out(table: Table, data: DataSpec) -> tuple[Table, int]:
    """Return the table with the hold-out rows at its end, and how many these are.

    Raises:
        UnreadableTableError: it cannot be read, has other columns, or a column of another type.
        OSError: it cannot be opened.
    """
    import pandas as pd

    described = data.of_held_out()
    if data.format == "csv" and data.dates != "off":  # written as in the first table, which may be the clearer one
        described = described.model_copy(update={"dates": {**data.date_formats, **table.form.dates}})
    try:
        second = read_table(described)
    except UnreadableTableError as error:
        raise UnreadableTableError(FILE, str(error)) from error
    names = [*table.frame.columns]
    present = [name for name in second.frame.columns if name not in table.left_out]
    for problem in column_differences(described.path.name, names, present, data.path.name):
        raise UnreadableTableError(FILE, problem)
    if second.frame.empty:
        raise UnreadableTableError(FILE, f"{described.path.name} has no rows besides its header")
    columns = {name: _joined(table.frame[name], second.frame[name], described.path.name) for name in names}
    frame = pd.DataFrame(columns, columns=names)
    scans = {name: _added(scan, second.scans.get(name)) for name, scan in table.scans.items()}
    return replace(table, frame=frame, scans=scans), len(second.frame)


def common_names(header: Header, left_out: Sequence[str]) -> list[str]:
    """Return the columns of a header without those that are left out, and without unnamed ones."""
    return [name for name in header.names if name not in left_out and name not in header.unnamed]


def _joined(first: pd.Series, second: pd.Series, file: str) -> pd.Series:
    """Return the values of a column of both tables; numbers and text in one column are refused."""
    import pandas as pd

    kinds = [_kind(values) for values in (first, second)]
    if kinds[0] and kinds[1] and kinds[0] != kinds[1]:
        example = next(value for value in second if not pd.isna(value))
        hint = "; say how dates are written (data.dates)" if any("dates" in kind for kind in kinds) else ""
        example = str(example) if "dates" in kinds[1] else example
        raise UnreadableTableError(
            FILE,
            f"column '{first.name}' of {file} holds {kinds[1]} such as {format_value(example)}, not {kinds[0]}{hint}",
        )
    if isinstance(first.dtype, pd.CategoricalDtype) and isinstance(second.dtype, pd.CategoricalDtype):
        known = first.cat.categories
        if first.cat.ordered and known.tolist() != second.cat.categories.tolist():
            raise UnreadableTableError(FILE, order_difference(str(first.name), file, "the training rows"))
        more = [level for level in second.cat.categories if level not in known]
        dtype = pd.CategoricalDtype([*known, *more], ordered=first.dtype.ordered)
        first, second = first.astype(dtype), second.astype(dtype)
    if date := next((values.dtype for values in (first, second) if values.dtype.kind == "M"), None):
        first, second = (
            values if _kind(values) else pd.Series(pd.NaT, values.index, date, name=values.name)
            for values in (first, second)
        )
    elif second.isna().all() or first.isna().all():  # an empty column is read as numbers, whatever it would hold
        first, second = (values.astype(object) if not _kind(values) else values for values in (first, second))
    return pd.concat([first, second], ignore_index=True)


def _kind(values: pd.Series) -> str:
    """Return what a column holds, in a word; "" if it is empty."""
    if values.isna().all():
        return ""
    if values.dtype.kind in "iuf":
        return "numbers"
    if values.dtype.kind == "M":
        return "dates" if values.dt.tz is None else "dates with a time zone"
    return "booleans" if {*map(type, values.dropna().unique())} <= {bool} or values.dtype == bool else "text"


def _added(scan: ColumnScan, other: ColumnScan | None) -> ColumnScan:
    return scan if other is None else replace(scan, missing=Counter(scan.missing) + Counter(other.missing))
