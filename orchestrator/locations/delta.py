"""One version of a Delta table, copied to a Parquet file in batches by way of deltalake; and a new table, written so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import one_line
from orchestrator.locations.connections import Options
from orchestrator.locations.copies import TableFile, TableFiles, kept_copies, place_copy
from orchestrator.locations.storage import is_delta
from orchestrator.locations.urls import LocationError, Url, mask
from orchestrator.locations.workspace_files import is_in_workspace

if TYPE_CHECKING:
    import pyarrow as pa

NOT_INSTALLED = "the library for Delta tables is not installed; pip install 'sklearn-orchestrator[delta]'"
_LONGEST = 300  # letters of a library's text


def fetch_delta(place: Path | Url, version: int | None, options: Options, folder: Path | None) -> TableFiles:
    """Return a Parquet file with the rows of a version, by default the newest; a version is copied once.

    Raises:
        LocationError: there is no such table or version, or it cannot be read.
    """
    address = address_of(place)
    try:
        from deltalake import DeltaTable
    except ImportError:
        raise LocationError(f"{place} cannot be read: {NOT_INSTALLED}") from None
    if isinstance(place, Path) and not is_delta(place):
        raise LocationError(f"{place} is no Delta table: it has no folder _delta_log; name the table's folder")
    try:
        table = DeltaTable(
            address, version=version, storage_options={name: str(each) for name, each in options.items()}
        )
        key, name = f"{table.metadata().id} {table.version()}", f"{place.name}.parquet"
        with kept_copies(f"delta {mask(address, address)}", options, folder) as home:
            path = place_copy(home, key, name, lambda target: _write(table, target))
    except LocationError:
        raise
    except Exception as error:  # noqa: BLE001 - the library's own, and those of the storage below it
        wanted = "" if version is None else f" in version {version}"
        said = mask(one_line(error), address)[:_LONGEST]
        hint = "; look at the version" if version is not None else "; look at the path and the credentials"
        raise LocationError(f"{place} cannot be read as a Delta table{wanted}: {said}{hint}") from None
    return TableFiles((TableFile(path, name, key),))


def address_of(place: Path | Url) -> str:
    """Return the path or the URL for deltalake.

    Raises:
        LocationError: it cannot read or write there.
    """
    if is_in_workspace(place):
        remedy = "name the container behind its datastore: abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/TABLE"
        raise LocationError(f"{place}: Delta tables are not read or written through a workspace; {remedy}")
    return place.address if isinstance(place, Url) else str(place)


def _write(table: Any, target: Path) -> None:
    from pyarrow import parquet

    rows = table.to_pyarrow_dataset()
    with parquet.ParquetWriter(target, rows.schema) as writer:
        for batch in rows.to_batches():
            if batch.num_rows:
                writer.write_batch(batch)


def write_delta(place: Path | Url, schema: pa.Schema, tables: Iterable[pa.Table], options: Options) -> None:
    """Write a new table, which is there once its first version is committed; files of one that was not are no part.

    Raises:
        LocationError: there is one already, or it cannot be written.
    """
    import pyarrow as pa
    from deltalake import write_deltalake

    address = address_of(place)
    rows = pa.RecordBatchReader.from_batches(schema, (each for table in tables for each in table.to_batches()))
    try:
        write_deltalake(
            address, rows, mode="error", storage_options={name: str(each) for name, each in options.items()}
        )
    except Exception as error:  # noqa: BLE001 - the library's own, and those of the storage below it
        said = mask(one_line(error), address)[:_LONGEST]
        raise LocationError(f"{place} cannot be written as a Delta table: {said}") from None


def unfit_for_delta(schema: pa.Schema) -> str:
    """Return the column whose type a Delta table cannot have, in words; "" if there is none."""
    import pyarrow as pa
    from deltalake import Schema

    for field in schema:
        try:
            Schema.from_arrow(pa.schema([field]))
        except Exception:  # noqa: BLE001 - the library's own
            return f"a Delta table has no type for the column '{field.name}', which is {field.type}"
    return ""
