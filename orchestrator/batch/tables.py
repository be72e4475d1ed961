"""Tables that are read and written in chunks: CSV and Parquet as columns of plain values, in bounded memory."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from orchestrator.reading.files import is_parquet, open_text
from orchestrator.reading.header import Header, read_csv_header, read_parquet_header
from orchestrator.reading.rows import read_rows
from orchestrator.reading.scan import misgrouped_pattern
from score.contract.cells import BOOLEANS, TableFormat
from score.contract.dates import ISO, is_aware, parse_as, write
from score.contract.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa

Columns: TypeAlias = Mapping[str, Sequence[Any]]

ROW_GROUP = 2**17  # rows of a Parquet file that are written, and so read, at once


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table.

    Attributes:
        numbers: Their numbers in the table.
        columns: Their cells by column.
        malformed: Rows without columns, by number, with what is wrong with them.
        stop: The number of the next row.
        share: How much of the table (0 to 1) is read with them.
    """

    numbers: Sequence[int]
    columns: Columns
    malformed: Mapping[int, str]
    stop: int
    share: float


class Source(Protocol):
    """A table to read."""

    header: Header
    schema: pa.Schema

    def values(self, column: Column, cells: Sequence[Any]) -> list[Any]:
        """Return a column's cells as a request would hold them; None is a missing value."""
        ...

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """Yield the rows from ``start`` on in chunks of ``rows``."""
        ...


class CsvSource:
    """A CSV file; its text is read by the contract, so that no cell decides the type of another."""

    def __init__(self, path: Path, form: TableFormat) -> None:
        import pyarrow as pa

        self._path, self._form = path, form
        self.header = read_csv_header(path, form.separator, form.encoding)
        self.schema = pa.schema([(name, pa.string()) for name in self.header.names])

    def values(self, column: Column, cells: Sequence[str]) -> list[Any]:
        """Read cells by the column's kind; one that cannot be read stays text, to be refused."""
        read = _reader_of(column, self._form)
        missing = frozenset(self._form.missing) - {each for each in column.categories or () if isinstance(each, str)}
        values = [None if cell in missing else read(cell) for cell in cells]
        if numbers := _numbers_in(missing) if column.kind in {"integer", "number"} else ():
            return [None if value in numbers else value for value in values]
        return values

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """Yield the rows from ``start`` on in chunks of ``rows``."""
        names = self.header.names
        size, width = max(1, self._path.stat().st_size), len(names)
        with open_text(self._path, self._form.encoding) as (text, position):
            lines = read_rows(text, self._form.separator)
            next(lines)
            next(islice(lines, start, start), None)
            while found := [row for _, row in islice(lines, rows)]:
                malformed = {
                    number: f"the row has {len(row)} values"
                    for number, row in enumerate(found, start)
                    if len(row) != width
                }
                numbers = [number for number in range(start, start + len(found)) if number not in malformed]
                whole = [row for row in found if len(row) == width] if malformed else found
                columns = dict(zip(names, zip(*whole, strict=True), strict=True)) if whole else {}
                start += len(found)
                yield Chunk(numbers, columns or dict.fromkeys(names, ()), malformed, start, position() / size)


class ParquetSource:
    """A Parquet file, which has types of its own."""

    def __init__(self, path: Path, text_columns: Sequence[str] = (), dates: Mapping[str, str] | None = None) -> None:
        from pyarrow import parquet

        self._path, self._text_columns, self._dates = path, frozenset(text_columns), dates or {}
        self.header = read_parquet_header(path)
        with parquet.ParquetFile(path) as file:
            self.schema = file.schema_arrow

    def values(self, column: Column, cells: Sequence[Any]) -> list[Any]:
        """Return the cells as in training's table: decimals are numbers, and columns that were read as text are text."""
        if column.name in self._text_columns:
            return [None if cell is None else str(cell) for cell in cells]
        if column.kind == "datetime":
            return [_date(cell, self._dates.get(column.name, ISO), aware=is_aware(column.dtype)) for cell in cells]
        if column.kind in {"category", "string"}:  # of dates that data.dates=off read as text
            return [str(cell) if isinstance(cell, date) else cell for cell in cells]
        return [float(cell) if isinstance(cell, Decimal) else cell for cell in cells]

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """Yield the rows from ``start`` on in chunks of ``rows``."""
        from pyarrow import parquet

        with parquet.ParquetFile(self._path) as file:
            total, stop = max(1, file.metadata.num_rows), 0
            for batch in file.iter_batches(rows):
                begin, stop = max(stop, start), stop + batch.num_rows
                left = batch.slice(batch.num_rows - (stop - begin)) if begin < stop else None
                if left is not None:
                    columns = {name: left[name].to_pylist() for name in batch.schema.names}
                    yield Chunk(range(begin, stop), columns, {}, stop, stop / total)


