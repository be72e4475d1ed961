"""The names of a file's columns, for the configuration check, training and batch scoring alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.reading.files import Unreadable, kind_of, opened
from orchestrator.reading.rows import rows_of

_UNNAMED = re.compile(r"\s*|Unnamed: \d+(\.\d+)*(_level_\d+)?")  # as pandas calls such a column, and then writes it
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
SEPARATORS = {",": "','", ";": "';'", "\t": r"'\t'", "|": "'|'"}


@dataclass(frozen=True)
class Header:
    """The ``names`` of all columns of a file, in its order.

    ``index`` are the columns that may only number the rows: the unnamed ones that a file begins with, and those that
    pandas ``stored`` as the index of a Parquet file. ``unnamed`` are all that have no name in the file; ``Unnamed: 3``
    is the fourth column.
    """

    names: tuple[str, ...]
    index: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()

    def meant(self, name: str) -> str:
        """Return the column that is meant by a name in the configuration: ``""`` is the first unnamed one."""
        return self.unnamed[0] if not name and self.unnamed else name

    def twice(self) -> list[str]:
        """Return the names that more than one column has."""
        return sorted({name for name in self.names if self.names.count(name) > 1})


def csv_header(path: Path, separator: str, encoding: str) -> Header:
    """Return the names in the first row of a CSV file.

    Raises:
        Unreadable: the file is no CSV file, or has no row.
        OSError, UnicodeDecodeError, csv.Error, EOFError: it cannot be read.
    """
    with opened(path, encoding) as (text, _):
        row = next((row for _, row in rows_of(text, separator)), None)
    if row is None:
        raise Unreadable("path", f"{path} cannot be read as csv: the file is empty")
    return named(row)


def named(row: Sequence[str]) -> Header:
    """Return the header that a row of cells is."""
    taken = [cell for cell in row if cell.strip()]
    names, unnamed = [], []
    for place, cell in enumerate(row):
        name = cell
        if not cell.strip():
            name = f"Unnamed: {place}"
            while name in taken:
                name += ".1"
            taken.append(name)
        names.append(name)
        if _UNNAMED.fullmatch(cell):
            unnamed.append(name)
    return Header(tuple(names), _leading(names, unnamed), unnamed=tuple(unnamed))


def _leading(names: Sequence[str], unnamed: Sequence[str]) -> tuple[str, ...]:
    """Return the unnamed columns that stand before the first named one."""
    first = next((place for place, name in enumerate(names) if name not in unnamed), 0)
    return tuple(names[:first])


def parquet_header(path: Path) -> Header:
    """Return the names of a Parquet file's columns, as text, those of pandas' index among them.

    Raises:
        Unreadable: it is another file by its contents.
        OSError, ValueError: it cannot be read.
    """
    from pyarrow import parquet  # a tenth of a second, and only for Parquet

    if (kind := kind_of(path)) in {"gzip", "bzip2", "xz", "zip", "zstd", "excel"}:
        raise Unreadable("path", f"{path} cannot be read as parquet: it is a file of another kind ({kind})")
    schema = parquet.read_schema(path)
    kept = (schema.pandas_metadata or {}).get("index_columns", [])
    stored = tuple(name for name in kept if isinstance(name, str) and name in schema.names)
    unnamed = tuple(name for name in schema.names if _UNNAMED.fullmatch(name) or _PANDAS_INDEX.fullmatch(name))
    index = dict.fromkeys([*stored, *_leading(schema.names, unnamed)])
    return Header(tuple(schema.names), tuple(index), stored, unnamed)


def other_separator(header: Header, wanted: Sequence[str]) -> str:
    """Return the separator, as it is typed, that finds a wanted name in a header of one name; "" if there is none."""
    if len(header.names) != 1 or header.names[0] in wanted:
        return ""
    for separator, shown in SEPARATORS.items():
        if set(wanted) & set(header.names[0].split(separator)):
            return shown
    return ""
