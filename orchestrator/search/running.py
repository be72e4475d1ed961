"""Running a search's fits: in this process one after the other, or in joblib's workers unit by unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from orchestrator.search import plan, randomness, seam
from orchestrator.search.progress import UPDATES, Progress
from orchestrator.search.rules.rule import Rule
from orchestrator.search.unit import Result, work

PER_PROCESS = 3  # units, or one a fold: enough that nobody waits long for the last, few enough to share much


class Work(NamedTuple):
    """How many fits a search was asked for, and how many it took."""

    asked: int
    done: int


def run(
    calls: Iterable[seam.Call], rules: Sequence[Rule], n_jobs: Any, pre_dispatch: Any, progress: Progress
) -> tuple[list[Any], Work]:
    """The results of all calls, in order."""
    tasks = seam.read(calls)
    processes = effective_n_jobs(n_jobs)
    if isinstance(tasks, list):  # not what we know: as scikit-learn would
        results = list(Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)(tasks))
        return results, Work(len(results), len(results))
    groups, total = plan.groups(tasks, rules), len(tasks.candidates) * len(tasks.folds)
    progress.start(total)
    shares = any(group.shares for group in groups)
    if processes == 1:
        found = _in_order(tasks) if not shares else _here(tasks, groups, progress)
    else:
        pieces = (
            math.ceil(PER_PROCESS * processes / len(tasks.folds)) if shares else math.ceil(UPDATES / len(tasks.folds))
        )
        found = _in_workers(tasks, plan.units(groups, len(tasks.folds), pieces), n_jobs, pre_dispatch)
    results, done = [None] * total, 0
    for fold, (candidate, result, fits) in found:
        results[candidate * len(tasks.folds) + fold] = result
        progress.add(candidate, result)
        done += fits
    return results, Work(total, done)


def _in_order(tasks: seam.Tasks) -> Iterator[tuple[int, Result]]:
    for candidate, parameters in enumerate(tasks.candidates):
        for at, fold in enumerate(tasks.folds):
            yield at, (candidate, tasks.job.plain(candidate, parameters, fold), 1)


def _here(tasks: seam.Tasks, groups: Sequence[plan.Group], progress: Progress) -> Iterator[tuple[int, Result]]:
    before = randomness.state()
    for unit in plan.units(groups, len(tasks.folds), 1):
        for result in work(tasks.job, tasks.folds[unit.fold], unit.groups, _candidates(tasks, unit)):
            if randomness.has_moved(before):
                randomness.restore(before)
                progress.start(progress.total)
                yield from _in_order(tasks)
                return
            yield unit.fold, result


def _in_workers(
    tasks: seam.Tasks, units: Sequence[plan.Unit], n_jobs: Any, pre_dispatch: Any
) -> Iterator[tuple[int, Result]]:
    """Unit by unit, as they finish. joblib limits the threads of BLAS and OpenMP in its processes."""
    try:
        parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch, return_as="generator_unordered")
    except ValueError:  # a backend that gives everything at the end
        parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch)
    calls = (
        delayed(_unit)(tasks.job, unit.fold, tasks.folds[unit.fold], unit.groups, _candidates(tasks, unit))
        for unit in units
    )
    for fold, results in parallel(calls):
        for result in results:
            yield fold, result


def _unit(
    job: seam.Job, at: int, fold: seam.Fold, groups: Sequence[plan.Group], candidates: Mapping[int, Any]
) -> tuple[int, list[Result]]:
    return at, list(work(job, fold, groups, candidates))


def _candidates(tasks: seam.Tasks, unit: plan.Unit) -> dict[int, Any]:
    return {at: tasks.candidates[at] for group in unit.groups for at in group.members}
