"""A random sample of a table's rows (``data.rows``), drawn before the table is read: only the sample must fit into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import DataError
from orchestrator.locations.copies import TableFile, TableFiles
from orchestrator.reading.files import open_text, table_files
from orchestrator.reading.frame import read_header, read_table
from orchestrator.reading.rows import cut_rows, pick_rows
from orchestrator.spec.data import DataSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_BATCH = 65_536  # rows of a Parquet file that are in memory at once


@contextmanager
def draw_sample(data: DataSpec, *, classified: bool) -> Iterator[tuple[DataSpec, str]]:
    """Yield the description of a file with the sampled rows, in the table's order, and a sentence about it.

    The classes of a ``classified`` target keep their shares if ``data.stratify`` is set. A table that has no more rows
    than wanted is yielded itself, with "".

    Raises:
        DataError: a class would have no row.
        UnreadableTableError, OSError: as ``read_table``.
    """
    if data.rows is None:
        yield data, ""
        return
    index = read_header(data).index
    whole = read_table(data, [data.target, *index])
    target = whole.frame.get(data.target)
    if target is None or len(target) <= data.rows:
        yield data, ""
        return
    # whether a column only numbers the rows shows in all of them; in a sample numbers are left out
    numbers_rows = data.index == "auto" and any(name in whole.left_out for name in index)
    stratified = data.stratify and classified
    rows = _stratified(target, data) if stratified else _at_random(len(target), data)
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        files = _copy_files(data, rows, Path(folder))
        shares = f", with the classes' shares of '{data.target}'" if stratified else ""
        said = f"{len(rows):,} of {len(target):,} rows are used, drawn with seed {data.rows_seed}{shares} (data.rows={data.rows})"
        yield data.of_files(TableFiles(files), encoding="utf-8", index="drop" if numbers_rows else data.index), said


def _copy_files(data: DataSpec, rows: np.ndarray, folder: Path) -> list[TableFile]:
    """Write the chosen rows of each file of a table into a file of that name."""
    import numpy as np

    copies, start = [], 0
    files = table_files(data)
    for place, file in enumerate(files):
        stop = start + (_count_rows(data, file.path) if place + 1 < len(files) else int(rows[-1]) + 1)
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
        copy = folder / str(place) / file.path.name
        copy.parent.mkdir()
        if data.format == "csv":
            with open_text(file.path, data.encoding) as (text, _), copy.open("w", encoding="utf-8", newline="") as to:
                to.writelines(pick_rows(text, str(data.separator), inside.tolist()))
        else:
            _copy_parquet(file.path, copy, inside)
        copies.append(TableFile(copy, file.name))
        start = stop
    return copies


def _count_rows(data: DataSpec, path: Path) -> int:
    from pyarrow import parquet

    if data.format != "csv":
        return int(parquet.read_metadata(path).num_rows)
    with open_text(path, data.encoding) as (text, _):
        return sum(count for count, _ in cut_rows(text, str(data.separator), 1000)) - 1  # the header


def _at_random(total: int, data: DataSpec) -> np.ndarray:
    import numpy as np

    rng = np.random.default_rng(data.rows_seed)
    chosen: np.ndarray = np.sort(rng.choice(total, data.rows, replace=False))
    return chosen


def _stratified(target: pd.Series, data: DataSpec) -> np.ndarray:
    """Return positions by class, rounded by the largest remainder; rows without a target are a class of their own."""
    import numpy as np
    import pandas as pd

    codes, labels = pd.factorize(target, use_na_sentinel=False)
    counts, rows = np.bincount(codes), int(data.rows or 0)
    exact = counts * (rows / len(codes))
    wanted = np.floor(exact).astype(int)
    most = np.argsort(wanted - exact, kind="stable")[: rows - wanted.sum()]
    wanted[most] += 1
    for label, count, size in zip(labels.tolist(), counts, wanted, strict=True):
        if not size and not pd.isna(label):
            least = -(-len(codes) // int(count))
            text = f"none of {rows:,} rows would be of class {label!r}, which {count:,} of {len(codes):,} rows have"
            raise DataError(f"data.rows: {text}; write data.rows={least}, or data.stratify=false")
    rng = np.random.default_rng(data.rows_seed)
    chosen = [rng.choice(np.flatnonzero(codes == code), size, replace=False) for code, size in enumerate(wanted)]
    return np.sort(np.concatenate(chosen))


def _copy_parquet(source: Path, path: Path, rows: np.ndarray) -> None:
    """Write the chosen rows of a Parquet file into another one with the same schema."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(source) as file, parquet.ParquetWriter(path, file.schema_arrow) as copy:
        start = 0  # a file without a chosen row keeps its columns
        for batch in file.iter_batches(_BATCH):
            stop = start + batch.num_rows
            inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
            if len(inside):
                copy.write_table(pa.Table.from_batches([batch]).take(pa.array(inside)))
            start = stop
