"""Running a search's fits: in this process one after the other, or in joblib's workers unit by unit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from joblib import effective_n_jobs, parallel_config
from sklearn.utils.parallel import Parallel, delayed

from orchestrator.search import grouping, random_state, sklearn_private, worker_versions
from orchestrator.search.checkpoint import Journal, Place
from orchestrator.search.progress import UPDATES, SearchProgress
from orchestrator.search.reuse.base import ReuseRule
from orchestrator.search.worker import Result, work

PER_PROCESS = 3  # units, or one a fold: enough that nobody waits long for the last, few enough to share much


# the fold, its result, and whether it lasts: what draws from NumPy's global state depends on all that was fitted before
Found = tuple[int, Result, bool]


class Work(NamedTuple):
    """How many fits a search was asked for, and how many it took."""

    asked: int
    done: int


class Outcome(NamedTuple):
    """The results of all calls in order, the work they took, and each candidate's first traceback or ""."""

    results: list[Any]
    work: Work
    errors: Sequence[str]


def run(
    calls: Iterable[sklearn_private.Call],
    rules: Sequence[ReuseRule],
    n_jobs: Any,
    pre_dispatch: Any,
    progress: SearchProgress,
    folder: Path | None = None,
) -> Outcome:
    """Do all calls. ``folder`` holds the results that an earlier try has finished, and gets the others."""
    tasks = sklearn_private.read(calls)
    processes = effective_n_jobs(n_jobs)
    if isinstance(tasks, list):  # not what we know: as scikit-learn would
        results: list[Any] = list(Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)(tasks))
        return Outcome(results, Work(len(results), len(results)), ())
    groups, total = grouping.groups(tasks, rules), len(tasks.candidates) * len(tasks.folds)
    progress.start(total)
    journal = Journal(folder, tasks)
    kept = journal.kept()
    shares = any(group.shares for group in groups)
    if processes == 1:
        found = _in_order(tasks, kept) if not shares else _here(tasks, groups, progress, kept)
    else:
        pieces = (
            math.ceil(PER_PROCESS * processes / len(tasks.folds)) if shares else math.ceil(UPDATES / len(tasks.folds))
        )
        units = grouping.without(grouping.units(groups, len(tasks.folds), pieces), kept)
        found = _in_workers(tasks, units, n_jobs, pre_dispatch)
    results = [None] * total
    for (candidate, fold), result in kept.items():
        results[candidate * len(tasks.folds) + fold] = result
        progress.add(candidate, result)
    done = 0
    try:
        for fold, (candidate, result, fits), lasts in found:
            results[candidate * len(tasks.folds) + fold] = result
            if lasts:
                journal.add(candidate, fold, result)
            progress.add(candidate, result)
            done += fits
    finally:
        journal.close()
        found.close()
    errors = [result["fit_error"] or "" for result in results]
    by_candidate = [errors[at : at + len(tasks.folds)] for at in range(0, total, len(tasks.folds))]
    return Outcome(results, Work(total, done), [next(filter(None, each), "") for each in by_candidate])


def _in_order(tasks: sklearn_private.Tasks, kept: Container[Place] = ()) -> Generator[Found, None, None]:
    before = random_state.state()
    for candidate, parameters in enumerate(tasks.candidates):
        for at, fold in enumerate(tasks.folds):
            if (candidate, at) not in kept:
                result = candidate, tasks.job.plain(candidate, parameters, fold), 1
                yield at, result, not random_state.has_moved(before)


def _here(
    tasks: sklearn_private.Tasks, groups: Sequence[grouping.Group], progress: SearchProgress, kept: Container[Place]
) -> Generator[Found, None, None]:
    before = random_state.state()
    for unit in grouping.without(grouping.units(groups, len(tasks.folds), 1), kept):
        for result in work(tasks.job, tasks.folds[unit.fold], unit.groups, _candidates(tasks, unit)):
            if random_state.has_moved(before):
                random_state.restore(before)
                progress.restart()
                yield from _in_order(tasks)
                return
            yield unit.fold, result, True


def _in_workers(
    tasks: sklearn_private.Tasks, units: Sequence[grouping.Unit], n_jobs: Any, pre_dispatch: Any
) -> Generator[Found, None, None]:
    """Unit by unit, as they finish. joblib limits the threads of BLAS and OpenMP in its processes."""
    try:
        parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch, return_as="generator_unordered")
    except ValueError:  # a backend that gives everything at the end
        parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)
    versions = worker_versions.versions()
    calls = (
        delayed(_unit)(versions, tasks.job, unit.fold, tasks.folds[unit.fold], unit.groups, _candidates(tasks, unit))
        for unit in units
    )
    outputs = parallel(calls)
    try:
        for fold, results, lasts in outputs:
            for result in results:
                yield fold, result, lasts
    finally:  # whoever stops listening, stops the work
        if isinstance(outputs, Generator):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*tasks .* by the workers have been cancelled")
                warnings.filterwarnings("ignore", message=".*tasks have been successfully executed")
                outputs.close()


def _unit(
    versions: Mapping[str, str],
    job: sklearn_private.Job,
    at: int,
    fold: sklearn_private.Fold,
    groups: Sequence[grouping.Group],
    candidates: Mapping[int, Any],
) -> tuple[int, list[Result], bool]:
    worker_versions.check(versions)
    before = random_state.state()
    with parallel_config("threading", n_jobs=1):  # a cluster's workers would else send each tree to one another
        results = list(work(job, fold, groups, candidates))
    return at, results, not random_state.has_moved(before)


def _candidates(tasks: sklearn_private.Tasks, unit: grouping.Unit) -> dict[int, Any]:
    return {at: tasks.candidates[at] for group in unit.groups for at in group.members}
