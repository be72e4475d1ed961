"""A random sample of a table's rows (``data.rows``), drawn before the table is read: only the sample must fit into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import DataError
from orchestrator.reading.files import open_text
from orchestrator.reading.frame import read_table
from orchestrator.reading.rows import pick_rows
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
    target = None if data.rows is None else read_table(data, [data.target]).frame.get(data.target)
    if data.rows is None or target is None or len(target) <= data.rows:
        yield data, ""
        return
    stratified = data.stratify and classified
    rows = _stratified(target, data) if stratified else _at_random(len(target), data)
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        path = Path(folder, data.path.name)
        if data.format == "parquet":
            _copy_parquet(data.path, path, rows)
        else:
            with open_text(data.path, data.encoding) as (text, _), path.open("w", encoding="utf-8", newline="") as copy:
                copy.writelines(pick_rows(text, str(data.separator), rows.tolist()))
        shares = f", with the classes' shares of '{data.target}'" if stratified else ""
        said = f"{len(rows):,} of {len(target):,} rows are used, drawn with seed {data.rows_seed}{shares} (data.rows={data.rows})"
        yield data.model_copy(update={"path": path, "encoding": "utf-8"}), said


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
        start = 0
        for batch in file.iter_batches(_BATCH):
            stop = start + batch.num_rows
            inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
            if len(inside):
                copy.write_table(pa.Table.from_batches([batch]).take(pa.array(inside)))
            start = stop