def source_of(path: Path, form: TableFormat) -> Source:
    """Return a file's table, Parquet or CSV by its contents; a CSV file is read in this format."""
    return ParquetSource(path, form.text_columns, form.dates) if is_parquet(path) else CsvSource(path, form)


def _reader_of(column: Column, form: TableFormat) -> Callable[[str], Any]:
    """Return the function that reads a column's CSV cells."""
    if column.kind == "datetime":
        return partial(_date, form=form.dates.get(column.name, ISO), aware=is_aware(column.dtype))
    kinds = {type(category) for category in column.categories or ()}
    if column.kind == "boolean" or kinds == {bool}:
        return lambda text: BOOLEANS.get(text, text)
    wrong = misgrouped_pattern(form)
    if column.kind == "integer" or (kinds and kinds <= {int}):
        return lambda text: _number(text, form, wrong, int, float)
    if column.kind == "number" or (kinds and kinds <= {int, float}):
        return lambda text: _number(text, form, wrong, float)
    return str


def _date(text: Any, form: str, *, aware: bool) -> Any:
    """Return a date in ISO 8601; the text itself if it is not written in this format, and anything but a text."""
    if form == ISO or not isinstance(text, str):
        return text
    try:
        return write(parse_as(text, form, aware=aware), aware=aware)
    except ValueError:
        return text


def _number(text: str, form: TableFormat, wrong: re.Pattern[str] | None, *kinds: Callable[[str], float]) -> float | str:
    """Return the number that a text is in this format; the text itself if it is none."""
    plain = text
    if wrong is not None and form.thousands in text:  # type: ignore[operator]  # set where groups may be wrong
        if wrong.search(text):
            return text
        plain = plain.replace(form.thousands or "", "")
    if form.decimal != ".":
        if "." in plain:
            return text
        plain = plain.replace(form.decimal, ".")
    for kind in kinds:
        try:
            if plain.isascii() and "_" not in plain:  # Python's number syntax allows more than a file's
                return kind(plain)
        except ValueError:
            continue
    return text


def _numbers_in(missing: Iterable[str]) -> frozenset[float]:
    """Return the numbers that mean a missing value however they are written: -999.0 where -999 does."""
    numbers = (_number(word, TableFormat(), None, float) for word in missing)
    return frozenset(number for number in numbers if isinstance(number, float) and number == number)  # noqa: PLR0124  # NaN


class Sink(Protocol):
    """Writes a table in parts, then joins them."""

    def write(self, path: Path, columns: Columns) -> None:
        """Write a part."""
        ...

    def join(self, path: Path, parts: Iterable[Path]) -> None:
        """Join the parts into the whole table."""
        ...


@dataclass(frozen=True)
class CsvSink:
    """A CSV file; its parts have no header."""

    names: Sequence[str]

    def write(self, path: Path, columns: Columns) -> None:
        """Write a part."""
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = zip(*(columns[name] for name in self.names), strict=True)
            csv.writer(file, lineterminator="\n").writerows(rows)

    def join(self, path: Path, parts: Iterable[Path]) -> None:
        """Write the header, then the parts unchanged."""
        self.write(path, {name: [name] for name in self.names})
        with path.open("ab") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)


@dataclass(frozen=True)
class ParquetSink:
    """A Parquet file whose parts are Parquet files."""

    schema: pa.Schema

    def write(self, path: Path, columns: Columns) -> None:
        """Write a part."""
        import pyarrow as pa
        from pyarrow import parquet

        arrays = [pa.array(columns[field.name], field.type) for field in self.schema]
        parquet.write_table(pa.Table.from_arrays(arrays, schema=self.schema), path)

    def join(self, path: Path, parts: Iterable[Path]) -> None:
        """Write one file with row groups of a usual size."""
        import pyarrow as pa
        from pyarrow import parquet

        waiting: list[pa.Table] = []
        with parquet.ParquetWriter(path, self.schema) as writer:
            for part in parts:
                with parquet.ParquetFile(part) as file:
                    waiting.append(file.read())
                if sum(table.num_rows for table in waiting) >= ROW_GROUP:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting.clear()
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
