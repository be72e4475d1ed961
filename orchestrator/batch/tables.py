"""Tables that are read in chunks: CSV and Parquet as columns of plain values, in bounded memory.

Another process can do the reading: a block has the rows of a chunk as they are stored, and the source makes it a chunk.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from orchestrator.locations.text_cells import code_text
from orchestrator.reading.files import open_text
from orchestrator.reading.header import Header, read_csv_header, read_parquet_header
from orchestrator.reading.rows import cut_rows, read_rows
from orchestrator.reading.scan import misgrouped_pattern
from score.contract.cells import BOOLEANS, TableFormat
from score.contract.dates import ISO, is_aware, parse_as, write
from score.contract.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa

Columns: TypeAlias = Mapping[str, Sequence[Any]]
_COUNTED = 10_000  # rows at once


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table.

    Attributes:
        numbers: Their numbers in the table.
        columns: Their cells by column.
        malformed: Rows without columns, by number, with what is wrong with them.
        stop: The number of the next row.
        share: How much of the table (0 to 1) is read with them.
        file: Which of several files they are of, and the number of its ``first`` row.
    """

    numbers: Sequence[int]
    columns: Columns
    malformed: Mapping[int, str]
    stop: int
    share: float
    file: str = ""
    first: int = 0


@dataclass(frozen=True)
class Block:
    """Some rows of a table as they are stored: text of a CSV file, or a record batch in Arrow's IPC format.

    Attributes:
        start: The number of the first row in its file.
        stop: The number of the next row there.
        content: The rows.
        share, file, first: As of a chunk.
    """

    start: int
    stop: int
    content: str | bytes
    share: float
    file: str = ""
    first: int = 0


class Source(Protocol):
    """A table to read; one that is pickled reads blocks in another process."""

    header: Header
    schema: pa.Schema

    def values(self, column: Column, cells: Sequence[Any]) -> list[Any]:
        """Return a column's cells as a request would hold them; None is a missing value."""
        ...

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """Yield the rows from ``start`` on in chunks of ``rows``."""
        ...

    def blocks(self, start: int, rows: int) -> Iterator[Block]:
        """Yield the same rows as blocks, which hold the same chunks."""
        ...

    def read(self, block: Block) -> Chunk:
        """Return the chunk in a block."""
        ...

    def count(self) -> int:
        """Return the number of rows."""
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
        with self._rows(start) as (lines, _, share):
            while found := [row for _, row in islice(lines, rows)]:
                yield self._chunk(start, found, share())
                start += len(found)

    def blocks(self, start: int, rows: int) -> Iterator[Block]:
        """Yield the same rows as blocks, which hold the same chunks."""
        with self._rows(start) as (_, text, share):
            for count, content in cut_rows(text, self._form.separator, rows):
                yield Block(start, start + count, content, share())
                start += count

    def read(self, block: Block) -> Chunk:
        """Return the chunk in a block."""
        text = io.StringIO(str(block.content), newline="")
        return self._chunk(block.start, [row for _, row in read_rows(text, self._form.separator)], block.share)

    def count(self) -> int:
        """Return the number of rows, as they are read."""
        with self._rows(0) as (_, text, _share):
            return sum(count for count, _ in cut_rows(text, self._form.separator, _COUNTED))

    @contextmanager
    def _rows(self, start: int) -> Iterator[tuple[Iterator[tuple[int, list[str]]], Iterator[str], Callable[[], float]]]:
        """Open the file behind ``start`` rows: the rest as rows, the same as lines, and the share that is read."""
        size = max(1, self._path.stat().st_size)
        with open_text(self._path, self._form.encoding) as (text, position):
            lines = read_rows(text, self._form.separator)
            next(islice(lines, start, start + 1), None)  # the header counts, too
            yield lines, text, lambda: position() / size

    def _chunk(self, start: int, found: Sequence[list[str]], share: float) -> Chunk:
        names = self.header.names
        malformed = {
            number: f"the row has {len(row)} values"
            for number, row in enumerate(found, start)
            if len(row) != len(names)
        }
        stop = start + len(found)
        numbers = [number for number in range(start, stop) if number not in malformed]
        whole = [row for row in found if len(row) == len(names)] if malformed else found
        columns = dict(zip(names, zip(*whole, strict=True), strict=True)) if whole else {}
        return Chunk(numbers, columns or dict.fromkeys(names, ()), malformed, stop, share)


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
            return [None if cell is None else code_text(cell) for cell in cells]
        if column.kind == "datetime":
            return [_date(cell, self._dates.get(column.name, ISO), aware=is_aware(column.dtype)) for cell in cells]
        if column.kind in {"category", "string"}:  # of dates that data.dates=off read as text
            return [code_text(cell) if isinstance(cell, date) else cell for cell in cells]
        return [float(cell) if isinstance(cell, Decimal) else cell for cell in cells]

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """Yield the rows from ``start`` on in chunks of ``rows``."""
        for begin, batch, share in self._batches(start, rows):
            yield _chunk_of(begin, batch, share)

    def blocks(self, start: int, rows: int) -> Iterator[Block]:
        """Yield the same rows as blocks, which hold the same chunks."""
        import pyarrow as pa

        for begin, batch, share in self._batches(start, rows):
            buffer = pa.BufferOutputStream()
            with pa.ipc.new_stream(buffer, batch.schema) as stream:
                stream.write_batch(batch)
            yield Block(begin, begin + batch.num_rows, buffer.getvalue().to_pybytes(), share)

    def read(self, block: Block) -> Chunk:
        """Return the chunk in a block."""
        import pyarrow as pa

        with pa.ipc.open_stream(block.content) as stream:
            return _chunk_of(block.start, stream.read_next_batch(), block.share)

    def count(self) -> int:
        """Return the number of rows."""
        from pyarrow import parquet

        return int(parquet.read_metadata(self._path).num_rows)

    def _batches(self, start: int, rows: int) -> Iterator[tuple[int, pa.RecordBatch, float]]:
        """Yield the rows from ``start`` on, each batch with the number of its first row and the share that is read."""
        from pyarrow import parquet

        with parquet.ParquetFile(self._path) as file:
            total, stop = max(1, file.metadata.num_rows), 0
            for batch in file.iter_batches(rows):
                begin, stop = max(stop, start), stop + batch.num_rows
                if begin < stop:
                    yield begin, batch.slice(batch.num_rows - (stop - begin)), stop / total


def _chunk_of(start: int, batch: pa.RecordBatch, share: float) -> Chunk:
    stop = start + batch.num_rows
    columns = {name: batch[name].to_pylist() for name in batch.schema.names}
    return Chunk(range(start, stop), columns, {}, stop, share)


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
    if form != ISO and isinstance(text, int):  # 20240131 in a Parquet file
        text = str(text)
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
