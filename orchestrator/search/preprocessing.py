"""Preprocessing shared: the steps of a pipeline before the last are fitted once for all candidates that agree on them.

Each step is fitted and applied as ``Pipeline`` does it, on data that is lent: nobody can change what the next one gets.
Candidates that agree on the first steps only share those. Shared are steps that give the same in every fit: their seeds
are integers, the global random state stays where it was, and their input stays as it is. Otherwise: plain fitting.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sklearn.base import clone

from orchestrator.search import random_state
from orchestrator.search.grouping import Group
from orchestrator.search.shared_data import Unshareable, is_unmodified, read_only_view, tracked_copy


@dataclass(frozen=True)
class FoldData:
    """One fold's data before some step."""

    fit: Any  # what the step is fitted on
    y: Any
    test: Any
    train: Any = None  # the training rows as the fitted steps transform them, where they are scored too
    seconds: float = 0.0  # spent so far, for each candidate


def leaves(
    estimator: Any, candidates: Any, groups: Sequence[Group], data: FoldData, depth: int = 0
) -> Iterator[tuple[Sequence[Group], FoldData | None]]:
    """Groups with the data that their last step gets; None where preprocessing is not to be shared after all."""
    steps = len(groups[0].path)
    while depth < steps:
        parts = [list(part) for _, part in itertools.groupby(groups, key=lambda group: group.path[depth])]
        if len(parts) > 1:
            for part in parts:
                yield from leaves(estimator, candidates, part, data, depth)
            return
        members = sum(len(group.members) for group in groups)
        try:
            leader = clone(candidates[groups[0].members[0]], safe=False)
            data = _through(clone(estimator).set_params(**leader).steps[depth][1], data, members)
        except Exception:  # noqa: BLE001 - plain fitting meets it again, and scikit-learn deals with it
            yield groups, None
            return
        depth += 1
    yield groups, data


def _through(step: Any, data: FoldData, members: int) -> FoldData:
    if step is None or step == "passthrough":
        return data
    started, state = time.perf_counter(), random_state.state()
    lent, y = tracked_copy(data.fit), read_only_view(data.y)
    fit = step.fit_transform(lent, y) if hasattr(step, "fit_transform") else step.fit(lent, y).transform(lent)
    given, spoiled = [], not (is_unmodified(lent, data.fit) and is_unmodified(y, data.y))
    for rows in (data.test, data.train):
        lent = tracked_copy(rows)
        given.append(None if rows is None else step.transform(lent))
        spoiled |= not is_unmodified(lent, rows)
    if spoiled or random_state.has_moved(state):
        raise Unshareable("the step changes its input or draws random numbers")
    seconds = data.seconds + (time.perf_counter() - started) / members
    return replace(data, fit=fit, test=given[0], train=given[1], seconds=seconds)
