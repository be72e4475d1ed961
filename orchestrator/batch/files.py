"""A table in several files, in files elsewhere, or a Delta table: found, and read as one, one file after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.batch.tables import Block, Chunk, CsvSource, ParquetSource, Source
from orchestrator.locations.copies import TableFile, TableFiles, fetch, find_local
from orchestrator.locations.delta import fetch_delta
from orchestrator.locations.storage import is_delta
from orchestrator.locations.text_cells import array_as_text
from orchestrator.locations.urls import LocationError, Url
from orchestrator.reading.files import UnreadableTableError, is_parquet
from orchestrator.reading.parts import cast_column, folder_values, join_headers, join_schemas
from orchestrator.spec.batch import BatchSpec
from orchestrator.spec.separators import is_tab_separated
from score.contract.cells import TableFormat
from score.contract.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa

Piece = TypeVar("Piece", Chunk, Block)


def find_input(spec: BatchSpec) -> TableFiles:
    """Return the files of the table to be scored: those on this machine, or copies of what lies behind a URL.

    Raises:
        LocationError: there is none, or they cannot be copied.
    """
    copies = None if spec.state is None else spec.state / "copies"
    if is_delta(spec.input, spec.storage):
        return fetch_delta(spec.input, spec.version, spec.storage, copies)
    if spec.version is not None:
        raise LocationError(f"{spec.input} is no Delta table, and has no versions; leave batch.version out")
    if isinstance(spec.input, Url):
        return fetch(spec.input, spec.storage, None, copies)
    return find_local(spec.input, None)


def open_source(spec: BatchSpec, files: Sequence[TableFile], form: TableFormat) -> Source:
    """Return the table of these files, Parquet or CSV by their contents; CSV files are read in this format.

    Raises:
        UnreadableTableError, OSError: they cannot be read as one table.
    """
    kinds = [is_parquet(file.path) for file in files]
    if any(kinds) and not all(kinds):
        text = f"{files[kinds.index(True)].name} is a Parquet file and {files[kinds.index(False)].name} is none"
        raise UnreadableTableError("path", f"{text}; name those of one kind by a pattern")
    if not kinds[0]:
        if spec.separator is None and all(is_tab_separated(Path(file.name)) for file in files):
            form = replace(form, separator="\t")  # the input's own name need not say so
        sources: Sequence[Source] = [CsvSource(file.path, form) for file in files]
    else:
        sources = [_ParquetPart(file, form.text_columns, form.dates) for file in files]
    if len(files) == 1 and "=" not in files[0].name:
        return sources[0]
    return FilesSource(spec.input, files, sources, form.text_columns)


class FilesSource:
    """Several files as one table; its rows are counted through all of them, and no chunk has rows of two.

    A piece says which file it is of, and with which number that file begins. A pickled source only reads blocks.

    Raises:
        UnreadableTableError: a file has other columns than the first, or one of another type.
    """

    def __init__(
        self, place: Path | Url, files: Sequence[TableFile], sources: Sequence[Source], text_columns: Collection[str]
    ) -> None:
        kind = "parquet" if isinstance(sources[0], ParquetSource) else "csv"
        self.header = join_headers(kind, place, files, [source.header for source in sources])
        self.schema = sources[0].schema
        if kind == "parquet":
            self.schema = _fit(files, sources, text_columns)
        self._first, self._sources = sources[0], sources
        self._names, self._sizes = [file.name for file in files], [file.path.stat().st_size for file in files]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_sources": ()}

    def values(self, column: Column, cells: Sequence[Any]) -> list[Any]:
        """Return a column's cells as a request would hold them."""
        return self._first.values(column, cells)

    def chunks(self, start: int, rows: int) -> Iterator[Chunk]:
        """Yield the rows from ``start`` on in chunks of at most ``rows``."""
        for chunk in self._pieces(start, lambda source, skipped: source.chunks(skipped, rows)):
            yield _numbered(chunk, chunk.first)

    def blocks(self, start: int, rows: int) -> Iterator[Block]:
        """Yield the same rows as blocks, which hold the same chunks."""
        yield from self._pieces(start, lambda source, skipped: source.blocks(skipped, rows))

    def read(self, block: Block) -> Chunk:
        """Return the chunk in a block."""
        chunk = replace(self._first.read(block), file=block.file, first=block.first)
        return _numbered(chunk, block.first)

    def count(self) -> int:
        """Return the number of rows."""
        return sum(source.count() for source in self._sources)

    def _pieces(self, start: int, read: Callable[[Source, int], Iterator[Piece]]) -> Iterator[Piece]:
        """Yield the pieces of all files from a row on, each as its own file numbers them."""
        first, total, before = 0, max(1, sum(self._sizes)), 0
        for name, size, source in zip(self._names, self._sizes, self._sources, strict=True):
            stop = skipped = min(start - first, source.count()) if first < start else 0
            for piece in read(source, skipped) if first + skipped >= start else ():
                stop = piece.stop
                yield replace(piece, share=(before + piece.share * size) / total, file=name, first=first)
            first, before = first + stop, before + size


def _numbered(chunk: Chunk, first: int) -> Chunk:
    """Return the rows of a file with their numbers in the whole table."""
    numbers = [number + first for number in chunk.numbers]
    malformed = {number + first: text for number, text in chunk.malformed.items()}
    return replace(chunk, numbers=numbers, malformed=malformed, stop=chunk.stop + first)


class _ParquetPart(ParquetSource):
    """A Parquet file of several, with the columns of its folders, in the types of the whole table."""

    def __init__(self, file: TableFile, text_columns: Sequence[str], dates: Mapping[str, str]) -> None:
        super().__init__(file.path, text_columns, dates)
        self._name = file.name
        self._whole: pa.Schema | None = None
        self._constants: Mapping[str, Any] = {}

    def fit(self, whole: pa.Schema, constants: Mapping[str, Any]) -> None:
        """Give all rows the types of the ``whole`` table, and the ``constants`` in columns of their folders."""
        self._whole, self._constants = whole, constants

    def _batches(self, start: int, rows: int) -> Iterator[tuple[int, pa.RecordBatch, float]]:
        import pyarrow as pa

        for begin, batch, share in super()._batches(start, rows):
            if self._whole is None:
                yield begin, batch, share
                continue
            arrays = [self._column(batch, field) for field in self._whole]
            yield begin, pa.RecordBatch.from_arrays(arrays, schema=self._whole), share

    def _column(self, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
        import pyarrow as pa

        if field.name not in batch.schema.names:
            return pa.array([self._constants[field.name]] * batch.num_rows, field.type)
        column = batch.column(field.name)
        if column.type == field.type:
            return column
        return array_as_text(column) if field.type == pa.string() else cast_column(column, field, self._name)


def _fit(files: Sequence[TableFile], sources: Sequence[Any], text_columns: Collection[str]) -> pa.Schema:
    """Return the schema of the whole table, which all sources then give."""
    import pyarrow as pa

    folders = {name: cells for name, cells in folder_values(files).items() if name not in sources[0].schema.names}
    types = {
        name: pa.int64() if all(isinstance(cell, int) for cell in cells if cell is not None) else pa.string()
        for name, cells in folders.items()
    }
    whole = join_schemas(files, [source.schema for source in sources], text_columns)
    for name, kind in types.items():
        whole = whole.append(pa.field(name, kind))
    for place, source in enumerate(sources):
        source.fit(whole, {name: cells[place] for name, cells in folders.items()})
    return whole
