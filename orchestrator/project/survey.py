"""Read a table once, and judge its columns: which ones a model should not learn from, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.checks.splits import is_year
from orchestrator.checks.traits import Trait, judge_column
from orchestrator.errors import DataError
from orchestrator.project.notation import Notation, candidate_encodings, detect_notation, note_on_header
from orchestrator.reading.description import TableReading, describe_table
from orchestrator.reading.files import UnreadableTableError, detect_kind, is_parquet
from orchestrator.reading.frame import Table, read_header, read_table
from orchestrator.reading.missing_target import rows_with_target, words_of_classes
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import suggest, suggest_or_list
from score.contract.schema import Column

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Survey:
    """What was found in a table.

    ``keys`` of ``data`` differ from their defaults, for the ``reasons``; ``dropped`` maps columns to why a model should not
    learn from them, and ``notes`` are sentences on what to look at. ``levels`` counts the distinct values of the columns
    that are not numeric. ``target`` has the rows in which it is not missing, as ``groups`` and ``times`` have: columns by
    which rows may be held out. ``features`` are what a model may learn from.
    """

    data: DataSpec
    target: pd.Series
    reading: TableReading
    keys: Mapping[str, Any]
    reasons: Mapping[str, str]
    dropped: Mapping[str, str]
    levels: Mapping[str, int]
    notes: Sequence[str] = ()
    numeric: Sequence[str] = ()
    groups: Mapping[str, pd.Series] = field(default_factory=dict)
    times: Mapping[str, pd.Series] = field(default_factory=dict)
    features: Sequence[str] = ()

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.target)


def find_columns(path: Path, encoding: str | None = None) -> Sequence[str]:
    """Return the columns of a table, from its header.

    Raises:
        DataError: it cannot be read.
    """
    data, _, _ = _first_readable(path, None, encoding, read=False)
    return read_header(data).names


def survey_table(path: Path, target: str, encoding: str | None = None) -> Survey:
    """Read a table and judge its columns; ``encoding`` is used as it is, None: detected.

    Raises:
        DataError: it cannot be read, has no rows or lacks the target; the text begins with the option to change.
    """
    data, notation, table = _first_readable(path, target, encoding)
    keys, reasons = dict(notation.keys), dict(notation.reasons)
    if codes := _find_codes(table):
        data = data.model_copy(update={"text_columns": tuple(codes)})
        keys["text_columns"] = list(codes)
        reasons["text_columns"] = (
            f"codes such as {next(iter(codes.values()))!r}: as numbers they would lose their zeros"
        )
        table = read_table(data)
    frame = table.frame
    if frame.empty:
        raise DataError(f"--data: {path.name} has no rows besides its header")
    if target not in frame.columns:
        raise DataError(
            f"--target: '{target}' is left out of the table ({table.left_out[target]}); choose another column"
        )
    present, without = _rows_with_target(table, data)
    features = frame.drop(columns=target)
    traits = {str(name): judge_column(features[name]) for name in features.columns}
    contract, dropped = _describe_features(features, traits)
    if not contract:
        listed = "; ".join(f"'{name}' is {why}" for name, why in dropped.items()) or "there is no other"
        raise DataError(f"--data: {path.name} has no column to learn from besides the target '{target}': {listed}")
    kept = features[list(contract)]
    reading = describe_table(table, contract.values(), kept, frame[target])
    levels = {column.name: column.levels or 2 for column in reading.columns if column.kind not in {"numbers", "dates"}}
    numeric = [column.name for column in reading.columns if column.kind == "numbers"]
    header = note_on_header([str(name) for name in frame.columns]) if data.format == "csv" else ""
    notes = (*filter(None, [without, header]), *notation.doubts, *reading.notes)
    groups, times = _split_columns(features.loc[present.index], traits)
    return Survey(data, present, reading, keys, reasons, dropped, levels, notes, numeric, groups, times, list(contract))


def _describe_features(
    features: pd.DataFrame, traits: Mapping[str, Trait | None]
) -> tuple[dict[str, Column], dict[str, str]]:
    """Return the columns to learn from in the contract's terms, and the others with the reason."""
    contract, dropped = {}, {}
    for name, trait in traits.items():
        if trait and not (trait.kind == "date" and features[name].dtype.kind == "M"):  # of which parts can be learned
            dropped[name] = trait.reason
            continue
        try:
            contract[name] = Column.describe(features[name])
        except ValueError as error:
            dropped[name] = f"no JSON value stands for it ({error})"
    return contract, dropped


