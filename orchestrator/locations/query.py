"""The rows of a database's query or table, written to Parquet files in chunks by way of SQLAlchemy."""

from __future__ import annotations

import atexit
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from datetime import time as midnight
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from orchestrator.errors import one_line
from orchestrator.locations.copies import TableFile, TableFiles, kept_copies
from orchestrator.locations.text_cells import array_as_text, code_text
from orchestrator.locations.urls import LocationError, mask

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

ROWS = 50_000  # of a chunk, and of a file
_WAITS = (0.5, 1.0, 2.0)  # seconds between tries to connect
_PASSES = ("refused", "timed out", "timeout", "starting up", "too many clients", "too many connections")
_DRIVERS = {  # what to install for a module, or for a dialect that SQLAlchemy itself has not
    "psycopg": "pip install 'psycopg[binary]', or write postgresql+psycopg2:// for psycopg2",
    "psycopg2": "pip install psycopg2-binary",
    "MySQLdb": "pip install pymysql, and write mysql+pymysql://",
    "duckdb": "pip install duckdb-engine",
    "sqlalchemy": "pip install 'sklearn-orchestrator[sql]'",
}


@dataclass(frozen=True)
class Query:
    """What to read of a database: the result of a ``query``, or a ``table``, which may have a schema in front of it.

    ``connection_env`` names the environment variable with SQLAlchemy's URL, which holds a password.
    """

    connection_env: str
    query: str | None = None
    table: str | None = None

    @property
    def address(self) -> str:
        """The URL, never to be printed.

        Raises:
            LocationError: the variable is not set.
        """
        address = os.environ.get(self.connection_env, "")
        if not address:
            example = "postgresql://user:password@host/database"
            raise LocationError(f"the environment variable {self.connection_env} is not set; it should hold {example}")
        return address


def fetch_rows(query: Query, folder: Path | None) -> TableFiles:
    """Read the rows, and return Parquet files with them that are removed when the process ends.

    A column has the type that the database gives its values: decimals are float64, a column with values of several types
    is text, and so are identifiers (UUID). Where nothing says that 0 and 1 are booleans, they are numbers.

    Raises:
        LocationError: it cannot be connected to, or the query fails; the text has no password.
    """
    address = query.address
    with kept_copies(f"{address} {query.query} {query.table}", {}, folder) as home:
        target = home / uuid4().hex
        target.mkdir(mode=0o700)
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    names = []
    with _explained(query, address):
        for number, table in enumerate(_chunks(query, address)):
            names.append(f"rows-{number:06}.parquet")
            _write(table, target / names[-1])
    _write_as_text([target / name for name in names])
    return TableFiles(tuple(TableFile(target / name, name) for name in names))


def _write(table: pa.Table, path: Path) -> None:
    from pyarrow import parquet

    path.touch(mode=0o600)
    parquet.write_table(table, path)


def _write_as_text(paths: Sequence[Path]) -> None:
    """Write the columns as text whose types in two files exclude each other."""
    import pyarrow as pa
    from pyarrow import parquet

    schemas, texts = [parquet.read_schema(path) for path in paths], []
    for name in schemas[0].names:
        try:
            pa.unify_schemas([pa.schema([each.field(name)]) for each in schemas], promote_options="permissive")
        except pa.ArrowException:
            texts.append(name)
    for path in paths if texts else ():
        table = parquet.read_table(path)
        for name in texts:
            table = table.set_column(table.schema.names.index(name), name, array_as_text(table.column(name)))
        _write(table, path)


