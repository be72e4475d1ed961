"""Tables as data frames: the same table as CSV and as Parquet gives the same columns, with one kind of missing value."""

from __future__ import annotations

import csv
import lzma
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.reading.files import Unreadable, opened
from orchestrator.reading.header import Header, csv_header, parquet_header
from orchestrator.reading.scan import ColumnScan, RowNumbers, scan
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import one_line, suggest_or_list
from score.contract.cells import TableFormat

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


_NUMBERS = "data.index=auto: it has no name and numbers the rows"


@dataclass(frozen=True)
class Table:
    """A table as it was read: its ``frame``, and the text of its columns where they have some.

    ``left_out`` says of each column that is not in the frame why it is not; ``as_text`` holds, of columns that were
    read as text for their thousands separators, the first cell with one in the wrong place.
    """

    frame: pd.DataFrame
    form: TableFormat
    scans: Mapping[str, ColumnScan] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    as_text: Mapping[str, str] = field(default_factory=dict)

    def missing(self, name: str) -> Counter[str]:
        """Return how many cells of a column meant a missing value, by the string that they held."""
        return self.scans[name].missing if name in self.scans else Counter()


def read_table(data: DataSpec) -> Table:
    """Read the whole table.

    Raises:
        Unreadable: it is not the table that the configuration says.
        OSError: it cannot be opened.
    """
    with reading(data):
        return _read_parquet(data) if data.format == "parquet" else _read_csv(data)


@contextmanager
def reading(data: DataSpec) -> Iterator[None]:
    """Say of what csv, pandas, pyarrow or a decompressor cannot read that it cannot be read.

    Raises:
        Unreadable: with the key to change.
    """
    try:
        yield
    except (Unreadable, FileNotFoundError):
        raise
    except UnicodeDecodeError as error:
        text = (
            f"{data.path.name} is not written in {data.encoding} ({error.reason}); name its encoding, such as latin-1"
        )
        raise Unreadable("encoding", text) from error
    except (ValueError, OSError, EOFError, csv.Error, zlib.error, lzma.LZMAError) as error:
        raise Unreadable("path", f"{data.path} cannot be read as {data.format}: {one_line(error)}") from error


def header_of(data: DataSpec) -> Header:
    """Return the names of the columns.

    Raises:
        Unreadable: it is not the table that the configuration says.
        OSError: there is no such file.
    """
    with reading(data):
        if data.format == "parquet":
            return parquet_header(data.path)
        return csv_header(data.path, data.separator, data.encoding)


def left_out(data: DataSpec, header: Header) -> dict[str, str]:
    """Return the columns that are left out whatever they hold, each with the reason."""
    dropped = dict.fromkeys(map(header.meant, data.drop), "data.drop")
    if data.index != "keep":  # what pandas kept as the index is one, whatever it holds
        index = header.index if data.index == "drop" else header.stored
        dropped = dict.fromkeys(index, f"data.index={data.index}: the table's index") | dropped
    return dropped


def _read_csv(data: DataSpec) -> Table:
    import pandas as pd

    header, form = csv_header(data.path, data.separator, data.encoding), data.table_format()
    _check_names(data, header)
    dropped = left_out(data, header)
    wanted = [name for name in header.names if name not in dropped]
    rows, scans = scan(data.path, header, form, wanted)
    if data.index == "auto":
        dropped |= {name: _NUMBERS for name in header.index if name in scans and scans[name].numbers_rows}
    unnamed = [name for name in header.unnamed if name not in {*dropped, *header.index}]
    dropped |= {name: "it has no name and is empty" for name in unnamed if scans[name].empty}
    wanted = [name for name in wanted if name not in dropped]
    as_text = {name: found.misgrouped for name, found in scans.items() if found.misgrouped and name in wanted}
    as_text |= {name: "" for name in data.text_columns if name in wanted}
    options: dict[str, Any] = {"decimal": form.decimal, "thousands": form.thousands, "low_memory": False}
    with opened(data.path, data.encoding) as (text, _):
        frame = pd.read_csv(
            text,
            sep=form.separator,
            header=0,
            names=list(header.names),
            index_col=False,
            usecols=wanted,
            dtype=dict.fromkeys(as_text, str),
            na_values=list(form.missing),
            keep_default_na=False,
            **options,  # types are decided by whole columns
        )
    if len(frame) != rows:
        counts = f"{data.path.name} has {rows} rows as csv counts them and {len(frame)} as pandas does"
        raise Unreadable("path", f"{counts}; look for a quote that is not closed")
    return Table(_one_missing(frame), form, scans, dropped, {name: cell for name, cell in as_text.items() if cell})


def _check_names(data: DataSpec, header: Header) -> None:
    """Refuse names that stand for no column, or for two: the configuration check may not have seen this file."""
    if twice := header.twice():
        raise Unreadable("path", f"{data.path.name} has two columns '{twice[0]}'; rename one")
    for key, names in (("target", [data.target]), ("drop", data.drop), ("text_columns", data.text_columns)):
        for name in names:
            if header.meant(name) not in header.names:
                raise Unreadable(key, f"{data.path.name} has no column '{name}'{suggest_or_list(name, header.names)}")


def _read_parquet(data: DataSpec) -> Table:
    from pyarrow import parquet

    header = parquet_header(data.path)
    _check_names(data, header)
    dropped = left_out(data, header)
    table = parquet.read_table(data.path, columns=[name for name in header.names if name not in dropped])
    for name in header.index if data.index == "auto" else ():
        if name not in dropped and RowNumbers().go_on(map(str, table[name].to_pylist())):
            dropped[name] = _NUMBERS
    table = table.drop_columns([name for name in dropped if name in table.schema.names])
    frame = plain(table, data.text_columns).to_pandas(ignore_metadata=True)
    return Table(_one_missing(frame), data.table_format(), {}, dropped)


def plain(table: pa.Table, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table with decimals as float64, columns without a value as missing numbers, and ``text_columns`` as text."""
    import pyarrow as pa

    for place, each in enumerate(table.schema):
        column = table.column(place)
        if each.name in text_columns:
            cells = [None if cell is None else str(cell) for cell in column.to_pylist()]
            table = table.set_column(place, each.name, pa.array(cells, pa.string()))
        elif pa.types.is_decimal(each.type) or pa.types.is_null(each.type):
            table = table.set_column(place, each.name, column.cast(pa.float64()))
    return table


def _one_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with NaN for every missing value: pandas, scikit-learn and ONNX tell None, pd.NA and NaN apart."""
    for name in frame.columns:
        if frame[name].dtype == object and frame[name].isna().any():
            frame[name] = frame[name].where(frame[name].notna(), float("nan"))
    return frame
