"""The stage that scores a table of any size with a registered package, chunk by chunk."""

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
from orchestrator.config.data_file_checks import lacking
from orchestrator.errors import DataError, PackageError
from orchestrator.events import Progress
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.header import guess_separator
from orchestrator.spec.messages import one_line
from orchestrator.spec.run_spec import BatchSpec
from score.contract.cells import TableFormat
from score.payload.errors import BadRequest, Problem
from score.payload.reader import Flags, Reader
from score.predict.predictor import InitError, Predictor, ScoringError

PREDICTION = "prediction"
Lists = Mapping[str, list[Any]]


def batch(version: ModelVersion, spec: BatchSpec, progress: Progress) -> BatchResult:
    """Score a table as the package's endpoint would; refused rows go with their reasons to a file of their own.

    What a killed run has finished is kept beside the output, and the next one goes on behind it.

    Raises:
        DataError: the table cannot be read, or is not one that the package knows.
        PackageError: the package cannot be loaded here, or its model fails.
    """
    from filelock import FileLock, Timeout

    try:
        scorer = Predictor.load(version.package.path)
    except InitError as error:
        raise PackageError(f"batch: {error}") from error
    form = spec.table_format(scorer.contract.table)
    with _reading(spec, form):
        source = source_of(spec.input, form)
    table = _Table(spec, source, scorer)
    folder = spec.output.with_name(f"{spec.output.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            parts = Checkpoints(folder, _identity(spec, version), table.sink())
            if parts.stop:
                progress.note(f"the first {parts.stop:,} rows are done already; going on behind them")
            for chunk in _chunks(source, spec, form, parts.stop):
                parts.add(chunk.stop, *table.scored(chunk))
                progress(int(100 * chunk.share), 100, f"percent, {chunk.stop:,} rows")
            parts.publish(spec.output, spec.rejected)
    except Timeout:
        raise DataError(f"batch.output: another run is writing {spec.output}; wait for it, or name another") from None
    names = [column.name for column in scorer.contract.columns]
    return BatchResult(
        spec.output,
        parts.stop - parts.refused,
        parts.refused,
        spec.rejected if parts.refused else None,
        {name: parts.outside[name] for name in names if parts.outside[name]},
        {name: parts.unseen[name] for name in names if parts.unseen[name]},
    )


class _Table:
    """The columns that the package takes from the input, and those that the output gets."""

    def __init__(self, spec: BatchSpec, source: Source, scorer: Predictor) -> None:
        self._spec, self._source, self._scorer = spec, source, scorer
        self._taken = scorer.contract.columns
        self._reader = Reader(scorer.contract, max_problems=sys.maxsize)  # a reason for every row
        names = list(source.header.names)
        taken = [column.name for column in self._taken]
        index = {*source.header.index, *source.header.unnamed} - {*taken}  # what training left out, too
        self._kept = [name for name in names if name not in index] if spec.keep is None else list(spec.keep)
        if isinstance(source, CsvSource) and (other := guess_separator(source.header, taken)):
            separator = spec.table_format(scorer.contract.table).separator
            text = f"{spec.input.name} seems to be separated by {other}, not by {separator!r}"
            raise DataError(f"batch.separator: {text}")
        for at, wanted in (("batch.input", taken), ("batch.keep", self._kept)):
            for problem in lacking(at, spec.input.name, wanted, names):
                raise DataError(str(problem))
        classes = scorer.contract.classes or ()
        self._added = [PREDICTION, *(f"probability_{label}" for label in classes if scorer.probable)]
        if double := [name for name in self._added if name in self._kept]:
            raise DataError(
                f"batch.input: {spec.input.name} has a column '{double[0]}' already; leave it out with batch.keep"
            )

    def sink(self) -> Sink:
        """What writes the output."""
        if self._spec.output.suffix.lower() == ".csv":
            return CsvSink([*self._kept, *self._added])
        import pyarrow as pa

        classes = self._scorer.contract.classes
        label = pa.float64() if classes is None else pa.array(list(classes)).type
        types = [label, *[pa.float64()] * (len(self._added) - 1)]
        kept = [self._source.schema.field(name) for name in self._kept]
        return ParquetSink(pa.schema([*kept, *map(pa.field, self._added, types)]))

    def scored(self, chunk: Chunk) -> tuple[Columns, Flags, list[Problem]]:
        """The output's columns for the rows that the package takes, their flags, and what is wrong with the others."""
        problems = [Problem(row, None, text, "one value for each column") for row, text in chunk.torn.items()]
        values = {column.name: self._source.values(column, chunk.columns[column.name]) for column in self._taken}
        try:
            return *self._answered(chunk.columns, values), problems
        except BadRequest:
            found = self._refusals(values)
        problems += [replace(each, row=chunk.numbers[each.row or 0]) for each in found]
        left = sorted({*range(len(chunk.numbers))} - {each.row for each in found})
        answered = self._answered(_only(left, chunk.columns), _only(left, values))
        return *answered, sorted(problems, key=attrgetter("row"))

    def _answered(self, kept: Columns, values: Lists) -> tuple[Columns, Flags]:
        try:
            predictions, probabilities, flags = self._scorer.infer(values)
        except ScoringError as error:
            raise PackageError(f"batch: the model failed: {one_line(error.__cause__ or error)}") from error
        by_class = [] if probabilities is None else probabilities.T.tolist()
        return {**kept, **dict(zip(self._added, [predictions, *by_class], strict=True))}, flags

    def _refusals(self, values: Lists) -> Sequence[Problem]:
        try:
            self._reader.checked(values)
        except BadRequest as error:
            return error.problems
        return ()


def _only(rows: Sequence[int], columns: Columns) -> Lists:
    return {name: [cells[row] for row in rows] for name, cells in columns.items()}


def _chunks(source: Source, spec: BatchSpec, form: TableFormat, start: int) -> Iterator[Chunk]:
    with _reading(spec, form):
        yield from source.chunks(start, spec.chunk_rows)


@contextlib.contextmanager
def _reading(spec: BatchSpec, form: TableFormat) -> Iterator[None]:
    try:
        yield
    except UnreadableTableError as error:
        at = "batch.encoding" if error.key == "encoding" else "batch.input"
        raise DataError(f"{at}: {error}") from error
    except UnicodeDecodeError as error:
        text = f"is not written in {form.encoding} ({error.reason}); name its encoding, such as latin-1"
        raise DataError(f"batch.encoding: {spec.input.name} {text}") from error
    except Exception as error:  # whatever pyarrow, csv or a decompressor say of a damaged file
        raise DataError(f"batch.input: {spec.input} cannot be read: {one_line(error)}") from error


def _identity(spec: BatchSpec, version: ModelVersion) -> str:
    """What decides the parts: a run in which it is another uses none of them."""
    found = spec.input.stat()
    file = {"bytes": found.st_size, "modified": found.st_mtime_ns}
    return json.dumps({"package": version.package.fingerprint, **file, **spec.parts("chunk_rows")}, indent=1)