def _chunks(query: Query, address: str) -> Iterator[pa.Table]:
    """Yield the rows in chunks; at least one, which has the columns where there is no row."""
    import sqlalchemy as sa

    engine = sa.create_engine(address)
    try:
        with _connect(engine) as connection:
            streaming = connection.execution_options(stream_results=True, max_row_buffer=ROWS, no_parameters=True)
            if query.table is not None:
                schema, _, name = query.table.rpartition(".")
                quote = (
                    None if connection.dialect.requires_name_normalize else True
                )  # words of SQL that SQLAlchemy knows not
                known = sa.MetaData()
                table = sa.Table(name, known, schema=schema or None, autoload_with=connection, quote=quote)
                result = streaming.execute(sa.select(table))
            else:
                result = streaming.exec_driver_sql(query.query or "")
            if not result.returns_rows:
                raise LocationError("data.query returns no rows; write a SELECT")
            names, some = list(result.keys()), False
            if twice := next((name for name in names if names.count(name) > 1), None):
                text = f"data.query returns two columns '{twice}'; name each of them, such as SELECT t.{twice} AS other"
                raise LocationError(text)
            for rows in result.partitions(ROWS):
                some = True
                yield _to_arrow(names, list(zip(*rows, strict=True)))
            if not some:
                yield _to_arrow(names, [()] * len(names))
    finally:
        engine.dispose()


@contextmanager
def _connect(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Connect, and again where the server is not ready; what the query does to tables is rolled back."""
    for wait in (*_WAITS, None):
        try:
            connection = engine.connect()
        except Exception as error:
            if wait is None or not any(sign in str(error).lower() for sign in _PASSES):
                raise
            time.sleep(wait)
        else:
            with connection:
                if connection.dialect.name == "sqlite":  # whose driver begins none for DROP TABLE and the like
                    connection.exec_driver_sql("BEGIN")
                yield connection
            return


def _to_arrow(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_arrays([_to_array(cells) for cells in columns], names=list(names))


def _to_array(cells: Sequence[Any]) -> pa.Array:
    from decimal import Decimal
    from uuid import UUID

    import pyarrow as pa

    kinds = {type(cell) for cell in cells} - {type(None)}
    if Decimal in kinds and kinds <= {Decimal, int, float}:
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    if kinds == {int, float}:
        return pa.array(cells, pa.float64())
    if datetime in kinds and kinds <= {datetime, date}:
        cells = [_time(cell) for cell in cells]
    try:
        if UUID not in kinds:
            return pa.array(cells)
    except (pa.ArrowException, OverflowError):  # of several types, or of one that Arrow has not
        pass
    return pa.array([None if cell is None else code_text(cell) for cell in cells], pa.string())


def _time(cell: Any) -> Any:
    """Return a date as its first moment, and a time with a zone in UTC: a server's offset changes with the season."""
    if type(cell) is date:
        return datetime.combine(cell, midnight())
    return cell.astimezone(timezone.utc) if cell is not None and cell.tzinfo is not None else cell


@contextmanager
def _explained(query: Query, address: str) -> Iterator[None]:
    """Translate the errors of SQLAlchemy and of the drivers.

    Raises:
        LocationError: with one line that has no password, and the remedy.
    """
    try:
        yield
    except LocationError:
        raise
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        raise LocationError(
            mask(_explain(query, address, error), address)
        ) from None  # the cause may quote the password


def _explain(query: Query, address: str, error: Exception) -> str:
    kind, names = type(error).__name__, {each.__name__ for each in type(error).__mro__}
    dialect = address.partition(":")[0].partition("+")[0]
    if isinstance(error, ImportError) or kind == "NoSuchModuleError":
        missing = getattr(error, "name", None) or dialect
        remedy = _DRIVERS.get(missing, f"install SQLAlchemy's driver for it ({missing})")
        return f"the database of {query.connection_env} needs a library that is not installed; {remedy}"
    if kind == "ArgumentError":
        example = "postgresql://user:password@host/database"
        return f"{query.connection_env} holds no URL of a database that SQLAlchemy can read; write it as {example}"
    if kind == "NoSuchTableError":
        return f"the database of {query.connection_env} has no table {query.table}; look at its schema (schema.table)"
    said = one_line(getattr(error, "orig", None) or error)
    asked = getattr(error, "statement", None) is not None  # a failed connection has none
    what = "refuses the query" if asked or "OperationalError" not in names else "cannot be connected to"
    return f"the database of {query.connection_env} {what}: {said}"
