"""Tables as data frames: CSV and Parquet give the same columns, and every missing value is NaN."""

from __future__ import annotations

import csv
import lzma
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.findings import TableFinding
from orchestrator.locations.copies import TableFile
from orchestrator.reading.chained import open_chained
from orchestrator.reading.column_types import known_types
from orchestrator.reading.date_columns import read_dates
from orchestrator.reading.files import UnreadableTableError, table_files
from orchestrator.reading.header import Header, read_csv_header, read_parquet_header
from orchestrator.reading.parts import join_headers, read_parquet_files
from orchestrator.reading.scan import ColumnScan, RowNumbers, scan_csv
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import one_line, suggest_or_list
from score.contract.cells import TableFormat

if TYPE_CHECKING:
    import pandas as pd


_ROW_NUMBERS = "data.index=auto: it has no name and numbers the rows"


@dataclass(frozen=True)
class Table:
    """A table as read: its ``frame``, and the scans of its columns' text if it is a CSV file.

    ``left_out`` maps each column that is not in the frame to the reason; ``as_text`` maps columns that were read as
    text because of misplaced thousands separators to the first such cell. ``findings`` are on dates and lost digits.
    """

    frame: pd.DataFrame
    form: TableFormat
    scans: Mapping[str, ColumnScan] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    as_text: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[TableFinding] = ()

    def missing(self, name: str) -> Counter[str]:
        """Return the number of a column's missing cells by the string that they hold."""
        return self.scans[name].missing if name in self.scans else Counter()


def read_table(data: DataSpec, only: Collection[str] | None = None) -> Table:
    """Read the table: all of its columns, or ``only`` some.

    Raises:
        UnreadableTableError: it is not the table that the configuration describes.
        OSError: it cannot be opened.
    """
    with translate_read_errors(data):
        return _read_csv(data, only) if data.format == "csv" else _read_parquet(data, only)


@contextmanager
def translate_read_errors(data: DataSpec, file: TableFile | None = None) -> Iterator[None]:
    """Translate the errors of csv, pandas, pyarrow and decompressors; ``file`` is the one of several that is read.

    Raises:
        UnreadableTableError: with the configuration key to change.
    """
    try:
        yield
    except (UnreadableTableError, FileNotFoundError):
        raise
    except UnicodeDecodeError as error:
        name = file.name if file is not None else data.path.name
        text = f"{name} is not written in {data.encoding} ({error.reason}); name its encoding, such as latin-1"
        raise UnreadableTableError("encoding", text) from error
    except (ValueError, OSError, EOFError, csv.Error, zlib.error, lzma.LZMAError) as error:
        inside = f" ({file.name})" if file is not None and file.name != data.path.name else ""
        text = f"{data.path}{inside} cannot be read as {data.format}: {one_line(error)}"
        raise UnreadableTableError("path", text) from error


def read_header(data: DataSpec) -> Header:
    """Return the names of the columns.

    Raises:
        UnreadableTableError: it is not the table that the configuration describes.
        OSError: there is no such file.
    """
    files = table_files(data)
    return join_headers(data.format, data.path, files, [_read_header(data, file) for file in files])


def _read_header(data: DataSpec, file: TableFile) -> Header:
    with translate_read_errors(data, file):
        if data.format == "csv":
            return read_csv_header(file.path, data.separator, data.encoding)
        return read_parquet_header(file.path)


def left_out(data: DataSpec, header: Header) -> dict[str, str]:
    """Return the columns that are left out regardless of their contents, each with the reason."""
    dropped = dict.fromkeys(map(header.resolve, data.drop), "data.drop")
    if data.index != "keep":  # what pandas stored as the index is one, whatever it holds
        index = header.index if data.index == "drop" else header.stored
        dropped = dict.fromkeys(index, f"data.index={data.index}: the table's index") | dropped
    for name in (data.split.by, data.weight):  # these are needed, and leave the features later
        dropped.pop(str(name), None)
    return dropped


