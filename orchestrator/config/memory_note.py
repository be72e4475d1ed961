"""Say before a table is read what training on it will take of the memory, and what to do if that is too much."""

from __future__ import annotations

import json
import os

from orchestrator.modeling.memory import available_bytes, reading_bytes, training_bytes
from orchestrator.modeling.splitting.splitters import fold_count
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.size import TableSize, estimate_size, file_bytes
from orchestrator.spec.run_spec import RunSpec

WORTH_SAYING = 2e9  # bytes
_SMALL = 10e6  # bytes of a file that is not looked at for this
_SAFE = 0.7  # share of the memory that a proposal takes


def memory_note(spec: RunSpec, *, always: bool = False) -> str:
    """Return what a training needs and what there is, with a remedy where that is less; "" where it is little.

    ``always``: also where it is little.
    """
    try:
        if file_bytes(spec.data) < _SMALL and not always:
            return ""
        size = estimate_size(spec.data)
    except (UnreadableTableError, OSError, ValueError, EOFError):  # reported where the table is read
        return ""
    need, there = needed_bytes(spec, size), available_bytes()
    if need < min(WORTH_SAYING, there) and not always:
        return ""
    rows, processes = _rows(spec, size.rows), process_count(spec)
    learned = f", of which {rows:,} are used (data.rows)" if rows < size.rows else ""
    at_once = f" ({processes} processes)" if processes > 1 else ""
    text = (
        f"about {size.rows:,} rows × {size.columns} columns{learned}; training takes about {_gigabytes(need)}{at_once}"
    )
    text += f" besides the models, and {_gigabytes(there)} are free"
    return f"{text}; too much: {_remedy(spec, size, there)}" if need > there else text


def needed_bytes(spec: RunSpec, size: TableSize, rows: int | None = None, processes: int | None = None) -> float:
    """Return about how many bytes reading and training take at once."""
    used = _rows(spec, size.rows) if rows is None else rows
    encoded = size.columns
    if "OneHotEncoder" in json.dumps(spec.preprocess.model_dump(mode="json")):
        encoded = size.numbers + min(sum(size.levels), spec.data.max_one_hot)
    folds = fold_count(spec.search, spec.data.split) or 5
    count = process_count(spec) if processes is None else processes
    fit = training_bytes(used, size.row_bytes, encoded, folds, count)
    return max(fit, reading_bytes(used, size.row_bytes, size.reading_bytes))


def _rows(spec: RunSpec, rows: int) -> int:
    return min(rows, spec.data.rows or rows)


def process_count(spec: RunSpec) -> int:
    """Return how many processes of this machine fit at once."""
    search = spec.search
    if search.scheduler is not None or search.backend == "threading":
        return 1
    cores = os.cpu_count() or 1
    jobs = search.n_jobs if search.n_jobs is not None else cores if search.backend else 1
    return jobs if jobs > 0 else max(cores + 1 + jobs, 1)


def _remedy(spec: RunSpec, size: TableSize, there: float) -> str:
    rows = _rows(spec, size.rows)
    while rows > 1 and needed_bytes(spec, size, rows) > _SAFE * there:
        rows = rows * 9 // 10
    digits = 10 ** max(0, len(str(rows)) - 2)
    remedies = [f"learn from a sample (data.rows={max(1, rows // digits * digits)})"] if rows > 1 else []
    if process_count(spec) > 1:
        alone = needed_bytes(spec, size, processes=1)
        remedies.append(
            f"fit in one process, which takes about {_gigabytes(alone)} (search.n_jobs=1 search.backend=null)"
        )
    if spec.search.scheduler is None:
        remedies.append("fit on other machines (search.backend=dask search.scheduler=tcp://host:8786)")
    return ", or ".join(remedies)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
