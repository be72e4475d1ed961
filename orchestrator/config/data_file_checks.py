"""Check the columns named in the configuration against the data file's header, which is read without pandas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, takewhile
from pathlib import Path

from orchestrator.config import split_checks, weight_checks
from orchestrator.errors import Problem
from orchestrator.locations.copies import TableFile
from orchestrator.reading.files import UnreadableTableError, detect_kind, open_text, table_files
from orchestrator.reading.frame import left_out, read_header
from orchestrator.reading.header import Header, guess_separator
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import suggest, suggest_or_list
from orchestrator.spec.model import PreprocessSpec
from orchestrator.spec.separators import is_tab_separated

_KEEP_COLUMNS = ("score.", "sklearn.")  # transformers of other libraries may add columns


def problems(
    data: DataSpec, preprocess: PreprocessSpec, unseen_columns: Iterable[str] = (), slices: Sequence[str] = ()
) -> Iterator[Problem]:
    """Yield what is wrong with the file, and every named column that it lacks.

    ``unseen_columns`` are those of which the package has a rule for unseen levels, ``slices`` those of the report.
    """
    try:
        header = checked_header(data)
    except UnreadableTableError as error:
        yield Problem(f"data.{error.key}", str(error))
        return
    if data.format == "csv" and (other := guess_separator(header, [data.target])):
        yield Problem("data.separator", f"{data.path.name} seems to be separated by {other}, not by {data.separator!r}")
        return
    yield from _columns(data, header)
    dropped = {*left_out(data, header), *map(header.resolve, data.drop)}
    by = None if data.split.keep else data.split.by
    dropped |= {name for name in (by, data.weight) if name}
    features = [name for name in header.names if name != data.target and name not in dropped]
    if not features and data.target in header.names:
        yield Problem("data.path", f"{data.path.name} has no column to learn from besides the target '{data.target}'")
    if data.split.file is not None:
        yield from split_checks.file_problems(data, header, checked_header)
    rules = ((f"package.unseen_columns.{name}", [name]) for name in unseen_columns)
    sliced = [("report.slices", slices)] if slices else []
    for at, names in chain(_named_columns(preprocess), rules, sliced):
        for name in names:
            if name not in features:
                why = "is the target" if name == data.target else f"is no column of {data.path.name}"
                why = f"is left out by data.index={data.index}" if name in dropped else why
                why = "is left out, since rows are split by it; data.split.keep=true keeps it" if name == by else why
                why = "is left out, since it weighs the rows (data.weight)" if name == data.weight else why
                why = "is dropped by data.drop" if name in data.drop else why
                yield Problem(at, f"'{name}' {why}{suggest_or_list(name, features)}")


def _columns(data: DataSpec, header: Header) -> Iterator[Problem]:
    names, file = header.names, data.path.name
    if data.target not in names:
        yield Problem("data.target", f"{file} has no column '{data.target}'{suggest_or_list(data.target, names)}")
    elif data.target in left_out(data, header) and data.target not in data.drop:
        yield Problem("data.index", f"the target '{data.target}' is the index of {file}; write data.index=keep")
    if data.target in data.drop:
        yield Problem("data.drop", f"'{data.target}' is the target, which cannot be dropped")
    yield from split_checks.column_problems(data, header)
    yield from weight_checks.column_problems(data, header)
    if data.target in data.date_formats:
        yield Problem("data.dates", f"'{data.target}' is the target, which cannot be a date")
    named = (("data.drop", data.drop), ("data.text_columns", data.text_columns), ("data.dates", [*data.date_formats]))
    for at, wanted in named:
        for name in wanted:
            if header.resolve(name) not in names:
                yield Problem(at, f"{file} has no column '{name}'{suggest_or_list(name, names)}")
    for name in header.duplicates():
        yield Problem("data.path", f"{file} has two columns '{name}'; rename one")


def _named_columns(preprocess: PreprocessSpec) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the lists of columns in the configuration that must be columns of the file."""
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


def checked_header(data: DataSpec) -> Header:
    """Return the names of a table's columns.

    Raises:
        UnreadableTableError: it is not the table that the configuration describes.
    """
    path = data.path
    try:
        for file in table_files(data):
            _check_kind(data, file)
        return read_header(data)
    except FileNotFoundError:
        near = suggest(path.name, _beside(path)) if isinstance(path, Path) else ""
        raise UnreadableTableError("path", f"there is no file {path}{near}") from None
    except OSError as error:
        raise UnreadableTableError("path", f"{path} cannot be read as {data.format}: {error.strerror}") from error


def _check_kind(data: DataSpec, file: TableFile) -> None:
    kind = detect_kind(file.path)
    if data.format == "csv" and kind == "parquet":
        raise UnreadableTableError("format", f"{file.name} seems to be a Parquet file; use data=parquet")
    if data.format == "csv" and data.separator == "," and is_tab_separated(Path(file.name)) and _has_tab(data, file):
        text = f"{file.name} is separated by tabs by its name and its first line, not by ','"
        raise UnreadableTableError("separator", rf"{text}; write 'data.separator=\t'")
    if data.format == "parquet" and kind == "text" and not file.name.lower().endswith((".parquet", ".pq")):
        raise UnreadableTableError("format", f"{file.name} seems to be a CSV file; use data=csv")


def _has_tab(data: DataSpec, file: TableFile) -> bool:
    with open_text(file.path, data.encoding) as (text, _):
        return "\t" in next(iter(text), "")


def _beside(path: Path) -> list[str]:
    return [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
