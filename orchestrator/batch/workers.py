"""Scoring in worker processes: blocks of a table go out, and their parts come back in the table's order.

The processes are those of joblib's current backend. Each loads the package once; it neither reads nor writes the table,
so that a worker may run on another machine.
"""

from __future__ import annotations

import functools
import socket
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from orchestrator.batch.checkpoints import Part
from orchestrator.batch.scoring import Scorer, ScoringTable, translate_read_errors
from orchestrator.batch.tables import Block
from orchestrator.caching.cache import digest
from orchestrator.caching.fingerprints import source_digests
from orchestrator.errors import OrchestratorError, PackageError
from orchestrator.spec.batch import BatchSpec
from score.contract.cells import TableFormat

BLOCKS_PER_WORKER = 16  # in memory at once: some idle time at the end of each round, against memory
MAX_LOSSES = 3  # of the worker that has the same rows
LOST = {"BrokenProcessPool", "KilledWorker", "RayActorError", "WorkerCrashedError"}  # of loky, Dask and Ray


@dataclass(frozen=True)
class Job:
    """What a worker needs besides a block.

    Attributes:
        package: The package's folder, and its ``fingerprint``.
        form: The format of the input.
        code: A digest of the code that scores, where the workers belong to a running cluster.
    """

    package: Path
    fingerprint: str
    table: ScoringTable
    spec: BatchSpec
    form: TableFormat
    code: str = ""


def code_digest() -> str:
    """Return a digest of the project's code that scores in a worker."""
    return digest(source_digests(__name__))


def score_in_workers(job: Job, blocks: Iterator[Block], note: Callable[[str], object]) -> Generator[Part, None, None]:
    """Score blocks in the processes of joblib's current backend, and yield their parts in the blocks' order.

    The blocks of a worker that is lost are scored again. At most 16 blocks a worker are in memory at once; blocks are
    read in this thread, one whenever a part has been taken.

    Raises:
        DataError: a block cannot be read.
        PackageError: a worker cannot load the package, the model failed, or workers are lost with the same rows again
            and again.
    """
    from joblib import Parallel, delayed, effective_n_jobs

    waiting, ahead, losses = deque(islice(blocks, BLOCKS_PER_WORKER * effective_n_jobs(None))), list[Block](), 0
    while waiting:
        try:
            with Parallel(batch_size=1, pre_dispatch="all", return_as="generator") as parallel:
                while waiting:
                    outputs = parallel([delayed(_score_block)(job, block) for block in waiting])
                    try:
                        for output in outputs:
                            if isinstance(output, OrchestratorError):
                                raise output
                            yield output
                            waiting.popleft()
                            ahead += islice(blocks, 1)
                            losses = 0
                    finally:
                        _close(outputs)
                    waiting, ahead = deque(ahead), []
        except Exception as error:
            if not LOST & {kind.__name__ for kind in type(error).__mro__}:
                raise
            losses += 1
            start = waiting[0].start
            if losses == MAX_LOSSES:
                text = f"batch.backend: {job.spec.backend} lost {losses} workers on the rows from {start:,} on"
                remedy = "if memory ran out, use fewer processes (batch.n_jobs) or a smaller batch.chunk_rows"
                raise PackageError(f"{text}; {remedy}") from error
            note(f"a worker was lost; scoring again from row {start:,} on")


def _close(outputs: Generator[object, None, None]) -> None:
    """Cancel what is under way, if anything is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tasks .* by the workers have been cancelled")
        warnings.filterwarnings("ignore", message=".*tasks have been successfully executed")
        outputs.close()


def _score_block(job: Job, block: Block) -> Part | OrchestratorError:
    """Return a block's part; errors are returned, since some backends change those that are raised."""
    try:
        scorer = _load(job.package, job.fingerprint, job.code)
        with translate_read_errors(job.spec, job.form):
            chunk = job.table.source.read(block)
        return scorer.score(job.table, chunk)
    except OrchestratorError as error:
        return error


@functools.lru_cache(maxsize=1)
def _load(package: Path, fingerprint: str, code: str) -> Scorer:  # noqa: ARG001 - the fingerprint is a part of the key
    here = f"the worker on {socket.gethostname()}"
    if not package.is_dir():
        raise PackageError(f"batch.scheduler: {here} has no {package}; put state_dir where all machines see it")
    if code and code != code_digest():
        raise PackageError(f"batch.scheduler: {here} has another version of this project; install the same on both")
    return Scorer(package)