def _split_columns(
    features: pd.DataFrame, traits: Mapping[str, Trait | None]
) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """Return the columns of groups and those of times."""
    groups, times = {}, {}
    for name, trait in traits.items():
        if trait and trait.kind == "group":
            groups[name] = features[name]
        elif (trait and trait.kind == "date") or is_year(features[name]):
            times[name] = features[name]
    return groups, times


def _rows_with_target(table: Table, data: DataSpec) -> tuple[pd.Series, str]:
    """Return the target where it is not missing, and a note on the other rows."""
    if words := words_of_classes(table, data):
        count = table.missing(data.target)[words[0]]
        text = f"{words[0]!r} in {count:,} rows of '{data.target}' reads as missing and may be a class"
        raise DataError(f"--target: {text}; write it otherwise in the table, or leave these cells empty")
    try:
        frame, note = rows_with_target(table, data)
    except DataError as error:
        raise DataError(str(error).replace("data.target", "--target", 1)) from error
    return frame[data.target], note


def _first_readable(
    path: Path, target: str | None, encoding: str | None, *, read: bool = True
) -> tuple[DataSpec, Notation, Any]:
    """Return the data, its notation and the table, read with the first encoding that can decode it.

    Raises:
        DataError: none can, or the file is no table.
    """
    error: Exception | None = None
    try:
        _check_file(path)
        for candidate, why in _candidates(path, encoding):
            try:
                return _read(path, target, candidate, why, read=read)
            except UnreadableTableError as failed:
                error = failed
                if failed.key != "encoding":
                    break
    except (UnreadableTableError, OSError) as failed:
        error = failed
    if isinstance(error, UnreadableTableError):
        option = {"encoding": "--encoding", "target": "--target"}.get(error.key, "--data")
        raise DataError(f"{option}: {error}") from error
    raise DataError(f"--data: {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _candidates(path: Path, encoding: str | None) -> Iterator[tuple[str, str]]:
    if is_parquet(path):
        yield "utf-8", ""
    elif encoding is not None:
        yield encoding, "--encoding"
    else:
        yield from candidate_encodings(path)


def _read(path: Path, target: str | None, encoding: str, why: str, *, read: bool) -> tuple[DataSpec, Notation, Any]:
    common = {"path": path, "target": target or "", "test_size": 0.2}
    if is_parquet(path):
        data, notation = DataSpec.model_validate({**common, "format": "parquet"}), Notation()
    else:
        notation = detect_notation(path, target, encoding)
        if encoding != "utf-8":
            notation.keys["encoding"], notation.reasons["encoding"] = encoding, why
        data = DataSpec.model_validate({**common, "format": "csv", **notation.keys})
    if target is not None and target not in (names := read_header(data).names):
        raise UnreadableTableError("target", f"{path.name} has no column '{target}'{suggest_or_list(target, names)}")
    return data, notation, read_table(data) if read else None


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise UnreadableTableError("path", f"{path} is a folder; name a file in it")
    if not path.exists():
        beside = (each.name for each in path.parent.iterdir()) if path.parent.is_dir() else ()
        raise UnreadableTableError("path", f"there is no file {path}{suggest(path.name, beside)}")
    if not path.stat().st_size:
        raise UnreadableTableError("path", f"{path.name} is empty")
    if detect_kind(path) == "text" and path.suffix.lower() in {
        ".json",
        ".jsonl",
        ".ndjson",
        ".xml",
        ".html",
        ".sqlite",
    }:
        raise UnreadableTableError(
            "path", f"{path.name} is neither a CSV nor a Parquet file; save the table as one of these"
        )


def _find_codes(table: Table) -> dict[str, str]:
    """Return the columns of whole numbers with superfluous leading zeros, each with one of its cells."""
    whole = (name for name, scan in table.scans.items() if scan.leading_zero and name in table.frame.columns)
    return {name: table.scans[name].leading_zero for name in whole if _is_whole(table.frame[name])}


def _is_whole(values: pd.Series) -> bool:
    return values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool((values.dropna() % 1 == 0).all()))
