"""Tables that are read and written in chunks: CSV and Parquet as columns of plain values, in bounded memory."""

from __future__ import annotations

import csv
import importlib
import io
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from score.cells import BOOLEANS, MISSING
from score.contract import Column

if TYPE_CHECKING:
    import pyarrow as pa

Columns: TypeAlias = Mapping[str, Sequence[Any]]

ROW_GROUP = 2**17  # rows of a Parquet file that are written, and so read, at once
_OPENERS = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}


@dataclass(frozen=True)
class Chunk:
    """Some rows: their ``numbers`` in the table, their columns, and how much of the table (0 to 1) is read with them.

    ``torn`` are rows that have no columns, with what is wrong with them; ``stop`` is the number of the next row.
    """

    numbers: Sequence[int]
    columns: Columns
    torn: Mapping[int, str]
    stop: int
    share: float


class Source(Protocol):
    """A table to read."""

    schema: pa.Schema

    def values(self, column: Column, cells: Sequence[Any]) -> list[Any]:
        """Cells of a column as a request would hold them: None is a missing one."""
        ...

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """The rows from ``start`` on, so many at a time."""
        ...


class CsvSource:
    """A CSV file. All is text until the contract says what it stands for: no cell decides what another one is."""

    def __init__(self, path: Path, separator: str, encoding: str, missing: Iterable[str]) -> None:
        import pyarrow as pa

        self._path, self._separator = path, separator
        self._encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
        self._missing = MISSING | set(missing)
        with self._rows() as (rows, _):
            self._names = next(rows, [])
        if not self._names:
            raise ValueError("the file is empty")
        self.schema = pa.schema([(name, pa.string()) for name in self._names])

    def values(self, column: Column, cells: Sequence[str]) -> list[Any]:
        """Cells that are read by the column's kind; one that cannot be read so stays text, to be refused."""
        read = _reader_of(column)
        return [None if cell in self._missing else read(cell) for cell in cells]

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """The rows from ``start`` on, so many at a time."""
        size, width = max(1, self._path.stat().st_size), len(self._names)
        with self._rows() as (lines, position):
            next(lines)
            next(islice(lines, start, start), None)
            while found := list(islice(lines, rows)):
                torn = {
                    number: f"the row has {len(row)} values"
                    for number, row in enumerate(found, start)
                    if len(row) != width
                }
                numbers = [number for number in range(start, start + len(found)) if number not in torn]
                whole = [row for row in found if len(row) == width] if torn else found
                columns = dict(zip(self._names, zip(*whole, strict=True), strict=True)) if whole else {}
                start += len(found)
                yield Chunk(numbers, columns or dict.fromkeys(self._names, ()), torn, start, position() / size)

    @contextmanager
    def _rows(self) -> Iterator[tuple[Iterator[list[str]], Callable[[], int]]]:
        """The rows that are not blank, and a function that tells how many bytes of the file are read."""
        with self._path.open("rb") as raw:
            opener = _OPENERS.get(self._path.suffix)
            stream: Any = importlib.import_module(opener).open(raw) if opener else raw
            text = io.TextIOWrapper(stream, encoding=self._encoding, newline="")
            yield (row for row in csv.reader(text, delimiter=self._separator) if row), raw.tell


class ParquetSource:
    """A Parquet file, which knows its types."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self._path = path
        with parquet.ParquetFile(path) as file:
            self.schema = file.schema_arrow

    def values(self, _column: Column, cells: Sequence[Any]) -> list[Any]:
        """The cells as they are."""
        return list(cells)

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """The rows from ``start`` on, so many at a time."""
        from pyarrow import parquet

        with parquet.ParquetFile(self._path) as file:
            total, stop = max(1, file.metadata.num_rows), 0
            for batch in file.iter_batches(rows):
                begin, stop = max(stop, start), stop + batch.num_rows
                left = batch.slice(batch.num_rows - (stop - begin)) if begin < stop else None
                if left is not None:
                    columns = {name: left[name].to_pylist() for name in batch.schema.names}
                    yield Chunk(range(begin, stop), columns, {}, stop, stop / total)


def _reader_of(column: Column) -> Callable[[str], Any]:
    """What makes a value of a CSV's text for a column."""
    kinds = {type(category) for category in column.categories or ()}
    if column.kind == "boolean" or kinds == {bool}:
        return lambda text: BOOLEANS.get(text, text)
    if column.kind == "integer" or (kinds and kinds <= {int}):
        return lambda text: _number(text, int, float)
    if column.kind == "number" or (kinds and kinds <= {int, float}):
        return lambda text: _number(text, float)
    return str


def _number(text: str, *kinds: Callable[[str], float]) -> float | str:
    for kind in kinds:
        try:
            if text.isascii() and "_" not in text:  # Python's own numbers may hold more than a file's
                return kind(text)
        except ValueError:
            continue
    return text


class Sink(Protocol):
    """A table to write: parts of it first, then the whole."""

    def write(self, path: Path, columns: Columns) -> None:
        """Write a part."""
        ...

    def join(self, path: Path, parts: Iterable[Path]) -> None:
        """Write the whole table of its parts."""
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
        """Write the header, and the parts as they are."""
        self.write(path, {name: [name] for name in self.names})
        with path.open("ab") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)


@dataclass(frozen=True)
class ParquetSink:
    """A Parquet file; its parts are Parquet files, too."""

    schema: pa.Schema

    def write(self, path: Path, columns: Columns) -> None:
        """Write a part."""
        import pyarrow as pa
        from pyarrow import parquet

        arrays = [pa.array(columns[field.name], field.type) for field in self.schema]
        parquet.write_table(pa.Table.from_arrays(arrays, schema=self.schema), path)

    def join(self, path: Path, parts: Iterable[Path]) -> None:
        """Write one file, in row groups of a usual size."""
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
