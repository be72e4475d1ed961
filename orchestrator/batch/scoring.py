"""Scoring of a chunk: a package's answers for the accepted rows and the reasons for the others, as a part to be stored."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from orchestrator.batch.checkpoints import Part
from orchestrator.batch.files import FilesSource
from orchestrator.batch.sinks import CsvSink, ParquetSink, Sink
from orchestrator.batch.tables import Chunk, Columns, CsvSource, Source
from orchestrator.errors import DataError, PackageError, one_line
from orchestrator.locations.delta import unfit_for_delta
from orchestrator.locations.urls import LocationError
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.header import guess_separator
from orchestrator.spec.batch import BatchSpec
from orchestrator.spec.messages import missing_columns
from score.contract.cells import TableFormat
from score.payload.errors import BadRequest, Problem
from score.payload.reader import Flags, Reader
from score.predict import explaining
from score.predict.predictor import InitError, Predictor, ScoringError

PREDICTION = "prediction"
REASONS = ("row", "column", "problem", "expected")
FILE = "file"  # before these, where the table is several files
Lists = Mapping[str, list[Any]]


class Scorer:
    """A loaded package that scores chunks of tables."""

    def __init__(self, package: Path) -> None:
        try:
            self.predictor = Predictor.load(package)
        except InitError as error:
            raise PackageError(f"batch: {error}") from error
        self._reader = Reader(self.predictor.contract, max_problems=sys.maxsize)  # a reason for every row

    def score(self, table: ScoringTable, chunk: Chunk) -> Part:
        """Return the accepted rows with their answers, and the problems of the refused rows.

        Raises:
            PackageError: the model failed.
        """
        problems = [Problem(row, None, text, "one value for each column") for row, text in chunk.malformed.items()]
        features = self.predictor.contract.columns
        values = {column.name: table.source.values(column, chunk.columns[column.name]) for column in features}
        kept = {name: chunk.columns[name] for name in table.kept}
        try:
            scored, flags = self._predict(table, kept, values)
        except BadRequest:
            refusals = self._refusals(values)
            problems += [replace(each, row=chunk.numbers[each.row or 0]) for each in refusals]
            problems.sort(key=attrgetter("row"))
            accepted = sorted({*range(len(chunk.numbers))} - {each.row for each in refusals})
            scored, flags = self._predict(table, _select(accepted, kept), _select(accepted, values))
        refused = len({problem.row for problem in problems})
        in_file = [replace(each, row=(each.row or 0) - chunk.first) for each in problems]
        reasons: dict[str, list[Any]] = {name: list(map(attrgetter(name), in_file)) for name in REASONS}
        content = table.reasons.part({FILE: [chunk.file] * len(problems), **reasons}) if problems else b""
        return Part(chunk.stop, chunk.share, table.sink.part(scored), refused, content, flags)

    def _predict(self, table: ScoringTable, kept: Columns, values: Lists) -> tuple[Columns, Flags]:
        try:
            columns = self.predictor.reader.checked(values)
            predictions, probabilities = self.predictor.predict(columns)
            explained = explaining.table_values(self.predictor, columns, predictions) if table.explain else []
        except ScoringError as error:
            raise PackageError(f"batch: the model failed: {one_line(error.__cause__ or error)}") from error
        by_class = [] if probabilities is None else probabilities.T.tolist()
        added = dict(zip(table.added, [predictions, *by_class, *explained], strict=True))
        return {**kept, **added}, self.predictor.reader.flags(columns)

    def _refusals(self, values: Lists) -> Sequence[Problem]:
        try:
            self._reader.checked(values)
        except BadRequest as error:
            return error.problems
        return ()


@dataclass(frozen=True)
class ScoringTable:
    """A table to be scored, and the columns of the output: the ``kept`` ones of the input, then the ``added`` ones.

    It can be pickled, and so be used in any process.
    """

    source: Source
    sink: Sink
    reasons: CsvSink
    kept: Sequence[str]
    added: Sequence[str]
    explain: bool = False

    @classmethod
    def of(cls, spec: BatchSpec, source: Source, predictor: Predictor) -> ScoringTable:
        """Return the table that ``spec`` describes.

        Raises:
            DataError: it lacks columns of the package, or has one that is to be added.
        """
        names = list(source.header.names)
        features = [column.name for column in predictor.contract.columns]
        index = {*source.header.index, *source.header.unnamed} - {*features}  # which training left out, too
        kept = [name for name in names if name not in index] if spec.keep is None else list(spec.keep)
        if isinstance(source, CsvSource) and (other := guess_separator(source.header, features)):
            separator = spec.table_format(predictor.contract.table).separator
            text = f"{spec.input.name} seems to be separated by {other}, not by {separator!r}"
            raise DataError(f"batch.separator: {text}")
        for at, wanted in (("batch.input", features), ("batch.keep", kept)):
            for problem in missing_columns(at, spec.input.name, wanted, names):
                raise DataError(str(problem))
        classes = predictor.contract.classes or ()
        added = [PREDICTION, *(f"probability_{label}" for label in classes if predictor.probable)]
        if spec.explain:
            if (record := predictor.explanation).method == "none":
                raise DataError(f"batch.explain: the package explains no answers ({record.reason}); build it again")
            added += explaining.table_columns(predictor)
            if twice := next((name for place, name in enumerate(added) if name in added[:place]), None):
                text = (
                    f"two columns of the output would be '{twice}'; rename the one of the package, or leave explain out"
                )
                raise DataError(f"batch.explain: {text}")
        if clash := next((name for name in added if name in kept), None):
            raise DataError(
                f"batch.input: {spec.input.name} has a column '{clash}' already; leave it out with batch.keep"
            )
        reasons = CsvSink([FILE, *REASONS] if isinstance(source, FilesSource) else REASONS)
        return cls(source, _sink(spec, source, predictor, kept, added), reasons, kept, added, spec.explain)


def _sink(spec: BatchSpec, source: Source, predictor: Predictor, kept: Sequence[str], added: Sequence[str]) -> Sink:
    """Return the writer of the output."""
    if spec.writes == "csv":
        return CsvSink([*kept, *added])
    import pyarrow as pa

    classes = predictor.contract.classes
    label = pa.float64() if classes is None else pa.array(list(classes)).type
    types = [label, *[pa.float64()] * (len(added) - 1)]
    schema = pa.schema([*map(source.schema.field, kept), *map(pa.field, added, types)])
    if spec.writes == "delta" and (problem := unfit_for_delta(schema)):
        raise DataError(f"batch.output: {problem}; leave it out with batch.keep, or write a .parquet file")
    return ParquetSink(schema)


def _select(rows: Sequence[int], columns: Columns) -> Lists:
    return {name: [cells[row] for row in rows] for name, cells in columns.items()}


@contextlib.contextmanager
def translate_read_errors(spec: BatchSpec, form: TableFormat) -> Iterator[None]:
    """Raise a DataError for whatever cannot be read."""
    try:
        yield
    except LocationError as error:
        raise DataError(f"batch.input: {error.of('batch.storage')}") from error
    except UnreadableTableError as error:
        at = "batch.encoding" if error.key == "encoding" else "batch.input"
        raise DataError(f"{at}: {error}") from error
    except UnicodeDecodeError as error:
        text = f"is not written in {form.encoding} ({error.reason}); name its encoding, such as latin-1"
        raise DataError(f"batch.encoding: {spec.input.name} {text}") from error
    except Exception as error:  # whatever pyarrow, csv or a decompressor raise for a damaged file
        raise DataError(f"batch.input: {spec.input} cannot be read: {one_line(error)}") from error
