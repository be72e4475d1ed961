"""Hold rows out: at random, by whole groups, the newest, as a column says, or those of another file."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.errors import DataError
from orchestrator.modeling.splitting import keys
from orchestrator.modeling.splitting.summary import SplitSummary
from orchestrator.spec.split import SplitSpec
from orchestrator.uncertainty.design import HoldOutDesign

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_SHARES = 20  # parts of which whole groups are held out: 0.15 is 3 of 20
MOST_GROUPS = 2000  # that StratifiedGroupKFold assigns one by one, in 0.3 ms each; more are balanced by their number


class Rule(Protocol):
    """The share of the rows that are held out, whether classes keep their shares, and what decides which rows."""

    @property
    def test_size(self) -> float: ...  # noqa: D102
    @property
    def stratify(self) -> bool: ...  # noqa: D102
    @property
    def split(self) -> SplitSpec: ...  # noqa: D102


@dataclass(frozen=True)
class HeldOut:
    """Positions (n_rows,) of the rows for training and of those held out.

    ``keys`` belong to the training rows: their groups, their times in ascending order, or their parts.
    ``design`` is of the rows held out.
    """

    train: np.ndarray
    test: np.ndarray
    summary: SplitSummary
    keys: Any = None
    design: HoldOutDesign = field(default_factory=HoldOutDesign)


def hold_out(y: pd.Series, by: pd.Series | None, data: Rule, seed: int, *, classified: bool) -> HeldOut:
    """Split the rows of a table with the target ``y`` (n_rows,), by the rule of ``data.split``.

    ``by`` (n_rows,) is the column that decides. Classes keep their shares as far as the rule allows, if they are
    ``classified`` and ``data.stratify`` is set.

    Raises:
        DataError: the rows cannot be split so.
    """
    stratified = data.stratify and classified
    if by is None:
        held = _at_random(y, data, seed, stratified=stratified)
    elif data.split.rule == "group":
        held = _whole_groups(y, by, data, seed, stratified=stratified)
    elif data.split.rule == "time":
        held = _newest(by, data)
    else:
        held = _named_parts(by, data)
    return replace(held, summary=replace(held.summary, training=len(held.train), held_out=len(held.test)))


def _at_random(y: pd.Series, data: Rule, seed: int, *, stratified: bool) -> HeldOut:
    import numpy as np
    from sklearn.model_selection import train_test_split

    try:
        train, test = train_test_split(
            np.arange(len(y)), test_size=data.test_size, random_state=seed, stratify=y if stratified else None
        )
    except ValueError as error:
        raise DataError(f"data.test_size: {len(y)} rows cannot be split so: {error}") from error
    return HeldOut(train, test, SplitSummary("random", 0, 0), design=HoldOutDesign(stratified))


def _whole_groups(y: pd.Series, by: pd.Series, data: Rule, seed: int, *, stratified: bool) -> HeldOut:
    import numpy as np

    name = str(data.split.by)
    groups = keys.group_codes(by, name)
    count = int(groups.max()) + 1
    shares = [(p, q) for q in range(2, min(MOST_SHARES, count) + 1) for p in range(1, q)]
    held, parts = min(shares, key=lambda share: abs(share[0] / share[1] - data.test_size))
    codes = y.to_numpy() if stratified else np.zeros(len(y), dtype=int)
    in_test = assign_groups(codes, groups, parts, seed) < held
    train, test = np.flatnonzero(~in_test), np.flatnonzero(in_test)
    if not len(train) or not len(test):
        raise DataError(f"data.split.by: the {count} groups of '{name}' cannot be split so; they are too unequal")
    sizes = (len(np.unique(groups[train])), len(np.unique(groups[test])))
    summary = SplitSummary("group", 0, 0, by=name, groups=sizes)
    return HeldOut(train, test, summary, groups[train], HoldOutDesign(groups=groups[test]))


def assign_groups(codes: np.ndarray, groups: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """Assign each row (n_rows,) to one of ``parts`` parts, whole groups at a time, with similar shares of the classes.

    Up to 2,000 groups by scikit-learn's StratifiedGroupKFold; of more, each counts as one row of its most frequent class.

    Raises:
        DataError: every class has fewer rows than there are parts.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    count = int(groups.max()) + 1
    assigned = np.empty(len(groups), dtype=int)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a class with few rows; the caller checks what it needs
            if count <= MOST_GROUPS:
                splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
                for part, (_, rows) in enumerate(splitter.split(codes, codes, groups)):
                    assigned[rows] = part
                return assigned
            frequent = class_of_groups(codes, groups)
            part_of_group = np.empty(count, dtype=int)
            for part, (_, members) in enumerate(
                StratifiedKFold(parts, shuffle=True, random_state=seed).split(frequent, frequent)
            ):
                part_of_group[members] = part
    except ValueError as error:
        raise DataError(f"data.split.by: the groups cannot be split so: {error}") from error
    return np.take(part_of_group, groups)


def class_of_groups(codes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the most frequent class of each group (n_groups,)."""
    import numpy as np
    from scipy.sparse import coo_matrix

    counts = coo_matrix((np.ones(len(codes)), (groups, codes))).tocsr()
    frequent: np.ndarray = np.asarray(counts.argmax(axis=1)).ravel()
    return frequent


def _newest(by: pd.Series, data: Rule) -> HeldOut:
    """Hold the newest rows out; rows of one time stay together, on the side that is nearer to the wanted share."""
    import numpy as np

    times = keys.time_values(by, data.split)
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    wanted = len(times) - math.ceil(data.test_size * len(times))
    sides = [int(np.searchsorted(ordered, ordered[wanted], side)) for side in ("left", "right")]
    start = min((at for at in sides if 0 < at < len(times)), key=lambda at: abs(at - wanted))
    border, gap = ordered[start], keys.gap_of(times, data.split)
    stop = int(np.searchsorted(ordered, border - gap, "left")) if gap else start
    if stop == 0:
        raise DataError(
            f"data.split.gap: no training row is left {data.split.gap} before {show_time(border)}, where the hold-out rows "
            "begin; shorten the gap, or hold fewer rows out (data.test_size)"
        )
    summary = SplitSummary("time", 0, 0, by=data.split.by, border=show_time(border), gap_rows=start - stop)
    return HeldOut(order[:stop], order[start:], summary, ordered[:stop], HoldOutDesign(ordered=True))


def show_time(time: Any) -> str:
    """Return a time as text: a date without its time of day where that is midnight, or a number."""
    import numpy as np

    if isinstance(time, np.datetime64):
        return str(np.datetime_as_string(time, unit="s")).removesuffix("T00:00:00").replace("T", " ")
    return f"{time:g}" if isinstance(time, float | np.floating) else str(time)


def _named_parts(by: pd.Series, data: Rule) -> HeldOut:
    import numpy as np

    if data.split.file is not None:
        in_test = by.to_numpy(dtype=bool)
        for is_there, key in ((in_test.any(), "split.file"), (not in_test.all(), "path")):
            if not is_there:
                said = "no row is left, since all lack the target or repeat another row (data.missing_target, data.duplicates)"
                raise DataError(f"data.{key}: {said}")
        summary = SplitSummary("file", 0, 0, by=data.split.file.name)
        return HeldOut(np.flatnonzero(~in_test), np.flatnonzero(in_test), summary)
    parts = keys.parts_of(by, data.split)
    train, test = np.flatnonzero(parts != keys.HELD_OUT), np.flatnonzero(parts == keys.HELD_OUT)
    return HeldOut(train, test, SplitSummary("column", 0, 0, by=data.split.by), parts[train])
