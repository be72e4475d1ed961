"""The files of one table: they have the same columns, and folders such as ``year=2024`` give Parquet files another one."""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from orchestrator.errors import one_line
from orchestrator.locations.copies import TableFile
from orchestrator.locations.text_cells import array_as_text
from orchestrator.locations.urls import Url
from orchestrator.reading.files import UnreadableTableError, table_files
from orchestrator.reading.header import Header, column_differences
from orchestrator.spec.data import DataSpec

_LISTED = 3  # files in a sentence
_NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")

if TYPE_CHECKING:
    import pyarrow as pa


def join_headers(kind: str, place: Path | Url, files: Sequence[TableFile], headers: Sequence[Header]) -> Header:
    """Return the header of the table at a place from those of its files, which are of a kind: csv, or another.

    Raises:
        UnreadableTableError: a file has other columns than the first; the text names both.
    """
    first = headers[0]
    for file, header in zip(files[1:], headers[1:], strict=True):
        for problem in column_differences(file.name, first.names, header.names, files[0].name):
            raise UnreadableTableError("path", problem)
        if kind == "csv" and header.names != first.names:
            at = next(name for name, other in zip(header.names, first.names, strict=False) if name != other)
            text = f"{file.name} has the columns of {files[0].name} in another order, beginning with '{at}'"
            raise UnreadableTableError("path", f"{text}; write them alike")
    folders = [name for name in folder_values(files) if name not in first.names]
    if kind == "csv":
        if folders and not glob.has_magic(str(place)):
            text = f"the folders of {place} give a column '{folders[0]}', which is read for Parquet files only"
            raise UnreadableTableError("path", f"{text}; a pattern such as {place}/**/*.csv leaves it out")
        return first
    return replace(first, names=(*first.names, *folders))


def describe_files(data: DataSpec) -> list[str]:
    """Return a sentence on how many files a table has, and which in its folder are no part of it; none for one file.

    Raises:
        UnreadableTableError: they cannot be found.
    """
    files, others = table_files(data), data.files().others
    if data.format not in {"csv", "parquet"} or (len(files) == 1 and not others):
        return []
    count = f"{len(files):,} files" if len(files) > 1 else "1 file"
    more = f" and {len(others) - _LISTED:,} more" if len(others) > _LISTED else ""
    left = f"; left out: {', '.join(others[:_LISTED])}{more}, no {data.format} by name" if others else ""
    return [f"the table is {count} of {data.path}, in the order of their names{left}"]


def folder_values(files: Sequence[TableFile]) -> Mapping[str, Sequence[Any]]:
    """Return the columns that the folders of files name in Hive's way, each with the value of every file.

    Whole numbers are numbers if they are that in all folders; ``__HIVE_DEFAULT_PARTITION__`` is a missing value.

    Raises:
        UnreadableTableError: some files lie in such folders, and others do not.
    """
    found = [_folder_pairs(file.name) for file in files]
    names = [*dict.fromkeys(name for pairs in found for name in pairs)]
    for file, pairs in zip(files, found, strict=True):
        if lacking := [name for name in names if name not in pairs]:
            other = files[next(place for place, each in enumerate(found) if lacking[0] in each)].name
            text = f"{file.name} lies in no folder {lacking[0]}=..., as {other} does"
            raise UnreadableTableError("path", f"{text}; move it, or name the files by a pattern")
    return {name: _typed([pairs[name] for pairs in found]) for name in names}


def _folder_pairs(name: str) -> dict[str, str | None]:
    pairs = (folder.partition("=") for folder in name.split("/")[:-1] if "=" in folder)
    return {unquote(key): None if value == _NULL else unquote(value) for key, _, value in pairs}


def _typed(texts: Sequence[str | None]) -> Sequence[Any]:
    """Return whole numbers if all texts are such as a number is written: 007 stays text."""
    numbers = all(text is None or _WHOLE.fullmatch(text) for text in texts)
    return [None if text is None else int(text) for text in texts] if numbers else texts


def read_parquet_files(
    files: Sequence[TableFile], columns: Sequence[str], text_columns: Sequence[str] = ()
) -> pa.Table:
    """Return some columns of the Parquet files of a table, ``text_columns`` as text, the rows of the first file first.

    Raises:
        UnreadableTableError: a column has types in two files of which neither holds the other.
        OSError, ValueError: a file cannot be read.
    """
    import pyarrow as pa

    values = folder_values(files)
    tables = [as_text(_read(file, place, columns, values), text_columns) for place, file in enumerate(files)]
    if len(tables) == 1:
        return tables[0]
    known = tables[0].schema
    for file, table in zip(files[1:], tables[1:], strict=True):
        for name, problem in _type_differences(known, table.schema, file.name, files[0].name):
            raise UnreadableTableError("path", f"{problem}, or read it as text: data.text_columns=[{name}]")
        for name in _other_orders(tables[0], table):
            raise UnreadableTableError("path", order_difference(name, file.name, files[0].name))
        known = pa.unify_schemas([known, table.schema], promote_options="permissive")
    tables = [_cast_numbers(table, known, file.name) for table, file in zip(tables, files, strict=True)]
    return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()


