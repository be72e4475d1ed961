"""A data file's header, read without pandas, and the names in the configuration that it lacks."""

from __future__ import annotations

import csv
import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, TextIO

from orchestrator.config.spec import BatchSpec, DataSpec, PreprocessSpec
from orchestrator.config.wording import near, nearest, one_line
from orchestrator.errors import Problem

_OPENERS = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}  # what pandas, too, tells from the name
_KEEP_COLUMNS = ("score.", "sklearn.")  # a transformer of somebody else may make columns that the file has not
_SEPARATORS = {",": "','", ";": "';'", "\t": '"\\t"', "|": "'|'"}


def problems(data: DataSpec, preprocess: PreprocessSpec) -> Iterator[Problem]:
    """What is wrong with the file, and every column that is named and not there."""
    try:
        header = _header(data)
    except _Wrong as error:
        yield error.problem
        return
    if other := _other_separator(data, header):
        yield Problem("data.separator", f"{data.path.name} seems to be separated by {other}, not by {data.separator!r}")
        return
    yield from _columns(data, header)
    features = [name for name in header if name != data.target and name not in data.drop]
    if not features and data.target in header:
        yield Problem("data.path", f"{data.path.name} has no column to learn from besides the target '{data.target}'")
    for at, names in _named_columns(preprocess):
        for name in names:
            if name not in features:
                why = "is the target" if name == data.target else f"is no column of {data.path.name}"
                why = "is dropped by data.drop" if name in data.drop else why
                yield Problem(at, f"'{name}' {why}{near(name, features)}")


def kept(batch: BatchSpec) -> Iterator[Problem]:
    """Every column to keep that the table to be scored lacks; who reads it whole tells of a file that cannot be read."""
    try:
        parquet = batch.input.suffix == ".parquet"
        names = _parquet_names(batch.input) if parquet else _csv_names(batch.input, batch.separator, batch.encoding)
    except Exception:  # noqa: BLE001  # whatever pyarrow, csv or a decompressor say of a damaged file
        return
    yield from lacking("batch.keep", batch.input.name, batch.keep or (), names)


def lacking(at: str, file: str, wanted: Iterable[str], names: Sequence[str]) -> Iterator[Problem]:
    """A problem at ``at`` for each wanted column that a file with these names has not, or more than once."""
    for name in wanted:
        if (found := names.count(name)) != 1:
            has = f"{found} columns" if found else "no column"
            hint = near(name, names) if not found else "; rename one"
            yield Problem(at, f"{file} has {has} '{name}'{hint}")


def _columns(data: DataSpec, header: Sequence[str]) -> Iterator[Problem]:
    if data.target not in header:
        yield Problem("data.target", f"{data.path.name} has no column '{data.target}'{near(data.target, header)}")
    if data.target in data.drop:
        yield Problem("data.drop", f"'{data.target}' is the target, which cannot be dropped")
    for name in data.drop:
        if name not in header:
            yield Problem("data.drop", f"{data.path.name} has no column '{name}'{near(name, header)}")
    for name in sorted({name for name in header if header.count(name) > 1}):
        yield Problem("data.path", f"{data.path.name} has two columns '{name}'; rename one")


def _named_columns(preprocess: PreprocessSpec) -> Iterator[tuple[str, Sequence[str]]]:
    """The lists of columns in the configuration, as far as they must be columns of the file."""
    kept = takewhile(lambda step: step[1].target.startswith(_KEEP_COLUMNS), preprocess.steps.items())
    names = [name for name, _ in kept]
    for at, component in preprocess.components():
        columns = component.options.get("columns")
        in_file = len(names) == len(preprocess.steps) or at.rpartition(".")[2] in names
        if in_file and isinstance(columns, list) and all(isinstance(name, str) for name in columns):
            yield f"{at}.columns", columns
    if len(names) == len(preprocess.steps):
        for name, branch in preprocess.branches.items():
            if not isinstance(branch.columns, str):
                yield f"preprocess.branches.{name}.columns", branch.columns


class _Wrong(Exception):  # noqa: N818 - a finding
    def __init__(self, at: str, message: str) -> None:
        self.problem = Problem(at, message)
        super().__init__(message)


def _header(data: DataSpec) -> list[str]:
    path = data.path
    if path.is_dir():
        raise _Wrong("data.path", f"{path} is a folder; name a file in it")
    try:
        if data.format == "csv":
            return _csv_names(path, data.separator, data.encoding)
        if path.suffix == ".csv":
            raise _Wrong("data.format", f"{path.name} seems to be a CSV file; use data=csv")
        return _parquet_names(path)
    except FileNotFoundError:
        beside = (each.name for each in path.parent.iterdir()) if path.parent.is_dir() else ()
        raise _Wrong("data.path", f"there is no file {path}{nearest(path.name, beside)}") from None
    except LookupError:
        from encodings.aliases import aliases

        raise _Wrong(
            "data.encoding", f"there is no encoding '{data.encoding}'{nearest(data.encoding, aliases)}"
        ) from None
    except UnicodeDecodeError as error:
        if path.suffix in {".parquet", ".pq"}:
            raise _Wrong("data.format", f"{path.name} seems to be a Parquet file; use data=parquet") from None
        text = f"{path.name} is not written in {data.encoding} ({error.reason}); name its encoding, such as latin-1"
        raise _Wrong("data.encoding", text) from None
    except (OSError, ValueError, csv.Error) as error:
        raise _Wrong("data.path", f"{path} cannot be read as {data.format}: {one_line(error)}") from error


def _parquet_names(path: Path) -> list[str]:
    from pyarrow import parquet  # a tenth of a second, and only for parquet

    return list(parquet.read_schema(path).names)


def _csv_names(path: Path, separator: str, encoding: str) -> list[str]:
    module: Any = importlib.import_module(_OPENERS.get(path.suffix, "io"))
    with module.open(path, "rt", encoding=encoding, newline="") as file:
        row = _first_row(file, separator)
    if not row:
        raise ValueError("the file is empty")
    return [name.removeprefix("\ufeff") for name in row]


def _first_row(file: TextIO, separator: str) -> list[str]:
    if len(separator) > 1:  # pandas takes it for a regular expression
        return re.split(separator, next((line.strip() for line in file if line.strip()), ""))
    return next((row for row in csv.reader(file, delimiter=separator) if row), [])


def _other_separator(data: DataSpec, header: Sequence[str]) -> str:
    """The separator that makes a header of what is one name now, as people write it."""
    if data.format != "csv" or len(header) != 1 or data.target == header[0]:
        return ""
    return next((told for each, told in _SEPARATORS.items() if data.target in header[0].split(each)), "")
