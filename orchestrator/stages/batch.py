"""The stage ``batch``: score a table of any size with a registered package, chunk by chunk."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from typing import TypeVar

from orchestrator.artifacts import BatchResult, ModelVersion
from orchestrator.batch.checkpoints import Checkpoints, Part
from orchestrator.batch.scoring import Scorer, ScoringTable, translate_read_errors
from orchestrator.batch.tables import Block, Chunk, source_of
from orchestrator.batch.workers import Job, code_digest, score_in_workers
from orchestrator.errors import DataError, PackageError, one_line
from orchestrator.events import Progress
from orchestrator.spec.batch import BatchSpec

Piece = TypeVar("Piece", Chunk, Block)


def batch(version: ModelVersion, spec: BatchSpec, progress: Progress) -> BatchResult:
    """Score a table as the package's endpoint would; refused rows go to a separate file with the reasons.

    Finished chunks are checkpointed beside the output; a run after a killed one resumes there. The output is the same
    to the last byte wherever the chunks are scored.

    Raises:
        DataError: the table cannot be read, or lacks columns of the package.
        PackageError: the package cannot be loaded here, or its model fails; or a cluster cannot be used.
    """
    from filelock import FileLock, Timeout

    scorer = Scorer(version.package.path)
    predictor = scorer.predictor
    form = spec.table_format(predictor.contract.table)
    with translate_read_errors(spec, form):
        source = source_of(spec.input, form)
    table = ScoringTable.of(spec, source, predictor)
    code = code_digest() if spec.scheduler else ""
    job = Job(version.package.path, version.package.fingerprint, table, spec, form, code)
    folder = spec.output.with_name(f"{spec.output.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            checkpoints = Checkpoints(folder, _identity(spec, version), table.sink)
            if checkpoints.stop:
                progress.note(f"the first {checkpoints.stop:,} rows are scored; continuing after them")
            with closing(_score(job, scorer, checkpoints.stop, progress)) as parts:
                for part in parts:
                    checkpoints.add(part)
                    progress(int(100 * part.share), 100, f"percent, {part.stop:,} rows")
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


def _identity(spec: BatchSpec, version: ModelVersion) -> str:
    """Return what the checkpoints depend on: a run with another identity starts anew."""
    stat = spec.input.stat()
    file = {"bytes": stat.st_size, "modified": stat.st_mtime_ns}
    return json.dumps(
        {"package": version.package.fingerprint, **file, **spec.parts("chunk_rows", "backend", "n_jobs", "scheduler")},
        indent=1,
    )
