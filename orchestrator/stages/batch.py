"""The stage ``batch``: score a table of any size with a registered package, chunk by chunk."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from orchestrator.artifacts import BatchResult, ModelVersion
from orchestrator.batch.checkpoints import Checkpoints, Part, parts_folder
from orchestrator.batch.files import find_input, open_source
from orchestrator.batch.scoring import Scorer, ScoringTable, translate_read_errors
from orchestrator.batch.tables import Block, Chunk
from orchestrator.batch.workers import Job, code_digest, score_in_workers
from orchestrator.caching.cache import digest
from orchestrator.errors import DataError, PackageError, one_line
from orchestrator.events import Progress
from orchestrator.locations.copies import TableFile
from orchestrator.locations.storage import check_writable
from orchestrator.locations.urls import LocationError, Url
from orchestrator.spec.batch import BatchSpec

Piece = TypeVar("Piece", Chunk, Block)
_KEPT = "; what is scored is kept, and the same command continues"


def batch(version: ModelVersion, spec: BatchSpec, progress: Progress) -> BatchResult:
    """Score a table as the package's endpoint would; refused rows go to a separate file with the reasons.

    Finished chunks are checkpointed beside the output, or in the state folder if that lies elsewhere; a run after a
    killed one resumes there. The output is the same to the last byte wherever the chunks are scored.

    Raises:
        DataError: the table cannot be read, or lacks columns of the package; or the output cannot be written.
        PackageError: the package cannot be loaded here, or its model fails; or a cluster cannot be used.
    """
    from filelock import FileLock, Timeout

    scorer = Scorer(version.package.path)
    predictor = scorer.predictor
    form = spec.table_format(predictor.contract.table)
    if isinstance(spec.output, Url):
        with _translate_write_errors():
            check_writable(spec.output, spec.output_storage)
    with translate_read_errors(spec, form):
        files = find_input(spec).files
        source = open_source(spec, files, form)
    table = ScoringTable.of(spec, source, predictor)
    code = code_digest() if spec.scheduler else ""
    job = Job(version.package.path, version.package.fingerprint, table, spec, form, code)
    folder = parts_folder(spec)
    folder.mkdir(parents=True, exist_ok=True, mode=0o777 if isinstance(spec.output, Path) else 0o700)
    try:
        with FileLock(folder / "lock", timeout=0), _translate_write_errors(_KEPT):
            checkpoints = Checkpoints(folder, _identity(spec, version, files), table.sink)
            if checkpoints.stop:
                progress.note(f"the first {checkpoints.stop:,} rows are scored; continuing after them")
            with closing(_score(job, scorer, checkpoints.stop, progress)) as parts:
                for part in parts:
                    checkpoints.add(part)
                    progress(int(100 * part.share), 100, f"percent, {part.stop:,} rows")
            checkpoints.publish(spec, table.reasons)
    except Timeout:
        raise DataError(f"batch.output: another run is writing {spec.output}; wait for it, or name another") from None
    names = [column.name for column in predictor.contract.columns]
    return BatchResult(
        _named(spec.output),
        checkpoints.stop - checkpoints.refused,
        checkpoints.refused,
        _named(spec.rejected) if checkpoints.refused else None,
        {name: checkpoints.outside[name] for name in names if checkpoints.outside[name]},
        {name: checkpoints.unseen[name] for name in names if checkpoints.unseen[name]},
    )


def _score(job: Job, scorer: Scorer, start: int, progress: Progress) -> Generator[Part, None, None]:
    """Yield the parts of the rows from ``start`` on, scored in this process or by workers."""
    spec, source = job.spec, job.table.source
    if spec.backend == "local":
        for chunk in _read(job, source.chunks(start, spec.chunk_rows)):
            yield scorer.score(job.table, chunk)
        return
    from orchestrator.search.backend import use_backend

    with ExitStack() as stack:
        if spec.scheduler:
            progress.note(f"connecting to {spec.scheduler}")
        try:
            stack.enter_context(use_backend(spec.backend, spec.scheduler, spec.n_jobs))
        except Exception as error:
            where = f"batch.scheduler: {spec.scheduler}" if spec.scheduler else f"batch.backend: {spec.backend}"
            raise PackageError(f"{where} cannot be used ({one_line(error)}); is it running?") from error
        blocks = _read(job, source.blocks(start, spec.chunk_rows))
        yield from stack.enter_context(closing(score_in_workers(job, blocks, progress.note)))


def _read(job: Job, pieces: Iterator[Piece]) -> Iterator[Piece]:
    with translate_read_errors(job.spec, job.form):
        yield from pieces


def _identity(spec: BatchSpec, version: ModelVersion, files: Sequence[TableFile]) -> str:
    """Return what the checkpoints depend on: a run with another identity starts anew."""
    without = ["chunk_rows", "backend", "n_jobs", "scheduler", "output_storage", *([] if spec.explain else ["explain"])]
    decides = spec.parts(*without)
    contents = digest({str(place): f"{file.name} {_version_of(file)}" for place, file in enumerate(files)})
    return json.dumps({"package": version.package.fingerprint, "files": contents, **decides}, indent=1)


def _version_of(file: TableFile) -> str:
    found = file.path.stat()
    return file.version or f"{found.st_size} {found.st_mtime_ns}"


def _named(place: Path | Url) -> Path | str:
    return place if isinstance(place, Path) else str(place)


@contextmanager
def _translate_write_errors(more: str = "") -> Iterator[None]:
    """Raise a DataError for an output elsewhere that cannot be written."""
    try:
        yield
    except LocationError as error:
        raise DataError(f"batch.output: {error.of('batch.output_storage')}{more}") from error
