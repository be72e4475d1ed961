"""Make the folds of a search by the rule by which rows were held out, or by a splitter of scikit-learn's interface."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.errors import DataError
from orchestrator.modeling.splitting import keys
from orchestrator.modeling.splitting.holdout import MOST_GROUPS, HeldOut, assign_groups
from orchestrator.spec.messages import one_line
from orchestrator.spec.split import SplitSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Folds: TypeAlias = Sequence[tuple[Any, Any]]  # arrays of positions of the rows to fit on and to score on


def make_folds(
    cv: Any, held: HeldOut, X: pd.DataFrame, y: pd.Series, split: SplitSpec, seed: int, *, classified: bool
) -> tuple[Folds | None, str | None]:
    """Return the folds of the training rows ``X`` (n_rows, n_columns) and ``y``, and how they were made, in words.

    ``cv`` is a number of folds or a splitter. None: scikit-learn makes that many folds itself, as without a rule.

    Raises:
        DataError: the rows do not suffice, or the splitter refuses them.
    """
    import numpy as np

    if not isinstance(cv, int):
        return _of_splitter(cv, held, X, y, split, seed)
    if split.rule == "group":
        return _of_groups(cv, held.keys, y, seed, classified=classified)
    if split.rule == "time":
        folds = _of_times(cv, held.keys, split)
        return folds, f"{cv}, each after those it learns from"
    if split.rule == "column" and (held.keys == keys.VALIDATION).any():
        validation = held.keys == keys.VALIDATION
        if validation.all():
            raise DataError(f"data.split.validation: no row of '{split.by}' is left to learn from")
        return [(np.flatnonzero(~validation), np.flatnonzero(validation))], "1, the validation rows"
    return None, None


def _of_groups(cv: int, groups: np.ndarray, y: pd.Series, seed: int, *, classified: bool) -> tuple[Folds, str]:
    """Return the folds of StratifiedGroupKFold or GroupKFold; of very many groups those of ``assign_groups``."""
    import numpy as np
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    count = len(np.unique(groups))
    if count < cv:
        raise DataError(f"search.cv: {count} training groups are fewer than {cv} folds")
    said = f"{cv}, of whole groups"
    if classified and count > MOST_GROUPS:
        assigned = assign_groups(y.to_numpy(), np.unique(groups, return_inverse=True)[1], cv, seed)
        return [(np.flatnonzero(assigned != fold), np.flatnonzero(assigned == fold)) for fold in range(cv)], said
    splitter = StratifiedGroupKFold(cv) if classified else GroupKFold(cv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a class with few rows: check_folds says what that prevents
            return list(splitter.split(y, y, groups)), said
    except ValueError as error:
        raise DataError(f"search.cv: {one_line(error)}") from error


def _of_times(cv: int, times: np.ndarray, split: SplitSpec) -> Folds:
    """Return the folds of TimeSeriesSplit over the distinct times, so that no time is on both sides, with the gap."""
    import numpy as np
    from sklearn.model_selection import TimeSeriesSplit

    distinct = np.unique(times)
    if len(distinct) <= cv:
        raise DataError(
            f"search.cv: the training rows have {len(distinct)} distinct times in '{split.by}', and {cv} folds need "
            f"{cv + 1}; use fewer folds"
        )
    gap = keys.gap_of(times, split)
    folds: list[tuple[Any, Any]] = []
    for _, tested in TimeSeriesSplit(cv).split(distinct):
        first, last = distinct[tested[0]], distinct[tested[-1]]
        start, stop = np.searchsorted(times, first, "left"), np.searchsorted(times, last, "right")
        end = np.searchsorted(times, first - gap, "left") if gap else start
        if end == 0:
            raise DataError(
                f"data.split.gap: {split.gap} leaves fold {len(folds) + 1} of {cv} no row to learn from; shorten the gap, or "
                "use fewer folds (search.cv)"
            )
        folds.append((np.arange(end), np.arange(start, stop)))
    return folds


def _of_splitter(
    cv: Any, held: HeldOut, X: pd.DataFrame, y: pd.Series, split: SplitSpec, seed: int
) -> tuple[Folds, str]:
    splitter = copy.copy(cv)
    draws = getattr(splitter, "shuffle", True) and getattr(splitter, "random_state", 0) is None
    if draws:  # without a seed each run would have other folds
        splitter.random_state = seed
    name = type(splitter).__name__
    groups = held.keys if split.rule == "group" else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folds = [(*map(_positions, fold),) for fold in splitter.split(X, y, groups)]
    except Exception as error:  # a foreign splitter may raise anything
        raise DataError(f"search.cv: {name} cannot split {len(y)} training rows: {one_line(error)}") from error
    if not folds or any(not len(part) for fold in folds for part in fold):
        raise DataError(f"search.cv: {name} makes {'an empty fold' if folds else 'no folds'}")
    return folds, f"{len(folds)} of {name}"  # type: ignore[return-value]


def _positions(rows: Any) -> np.ndarray:
    import numpy as np

    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


def leaks(folds: Folds, held: HeldOut, split: SplitSpec) -> list[str]:
    """Return a note where a splitter of the user's breaks the rule by which rows were held out."""
    import numpy as np

    if split.rule == "group":
        shared = sum(bool(np.intersect1d(held.keys[fit], held.keys[score]).size) for fit, score in folds)
        broken = f"groups of '{split.by}' are on both sides"
    elif split.rule == "time":
        shared = sum(bool(held.keys[fit].max() >= held.keys[score].min()) for fit, score in folds)
        broken = f"rows are scored that are no newer by '{split.by}' than those learned from"
    else:
        return []
    return [f"search.cv: in {shared} of {len(folds)} folds {broken}: these scores may be too good"] if shared else []


def check_folds(
    folds: Folds, y: pd.Series, classes: Sequence[Any], failing: Callable[[Any, Any], Sequence[str]], which: str = ""
) -> None:
    """Check that each fold has the classes that fitting and the metrics need.

    ``failing`` returns the metrics that cannot be computed for the labels to fit on and to score on; ``which`` says in
    words which rows the folds are of.

    Raises:
        DataError: the text names the fold and the class.
    """
    import numpy as np

    codes = y.to_numpy()
    for at, (fit, score) in enumerate(folds, 1):
        for rows, said in ((fit, "learns from"), (score, "is scored on")):
            present = set(np.unique(codes[rows]).tolist())
            absent = next((label for code, label in enumerate(classes) if code not in present), None)
            if absent is None:
                continue
            unsuited = failing(codes[fit], codes[score]) if len(set(codes[fit].tolist())) > 1 else ["fitting"]
            if unsuited:
                raise DataError(
                    f"search.cv: fold {at} of {len(folds)} {said} no row of class {absent!r}{which}, and {', '.join(unsuited)} needs "
                    "one; use fewer folds, other metrics (search.scoring), or another rule (data.split)"
                )