def cast_column(column: Any, field: pa.Field, file: str) -> Any:
    """Return a column of a file in the type that it has in the whole table.

    Raises:
        UnreadableTableError: it has whole numbers that a float64 cannot hold.
    """
    import pyarrow as pa

    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        text = f"column '{field.name}' of {file} is {column.type}, and {field.type} in other files, which cannot hold all of its"
        remedy = f"write the files with one type, or read it as text: data.text_columns=[{field.name}]"
        raise UnreadableTableError("path", f"{text} values ({one_line(error)}); {remedy}") from None


def _cast_numbers(table: pa.Table, whole: pa.Schema, file: str) -> pa.Table:
    """Return the table with whole numbers as floating-point ones where other files have those."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        wanted = whole.field(field.name)
        if pa.types.is_integer(field.type) and pa.types.is_floating(wanted.type):
            table = table.set_column(place, field.name, cast_column(table.column(place), wanted, file))
    return table


def join_schemas(files: Sequence[TableFile], schemas: Sequence[pa.Schema], text_columns: Collection[str]) -> pa.Schema:
    """Return the types that hold the columns of all Parquet files; text where that is asked for and types differ.

    Raises:
        UnreadableTableError: a column has types in two files of which neither holds the other.
    """
    import pyarrow as pa

    whole = schemas[0].remove_metadata()
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        other = pa.schema([schema.field(name) for name in whole.names])
        for place, field in enumerate(whole):
            if field.name in text_columns and field.type != other.field(place).type:
                text = pa.field(field.name, pa.string())
                whole, other = whole.set(place, text), other.set(place, text)
        for _, problem in _type_differences(whole, other, file.name, files[0].name):
            raise UnreadableTableError("path", problem)
        whole = pa.unify_schemas([whole, other], promote_options="permissive")
    return whole


def as_text(table: pa.Table, columns: Collection[str]) -> pa.Table:
    """Return the table with some columns as text."""
    import pyarrow as pa

    for place, each in enumerate(table.schema):
        if each.name in columns and each.type != pa.string():
            table = table.set_column(place, each.name, array_as_text(table.column(place)))
    return table


def order_difference(name: str, file: str, first: str) -> str:
    """Return in words that two tables have other categories in a column that orders them."""
    return (
        f"column '{name}' of {file} has ordered categories, and others or in another order than {first}, so that their "
        f"places differ; write both with the same categories, or read it as text: data.text_columns=[{name}]"
    )


def _other_orders(first: pa.Table, second: pa.Table) -> Iterator[str]:
    """Yield the columns of ordered categories that two tables do not have alike."""
    import pyarrow as pa

    for field in second.schema:
        column = first.column(field.name)
        if pa.types.is_dictionary(field.type) and (field.type.ordered or getattr(column.type, "ordered", False)):
            levels = {
                tuple(chunk.dictionary.to_pylist()) for each in (column, second.column(field.name)) for chunk in each.chunks
                if pa.types.is_dictionary(chunk.type)
            }  # fmt: skip
            if len(levels) > 1:
                yield field.name


def _read(file: TableFile, place: int, columns: Sequence[str], values: Mapping[str, Sequence[Any]]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # partitioning: pyarrow would take the folders of a copy for columns, too
        inside = set(parquet.read_schema(file.path).names)
        table = parquet.read_table(file.path, columns=[name for name in columns if name in inside], partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file.name}: {error}") from error
    for name, cells in values.items():
        if name in columns and name not in inside:
            numbers = all(isinstance(cell, int) for cell in cells if cell is not None)
            kind = pa.int64() if numbers else pa.string()
            table = table.append_column(name, pa.array([cells[place]] * table.num_rows, kind))
    return table.select([name for name in columns if name in table.schema.names])


def _type_differences(first: pa.Schema, second: pa.Schema, file: str, first_file: str) -> Iterator[tuple[str, str]]:
    """Yield each column with types of which neither holds the other, and that in words."""
    import pyarrow as pa

    for field in first:
        other = second.field(field.name)
        try:
            pa.unify_schemas([pa.schema([field]), pa.schema([other])], promote_options="permissive")
        except pa.ArrowException:
            types = f"is {other.type}, and {field.type} in {first_file}"
            yield field.name, f"column '{field.name}' of {file} {types}; write the files with one type"