def _read_csv(data: DataSpec, only: Collection[str] | None) -> Table:
    import pandas as pd

    header, form, paths = read_header(data), data.table_format(), [file.path for file in table_files(data)]
    _check_names(data, header)
    dropped = left_out(data, header)
    wanted = [name for name in header.names if name not in dropped and (only is None or name in only)]
    rows, scans = scan_csv(paths, header, form, wanted)
    if data.index == "auto":
        dropped |= {name: _ROW_NUMBERS for name in _index(data, header) if name in scans and scans[name].numbers_rows}
    unnamed = [name for name in header.unnamed if name in scans and name not in {*dropped, *header.index}]
    dropped |= {name: "it has no name and is empty" for name in unnamed if scans[name].empty}
    wanted = [name for name in wanted if name not in dropped]
    as_text = {name: each.misgrouped for name, each in scans.items() if each.misgrouped and name in wanted}
    as_text |= {name: "" for name in (*data.text_columns, *data.date_formats) if name in wanted}
    options: dict[str, Any] = {"decimal": form.decimal, "thousands": form.thousands, "low_memory": False}
    with open_chained(paths, data.encoding, form.separator) as text:
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
            **options,  # low_memory=False: dtypes are inferred from whole columns
        )
    if len(frame) != rows:
        counts = f"{data.path.name} has {rows} rows as csv counts them and {len(frame)} as pandas does"
        raise UnreadableTableError("path", f"{counts}; look for a quote that is not closed")
    frame, dates, findings = read_dates(frame, data)
    misgrouped = {name: cell for name, cell in as_text.items() if cell}
    return Table(_use_nan(frame), replace(form, dates=dates), scans, dropped, misgrouped, findings)


def _index(data: DataSpec, header: Header) -> list[str]:
    return [name for name in header.index if name not in (data.split.by, data.weight)]


def _check_names(data: DataSpec, header: Header) -> None:
    """Refuse names of no column, or of two: the configuration check may not have seen this file."""
    if duplicates := header.duplicates():
        raise UnreadableTableError("path", f"{data.path.name} has two columns '{duplicates[0]}'; rename one")
    one = (("target", data.target), ("split.by", data.split.by), ("weight", data.weight))
    wanted: list[tuple[str, Sequence[str]]] = [(key, [name]) for key, name in one if name is not None]
    wanted += [("drop", data.drop), ("text_columns", data.text_columns), ("dates", [*data.date_formats])]
    for key, names in wanted:
        for name in names:
            if header.resolve(name) not in header.names:
                raise UnreadableTableError(
                    key, f"{data.path.name} has no column '{name}'{suggest_or_list(name, header.names)}"
                )


def _read_parquet(data: DataSpec, only: Collection[str] | None) -> Table:
    header = read_header(data)
    _check_names(data, header)
    dropped = left_out(data, header)
    wanted = [name for name in header.names if name not in dropped and (only is None or name in only)]
    table = read_parquet_files(table_files(data), wanted, data.text_columns)
    for name in _index(data, header) if data.index == "auto" else ():
        if name in wanted and RowNumbers().extend(map(str, table[name].to_pylist())):
            dropped[name] = _ROW_NUMBERS
    table = table.drop_columns([name for name in dropped if name in table.schema.names])
    table, findings = known_types(table, data)
    frame, dates, more = read_dates(table.to_pandas(ignore_metadata=True), data)
    form = replace(data.table_format(), dates=dates)
    return Table(_use_nan(frame), form, {}, dropped, findings=[*findings, *more])


def _use_nan(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with NaN for every missing value: scikit-learn and ONNX treat None, pd.NA and NaN differently."""
    for name in frame.columns:
        if frame[name].dtype == object and frame[name].isna().any():
            frame[name] = frame[name].where(frame[name].notna(), float("nan"))
    return frame
