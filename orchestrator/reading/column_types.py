"""The types of a Parquet table's columns as those that the contract knows; what loses precision is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.findings import PRECISION, TableFinding, format_overrides
from orchestrator.reading.parts import as_text
from orchestrator.spec.data import DataSpec

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 15  # that every float64 keeps
_EXACT = 2**53  # up to here a float64 stands for one integer only


def known_types(table: pa.Table, data: DataSpec) -> tuple[pa.Table, list[TableFinding]]:
    """Return the table with the types of the contract, and where numbers or times lost digits.

    Decimals and empty columns become float64. Dates and times become microseconds: those with a time zone in UTC, the others
    with the clock that they show. ``data.text_columns`` become text, as dates do with ``data.dates=off``.
    """
    import pyarrow as pa

    findings: list[TableFinding] = []
    written = [each.name for each in table.schema if pa.types.is_integer(each.type)]  # dates such as 20240131
    texts = {*data.text_columns, *(name for name in written if name in data.date_formats)}
    texts |= {each.name for each in table.schema if _is_date(each.type)} if data.dates == "off" else set()
    table = as_text(table, texts)
    for place, each in enumerate(table.schema):
        column, kind = table.column(place), each.type
        if is_date := _is_date(kind):
            wanted = pa.timestamp("us", "UTC" if getattr(kind, "tz", None) else None)
        elif pa.types.is_decimal(kind) or pa.types.is_null(kind):
            wanted = pa.float64()
        else:
            wanted = kind
        converted = column.cast(wanted, safe=not is_date)
        findings += [_describe(each.name, why, data) for why in _losses(column, converted)]
        table = table.set_column(place, each.name, converted)
    return table, findings


def _is_date(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _losses(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Iterator[str]:
    """Yield what a column lost."""
    import pyarrow as pa
    from pyarrow import compute as pc

    kind = before.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        if pc.all(pc.equal(before.cast(pa.int64()), pc.multiply(after.cast(pa.int64()), 1000))).as_py() is False:
            yield "has times with nanoseconds, which are cut off at microseconds"
    elif pa.types.is_decimal(kind) and kind.precision > _DIGITS:
        try:
            same = pc.all(pc.equal(after.cast(kind), before)).as_py()
        except pa.ArrowException:  # it does not fit back
            same = False
        if same is False:
            yield f"has decimals of up to {kind.precision} digits, of which a number keeps {_DIGITS}"
    elif pa.types.is_integer(kind) and before.null_count:
        ends = pc.min_max(before).as_py().values()
        if any(end is not None and abs(end) > _EXACT for end in ends):
            yield "has missing values among integers beyond 2**53, which are rounded as decimals"


def _describe(name: str, why: str, data: DataSpec) -> TableFinding:
    changes = {"data.text_columns": [*data.text_columns, name]}
    text = f"column '{name}' {why}; if these are codes, write {format_overrides(changes)}"
    return TableFinding(PRECISION, text, (name,), changes)
