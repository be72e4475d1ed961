"""Tables that are written in parts: a part is plain bytes, made in any process, and all are joined at the end."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator.batch.tables import Columns

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 2**17  # rows of a Parquet file that are written, and so read, at once


class Sink(Protocol):
    """Makes a table of parts, which other processes may make; then joins them."""

    def part(self, columns: Columns) -> bytes:
        """Return the contents of a part."""
        ...

    def join(self, path: Path, parts: Iterable[Path]) -> None:
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

    def join(self, path: Path, parts: Iterable[Path]) -> None:
        """Write the header, then the parts unchanged."""
        with path.open("wb") as whole:
            whole.write(self.part({name: [name] for name in self.names}))
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)


@dataclass(frozen=True)
class ParquetSink:
    """A Parquet file whose parts are Parquet files."""

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
