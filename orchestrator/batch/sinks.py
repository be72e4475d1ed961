"""Tables that are written in parts: a part is plain bytes, made in any process, and all are joined at the end."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from orchestrator.batch.tables import Columns

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 2**17  # rows of a Parquet file that are written, and so read, at once


class Sink(Protocol):
    """Makes a table of parts, which other processes may make; then joins them."""

    def part(self, columns: Columns) -> bytes:
        """Return the contents of a part."""
        ...

    def join(self, file: IO[bytes], parts: Iterable[Path]) -> None:
        """Join the parts into the whole table."""
        ...


@dataclass(frozen=True)
class CsvSink:
    """A CSV file; its parts have no header."""

    names: Sequence[str]

    def part(self, columns: Columns) -> bytes:
        """Return the contents of a part."""
        text = io.StringIO(newline="")
        rows = zip(*(columns[name] for name in self.names), strict=True)
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()

    def join(self, file: IO[bytes], parts: Iterable[Path]) -> None:
        """Write the header, then the parts unchanged."""
        file.write(self.part({name: [name] for name in self.names}))
        for path in parts:
            with path.open("rb") as part:
                shutil.copyfileobj(part, file, 2**20)


@dataclass(frozen=True)
class ParquetSink:
    """A Parquet file, or the rows of a Delta table; its parts are Parquet files."""

    schema: pa.Schema

    def part(self, columns: Columns) -> bytes:
        """Return the contents of a part."""
        import pyarrow as pa
        from pyarrow import parquet

        arrays = [pa.array(columns[field.name], field.type) for field in self.schema]
        buffer = pa.BufferOutputStream()
        parquet.write_table(pa.Table.from_arrays(arrays, schema=self.schema), buffer)
        content: bytes = buffer.getvalue().to_pybytes()
        return content

    def join(self, file: IO[bytes], parts: Iterable[Path]) -> None:
        """Write one file with row groups of a usual size."""
        from pyarrow import parquet

        with parquet.ParquetWriter(file, self.schema) as writer:
            for table in self.tables(parts):
                writer.write_table(table)

    def tables(self, parts: Iterable[Path]) -> Iterator[pa.Table]:
        """Yield the rows of the parts, about as many at a time as a row group has."""
        import pyarrow as pa
        from pyarrow import parquet

        waiting: list[pa.Table] = []
        for part in parts:
            with parquet.ParquetFile(part) as stored:
                waiting.append(stored.read())
            if sum(table.num_rows for table in waiting) >= ROW_GROUP:
                yield pa.concat_tables(waiting)
                waiting.clear()
        if waiting:
            yield pa.concat_tables(waiting)
