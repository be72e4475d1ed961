"""The stage ``batch``: score a table of any size with a registered package, chunk by chunk."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

from orchestrator.artifacts import BatchResult, ModelVersion
from orchestrator.batch.checkpoints import Checkpoints
from orchestrator.batch.tables import Chunk, Columns, CsvSink, CsvSource, ParquetSink, Sink, Source, source_of
from orchestrator.errors import DataError, PackageError, one_line
from orchestrator.events import Progress
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.header import guess_separator
from orchestrator.spec.data import BatchSpec
from orchestrator.spec.messages import missing_columns
from score.contract.cells import TableFormat
from score.payload.errors import BadRequest, Problem
from score.payload.reader import Flags, Reader
from score.predict.predictor import InitError, Predictor, ScoringError

PREDICTION = "prediction"
Lists = Mapping[str, list[Any]]


def batch(version: ModelVersion, spec: BatchSpec, progress: Progress) -> BatchResult:
    """Score a table as the package's endpoint would; refused rows go to a separate file with the reasons.

    Finished chunks are checkpointed beside the output; a run after a killed one resumes there.

    Raises:
        DataError: the table cannot be read, or lacks columns of the package.
        PackageError: the package cannot be loaded here, or its model fails.
    """
    from filelock import FileLock, Timeout

    try:
        predictor = Predictor.load(version.package.path)
    except InitError as error:
        raise PackageError(f"batch: {error}") from error
    form = spec.table_format(predictor.contract.table)
    with _translate_read_errors(spec, form):
        source = source_of(spec.input, form)
    table = _ScoringTable(spec, source, predictor)
    folder = spec.output.with_name(f"{spec.output.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            checkpoints = Checkpoints(folder, _identity(spec, version), table.sink())
            if checkpoints.stop:
                progress.note(f"the first {checkpoints.stop:,} rows are scored; continuing after them")
            for chunk in _chunks(source, spec, form, checkpoints.stop):
                checkpoints.add(chunk.stop, *table.score(chunk))
                progress(int(100 * chunk.share), 100, f"percent, {chunk.stop:,} rows")
            checkpoints.publish(spec.output, spec.rejected)
    except Timeout:
        raise DataError(f"batch.output: another run is writing {spec.output}; wait for it, or name another") from None
    names = [column.name for column in predictor.contract.columns]
    return BatchResult(
        spec.output,
        checkpoints.stop - checkpoints.refused,
        checkpoints.refused,
        spec.rejected if checkpoints.refused else None,
        {name: checkpoints.outside[name] for name in names if checkpoints.outside[name]},
        {name: checkpoints.unseen[name] for name in names if checkpoints.unseen[name]},
    )


class _ScoringTable:
    """Scores chunks of the input, and defines the columns of the output."""

    def __init__(self, spec: BatchSpec, source: Source, predictor: Predictor) -> None:
        self._spec, self._source, self._predictor = spec, source, predictor
        self._features = predictor.contract.columns
        self._reader = Reader(predictor.contract, max_problems=sys.maxsize)  # a reason for every row
        names = list(source.header.names)
        features = [column.name for column in self._features]
        index = {*source.header.index, *source.header.unnamed} - {*features}  # which training left out, too
        self._kept = [name for name in names if name not in index] if spec.keep is None else list(spec.keep)
        if isinstance(source, CsvSource) and (other := guess_separator(source.header, features)):
            separator = spec.table_format(predictor.contract.table).separator
            text = f"{spec.input.name} seems to be separated by {other}, not by {separator!r}"
            raise DataError(f"batch.separator: {text}")
        for at, wanted in (("batch.input", features), ("batch.keep", self._kept)):
            for problem in missing_columns(at, spec.input.name, wanted, names):
                raise DataError(str(problem))
        classes = predictor.contract.classes or ()
        self._added = [PREDICTION, *(f"probability_{label}" for label in classes if predictor.probable)]
        if clash := next((name for name in self._added if name in self._kept), None):
            raise DataError(
                f"batch.input: {spec.input.name} has a column '{clash}' already; leave it out with batch.keep"
            )

    def sink(self) -> Sink:
        """Return the writer of the output."""
        if self._spec.output.suffix.lower() == ".csv":
            return CsvSink([*self._kept, *self._added])
        import pyarrow as pa

        classes = self._predictor.contract.classes
        label = pa.float64() if classes is None else pa.array(list(classes)).type
        types = [label, *[pa.float64()] * (len(self._added) - 1)]
        kept = [self._source.schema.field(name) for name in self._kept]
        return ParquetSink(pa.schema([*kept, *map(pa.field, self._added, types)]))

    def score(self, chunk: Chunk) -> tuple[Columns, Flags, list[Problem]]:
        """Return the output's columns for the accepted rows, their flags, and the problems of the refused rows."""
        problems = [Problem(row, None, text, "one value for each column") for row, text in chunk.malformed.items()]
        values = {column.name: self._source.values(column, chunk.columns[column.name]) for column in self._features}
        try:
            return *self._predict(chunk.columns, values), problems
        except BadRequest:
            refusals = self._refusals(values)
        problems += [replace(each, row=chunk.numbers[each.row or 0]) for each in refusals]
        accepted = sorted({*range(len(chunk.numbers))} - {each.row for each in refusals})
        scored = self._predict(_select(accepted, chunk.columns), _select(accepted, values))
        return *scored, sorted(problems, key=attrgetter("row"))

    def _predict(self, kept: Columns, values: Lists) -> tuple[Columns, Flags]:
        try:
            columns = self._predictor.reader.checked(values)
            predictions, probabilities = self._predictor.predict(columns)
        except ScoringError as error:
            raise PackageError(f"batch: the model failed: {one_line(error.__cause__ or error)}") from error
        by_class = [] if probabilities is None else probabilities.T.tolist()
        added = dict(zip(self._added, [predictions, *by_class], strict=True))
        return {**kept, **added}, self._predictor.reader.flags(columns)

    def _refusals(self, values: Lists) -> Sequence[Problem]:
        try:
            self._reader.checked(values)
        except BadRequest as error:
            return error.problems
        return ()


def _select(rows: Sequence[int], columns: Columns) -> Lists:
    return {name: [cells[row] for row in rows] for name, cells in columns.items()}


def _chunks(source: Source, spec: BatchSpec, form: TableFormat, start: int) -> Iterator[Chunk]:
    with _translate_read_errors(spec, form):
        yield from source.chunks(start, spec.chunk_rows)


@contextlib.contextmanager
def _translate_read_errors(spec: BatchSpec, form: TableFormat) -> Iterator[None]:
    try:
        yield
    except UnreadableTableError as error:
        at = "batch.encoding" if error.key == "encoding" else "batch.input"
        raise DataError(f"{at}: {error}") from error
    except UnicodeDecodeError as error:
        text = f"is not written in {form.encoding} ({error.reason}); name its encoding, such as latin-1"
        raise DataError(f"batch.encoding: {spec.input.name} {text}") from error
    except Exception as error:  # whatever pyarrow, csv or a decompressor raise for a damaged file
        raise DataError(f"batch.input: {spec.input} cannot be read: {one_line(error)}") from error


def _identity(spec: BatchSpec, version: ModelVersion) -> str:
    """Return what the checkpoints depend on: a run with another identity starts anew."""
    stat = spec.input.stat()
    file = {"bytes": stat.st_size, "modified": stat.st_mtime_ns}
    return json.dumps({"package": version.package.fingerprint, **file, **spec.parts("chunk_rows")}, indent=1)
