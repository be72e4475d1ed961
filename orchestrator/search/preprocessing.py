"""Shared preprocessing: the steps before the final one are fitted once for all candidates that agree on them.

Each step is fitted and applied as ``Pipeline`` does it, on copies or read-only views, so that it cannot change another
candidate's data. Candidates that agree on the first steps only share those. A step is shared if it gives the same in
every fit: its seeds are integers, and it changes neither the global random state nor its input. Any other is fitted for
each candidate.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sklearn.base import clone

from orchestrator.search import random_state
from orchestrator.search.grouping import CandidateGroup
from orchestrator.search.shared_data import NotShareableError, is_unmodified, read_only_view, tracked_copy


@dataclass(frozen=True)
class FoldData:
    """One fold's data as some step receives it."""

    fit: Any  # what the step is fitted on
    y: Any
    test: Any
    train: Any = None  # the training rows as the fitted steps transform them, if they are scored too
    seconds: float = 0.0  # spent so far, for each candidate


def preprocess_groups(
    estimator: Any, candidates: Any, groups: Sequence[CandidateGroup], data: FoldData, depth: int = 0
) -> Iterator[tuple[Sequence[CandidateGroup], FoldData | None]]:
    """Yield groups with the data that their final step receives; None where preprocessing cannot be shared."""
    steps = len(groups[0].preprocessing)
    while depth < steps:
        parts = [list(part) for _, part in itertools.groupby(groups, key=lambda group: group.preprocessing[depth])]
        if len(parts) > 1:
            for part in parts:
                yield from preprocess_groups(estimator, candidates, part, data, depth)
            return
        members = sum(len(group.members) for group in groups)
        try:
            parameters = clone(candidates[groups[0].members[0]], safe=False)
            data = _apply_step(clone(estimator).set_params(**parameters).steps[depth][1], data, members)
        except Exception:  # noqa: BLE001 - the plain fit raises it again, and scikit-learn handles it
            yield groups, None
            return
        depth += 1
    yield groups, data


def _apply_step(step: Any, data: FoldData, members: int) -> FoldData:
    if step is None or step == "passthrough":
        return data
    started, state = time.perf_counter(), random_state.get_state()
    copy, y = tracked_copy(data.fit), read_only_view(data.y)
    fit = step.fit_transform(copy, y) if hasattr(step, "fit_transform") else step.fit(copy, y).transform(copy)
    transformed, modified = [], not (is_unmodified(copy, data.fit) and is_unmodified(y, data.y))
    for rows in (data.test, data.train):
        copy = tracked_copy(rows)
        transformed.append(None if rows is None else step.transform(copy))
        modified |= not is_unmodified(copy, rows)
    if modified or random_state.has_changed(state):
        raise NotShareableError("the step changes its input or draws random numbers")
    seconds = data.seconds + (time.perf_counter() - started) / members
    return replace(data, fit=fit, test=transformed[0], train=transformed[1], seconds=seconds)
