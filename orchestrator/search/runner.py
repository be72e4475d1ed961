"""Run a search's fits: in this process one after the other, or unit by unit in joblib's workers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from joblib import effective_n_jobs, parallel_config
from sklearn.utils.parallel import Parallel, delayed

from orchestrator.search import random_state, sklearn_private, worker_versions
from orchestrator.search.checkpoint import FitCheckpoint, FitIndex
from orchestrator.search.grouping import CandidateGroup, WorkUnit, drop_finished, group_candidates, split_into_units
from orchestrator.search.progress import UPDATES, SearchProgress
from orchestrator.search.reuse.base import ReuseRule
from orchestrator.search.worker import Result, run_unit

UNITS_PER_PROCESS = 3  # or one a fold: enough to balance the load at the end, few enough to share much


# the fold, its result, and whether it may be saved: a fit that draws from NumPy's global state depends on those before
FoldResult = tuple[int, Result, bool]


class FitCounts(NamedTuple):
    """How many fits a search requested, and how many it performed."""

    requested: int
    performed: int


class Outcome(NamedTuple):
    """The results of all calls in order, their fit counts, and each candidate's first traceback or ""."""

    results: list[Any]
    counts: FitCounts
    errors: Sequence[str]


def run_search(
    calls: Iterable[sklearn_private.Call],
    rules: Sequence[ReuseRule],
    n_jobs: Any,
    pre_dispatch: Any,
    progress: SearchProgress,
    checkpoint_folder: Path | None = None,
) -> Outcome:
    """Perform all calls, except those whose results the checkpoint holds."""
    tasks = sklearn_private.parse_calls(calls)
    processes = effective_n_jobs(n_jobs)
    if isinstance(tasks, list):  # unknown calls: run them as scikit-learn would
        results: list[Any] = list(Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)(tasks))
        return Outcome(results, FitCounts(len(results), len(results)), ())
    folds = len(tasks.folds)
    groups, total = group_candidates(tasks, rules), len(tasks.candidates) * folds
    progress.start(total)
    checkpoint = FitCheckpoint(checkpoint_folder, tasks)
    finished = checkpoint.load()
    shares = any(group.shares for group in groups)
    if processes == 1:
        fits = _fit_here(tasks, groups, progress, finished) if shares else _fit_in_order(tasks, finished)
    else:
        pieces = math.ceil(UNITS_PER_PROCESS * processes / folds) if shares else math.ceil(UPDATES / folds)
        units = drop_finished(split_into_units(groups, folds, pieces), finished)
        fits = _fit_in_workers(tasks, units, n_jobs, pre_dispatch)
    results = [None] * total
    for (candidate, fold), result in finished.items():
        results[candidate * folds + fold] = result
        progress.add(candidate, result)
    performed = 0
    try:
        for fold, (candidate, result, count), may_be_saved in fits:
            results[candidate * folds + fold] = result
            if may_be_saved:
                checkpoint.append(candidate, fold, result)
            progress.add(candidate, result)
            performed += count
    finally:
        checkpoint.close()
        fits.close()
    errors = [result["fit_error"] or "" for result in results]
    by_candidate = [errors[at : at + folds] for at in range(0, total, folds)]
    return Outcome(results, FitCounts(total, performed), [next(filter(None, each), "") for each in by_candidate])


def _fit_in_order(
    tasks: sklearn_private.SearchTasks, finished: Container[FitIndex] = ()
) -> Generator[FoldResult, None, None]:
    """Fit each candidate by itself, in scikit-learn's order."""
    before = random_state.get_state()
    for candidate, parameters in enumerate(tasks.candidates):
        for at, fold in enumerate(tasks.folds):
            if (candidate, at) not in finished:
                result = candidate, tasks.job.fit_and_score(candidate, parameters, fold), 1
                yield at, result, not random_state.has_changed(before)


def _fit_here(
    tasks: sklearn_private.SearchTasks,
    groups: Sequence[CandidateGroup],
    progress: SearchProgress,
    finished: Container[FitIndex],
) -> Generator[FoldResult, None, None]:
    """Share work in this process; repeat everything in order if a fit draws from the global random state."""
    before = random_state.get_state()
    for unit in drop_finished(split_into_units(groups, len(tasks.folds), 1), finished):
        for result in run_unit(tasks.job, tasks.folds[unit.fold], unit.groups, _select_candidates(tasks, unit)):
            if random_state.has_changed(before):
                random_state.set_state(before)
                progress.restart()
                yield from _fit_in_order(tasks)
                return
            yield unit.fold, result, True


def _fit_in_workers(
    tasks: sklearn_private.SearchTasks, units: Sequence[WorkUnit], n_jobs: Any, pre_dispatch: Any
) -> Generator[FoldResult, None, None]:
    """Yield the results of each unit as it finishes. joblib limits the threads of BLAS and OpenMP in its processes."""
    try:
        parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch, return_as="generator_unordered")
    except ValueError:  # a backend that returns everything at the end
        parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)
    versions = worker_versions.local_versions()
    calls = (
        delayed(_run_in_worker)(
            versions, tasks.job, unit.fold, tasks.folds[unit.fold], unit.groups, _select_candidates(tasks, unit)
        )
        for unit in units
    )
    outputs = parallel(calls)
    try:
        for fold, results, may_be_saved in outputs:
            for result in results:
                yield fold, result, may_be_saved
    finally:  # closing this generator cancels the work
        if isinstance(outputs, Generator):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*tasks .* by the workers have been cancelled")
                warnings.filterwarnings("ignore", message=".*tasks have been successfully executed")
                outputs.close()


def _run_in_worker(
    versions: Mapping[str, str],
    job: sklearn_private.SearchJob,
    at: int,
    fold: sklearn_private.Fold,
    groups: Sequence[CandidateGroup],
    candidates: Mapping[int, Any],
) -> tuple[int, list[Result], bool]:
    worker_versions.check_versions(versions)
    before = random_state.get_state()
    with parallel_config("threading", n_jobs=1):  # else a cluster's workers would send single trees to each other
        results = list(run_unit(job, fold, groups, candidates))
    return at, results, not random_state.has_changed(before)


def _select_candidates(tasks: sklearn_private.SearchTasks, unit: WorkUnit) -> dict[int, Any]:
    return {member: tasks.candidates[member] for group in unit.groups for member in group.members}
