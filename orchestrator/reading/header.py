"""The column names of a table file, read alike by the configuration check, training and batch scoring."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.reading.files import UnreadableTableError, detect_kind, open_text
from orchestrator.reading.rows import read_rows
from orchestrator.spec.messages import suggest

_UNNAMED = re.compile(r"\s*|Unnamed: \d+(\.\d+)*(_level_\d+)?")  # pandas' name for such a column, which it also writes
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
SEPARATORS = {",": "','", ";": "';'", "\t": r"'\t'", "|": "'|'"}


@dataclass(frozen=True)
class Header:
    """The ``names`` of all columns of a file, in the file's order.

    ``index`` are the columns that may be an index: the unnamed ones at the beginning, and those that pandas ``stored``
    as the index of a Parquet file. ``unnamed`` are all without a name in the file; the fourth is ``Unnamed: 3``.
    """

    names: tuple[str, ...]
    index: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()

    def resolve(self, name: str) -> str:
        """Return the column that a name in the configuration refers to: ``""`` is the first unnamed one."""
        return self.unnamed[0] if not name and self.unnamed else name

    def duplicates(self) -> list[str]:
        """Return the names that more than one column has."""
        return sorted({name for name in self.names if self.names.count(name) > 1})


def read_csv_header(path: Path, separator: str, encoding: str) -> Header:
    """Return the names in the first row of a CSV file.

    Raises:
        UnreadableTableError: the file is no CSV file, or has no row.
        OSError, UnicodeDecodeError, csv.Error, EOFError: it cannot be read.
    """
    with open_text(path, encoding) as (text, _):
        row = next((row for _, row in read_rows(text, separator)), None)
    if row is None:
        raise UnreadableTableError("path", f"{path} cannot be read as csv: the file is empty")
    return parse_header(row)


def parse_header(row: Sequence[str]) -> Header:
    """Turn the first row of a file into a header; columns without a name get pandas' names for them."""
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
    """Return the unnamed columns before the first named one."""
    first = next((place for place, name in enumerate(names) if name not in unnamed), 0)
    return tuple(names[:first])


def read_parquet_header(path: Path) -> Header:
    """Return the column names of a Parquet file as text, including those of pandas' index.

    Raises:
        UnreadableTableError: its contents are of another kind.
        OSError, ValueError: it cannot be read.
    """
    from pyarrow import parquet  # takes 0.1 s to import

    if (kind := detect_kind(path)) in {"gzip", "bzip2", "xz", "zip", "zstd", "excel"}:
        raise UnreadableTableError("path", f"{path} cannot be read as parquet: it is a file of another kind ({kind})")
    schema = parquet.read_schema(path)
    index_columns = (schema.pandas_metadata or {}).get("index_columns", [])
    stored = tuple(name for name in index_columns if isinstance(name, str) and name in schema.names)
    unnamed = tuple(name for name in schema.names if _UNNAMED.fullmatch(name) or _PANDAS_INDEX.fullmatch(name))
    index = dict.fromkeys([*stored, *_leading(schema.names, unnamed)])
    return Header(tuple(schema.names), tuple(index), stored, unnamed)


def column_differences(file: str, names: Sequence[str], present: Sequence[str], first: str) -> Sequence[str]:
    """Return in words each column that only one of two tables has."""
    lacking = [name for name in names if name not in present]
    problems = [
        f"{file} has no column '{name}', which {first} has{suggest(name, {*present} - {*names})}" for name in lacking
    ]
    more = [name for name in present if name not in names]
    return problems + [f"{file} has a column '{name}', which {first} has not" for name in more]


def guess_separator(header: Header, wanted: Sequence[str]) -> str:
    """Return the separator, as written in YAML, that splits a header of one name into wanted ones; "" if none does."""
    if len(header.names) != 1 or header.names[0] in wanted:
        return ""
    names = set(wanted)
    return next((typed for sep, typed in SEPARATORS.items() if names & set(header.names[0].split(sep))), "")
