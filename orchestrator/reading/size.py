"""The size of a table in memory, estimated from its first rows and the size of its file, without pandas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.reading.files import open_text, table_files
from orchestrator.reading.frame import left_out, read_header, translate_read_errors
from orchestrator.reading.rows import cut_rows, read_rows
from orchestrator.spec.data import DataSpec
from score.contract.cells import TableFormat

_SAMPLE = 2**21  # characters at the beginning of a CSV file that are looked at
_ROWS = 10_000  # of a Parquet file
_CELL = 16  # bytes that pandas' CSV parser holds for a cell besides its text: the position of a word and its start
_TEXT = 8  # bytes of a text besides its letters in a column of text, and of a number


@dataclass(frozen=True)
class TableSize:
    """What is known of a table before it is read.

    Attributes:
        rows: How many there are; exact for Parquet.
        numbers: The number of columns of numbers, the target and columns that are left out not counted.
        levels: The number of different texts in each column of text, among the rows that were looked at.
        row_bytes: The mean size of a row in a data frame.
        reading_bytes: What reading holds for a row besides the frame.
    """

    rows: int
    numbers: int
    levels: Sequence[int]
    row_bytes: float
    reading_bytes: float

    @property
    def columns(self) -> int:
        """The number of features."""
        return self.numbers + len(self.levels)


def estimate_size(data: DataSpec) -> TableSize:
    """Look at the beginning of a table.

    Raises:
        UnreadableTableError, OSError: as ``read_table``.
    """
    header = read_header(data)
    skipped = {*left_out(data, header), data.target}
    with translate_read_errors(data):
        return _of_csv(data, header.names, skipped) if data.format == "csv" else _of_parquet(data, skipped)


def file_bytes(data: DataSpec) -> int:
    """Return the size of a table's files.

    Raises:
        UnreadableTableError, OSError: they cannot be found.
    """
    return sum(file.path.stat().st_size for file in table_files(data))


def _of_csv(data: DataSpec, names: Sequence[str], skipped: Iterable[str]) -> TableSize:
    separator, form = str(data.separator), data.table_format()
    with open_text(table_files(data)[0].path, data.encoding) as (text, position):
        next(cut_rows(text, separator, 1), None)  # the header
        taken = [row for _, row in read_rows(_until(text, _SAMPLE), separator) if len(row) == len(names)]
        next(text, None)  # at the end of the file, all of it has been read
        share = max(1, position()) / max(1, file_bytes(data))
    length = sum(sum(map(len, row)) + len(row) for row in taken)
    columns = {name: cells for name, cells in zip(names, zip(*taken, strict=True), strict=False) if name not in skipped}
    missing = frozenset(form.missing)
    numeric = {
        name for name, cells in columns.items() if name not in data.text_columns and _are_numbers(cells, missing, form)
    }
    texts = [cells for name, cells in columns.items() if name not in numeric]
    rows_seen = max(1, len(taken))
    letters = sum(sum(map(len, cells)) for cells in texts) / rows_seen
    frame = 8 + _TEXT * len(columns) + letters
    return TableSize(
        round(len(taken) / share),
        len(numeric),
        [len({*cells}) for cells in texts],
        frame,
        length / rows_seen + _CELL * len(names),
    )


def _until(text: Iterable[str], characters: int) -> Iterator[str]:
    """Yield lines up to a number of characters."""
    for line in text:
        yield line
        characters -= len(line)
        if characters < 0:
            return


def _are_numbers(cells: Iterable[str], missing: frozenset[str], form: TableFormat) -> bool:
    plain = str.maketrans({form.decimal: ".", form.thousands or "": ""} if form.thousands else {form.decimal: "."})
    with suppress(ValueError):
        for cell in cells:
            if cell not in missing:
                float(cell.translate(plain))
        return True
    return False


def _of_parquet(data: DataSpec, skipped: Iterable[str]) -> TableSize:
    import pyarrow as pa
    from pyarrow import compute, parquet

    paths = [file.path for file in table_files(data)]
    rows = sum(parquet.read_metadata(path).num_rows for path in paths)
    with parquet.ParquetFile(paths[0]) as file:
        schema = file.schema_arrow
        batch = next(iter(file.iter_batches(_ROWS)), None)
    names = [name for name in schema.names if name not in skipped]
    fixed = {name: schema.field(name).type for name in names}
    numeric = [name for name, kind in fixed.items() if pa.types.is_primitive(kind) or pa.types.is_decimal(kind)]
    texts = [name for name in names if name not in numeric or name in data.text_columns]
    if batch is None:
        return TableSize(rows, len(numeric), [0 for _ in texts], 8.0 * len(names), 0)
    levels = []
    for name in texts:
        with suppress(pa.ArrowException):  # lists and mappings are not compared
            levels.append(len(compute.unique(batch[name])))
    frame = 8 + batch.select(names).nbytes / max(1, batch.num_rows)
    return TableSize(rows, len(numeric), levels, frame, frame)
