"""One version of a Delta table, copied to a Parquet file in batches by way of deltalake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.errors import one_line
from orchestrator.locations.copies import TableFile, TableFiles, kept_copies, place_copy
from orchestrator.locations.storage import Options
from orchestrator.locations.urls import LocationError, Url, mask

_LONGEST = 300  # letters of a library's text


def fetch_delta(place: Path | Url, version: int | None, options: Options, folder: Path | None) -> TableFiles:
    """Return a Parquet file with the rows of a version, by default the newest; a version is copied once.

    Raises:
        LocationError: there is no such table or version, or it cannot be read.
    """
    address = place.address if isinstance(place, Url) else str(place)
    try:
        from deltalake import DeltaTable
    except ImportError:
        text = f"{place} cannot be read: the library for Delta tables is not installed"
        raise LocationError(f"{text}; pip install 'sklearn-orchestrator[delta]'") from None
    if isinstance(place, Path) and not (place / "_delta_log").is_dir():
        raise LocationError(f"{place} is no Delta table: it has no folder _delta_log; name the table's folder")
    try:
        table = DeltaTable(
            address, version=version, storage_options={name: str(each) for name, each in options.items()}
        )
        number, name = table.version(), f"{place.name}.parquet"
        with kept_copies(f"delta {mask(address, address)}", options, folder) as home:
            path = place_copy(home, f"{table.metadata().id} {number}", name, lambda target: _write(table, target))
    except LocationError:
        raise
    except Exception as error:  # noqa: BLE001 - the library's own, and those of the storage below it
        wanted = "" if version is None else f" in version {version}"
        said = mask(one_line(error), address)[:_LONGEST]
        hint = (
            "; look at the version (data.version)" if version is not None else "; look at the path and the credentials"
        )
        raise LocationError(f"{place} cannot be read as a Delta table{wanted}: {said}{hint}") from None
    return TableFiles((TableFile(path, name),))


def _write(table: Any, target: Path) -> None:
    from pyarrow import parquet

    rows = table.to_pyarrow_dataset()
    with parquet.ParquetWriter(target, rows.schema) as writer:
        for batch in rows.to_batches():
            if batch.num_rows:
                writer.write_batch(batch)
