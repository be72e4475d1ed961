"""Choose the task from the target: two classes, several classes or a number; and what fits its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import DataError
from orchestrator.modeling.labels import sort_key
from orchestrator.modeling.task import see_task
from orchestrator.project.notation import find_unit

if TYPE_CHECKING:
    import pandas as pd

_AFFIRMATIVE = {
    *(
        "yes",
        "y",
        "true",
        "t",
        "1",
        "positive",
        "pos",
        "ja",
        "si",
        "oui",
        "malignant",
        "m+",
        "churn",
        "churned",
        "left",
    ),
    *("fraud", "spam", "bad", "default", "sick", "disease", "abnormal", "failure", "failed", "attack", ">50k", "high"),
}
_FOLDS = 5
_FEWEST = 5  # rows of a class, for a hold-out part and folds that have it
_FEWEST_NUMBERS = 10  # rows of a regression
_FEW_NUMBERS = 25  # rows below which a regression has two folds, as r2 needs several rows in each
_MOST_TEXTS = 0.5  # share of distinct texts among the rows, above which they are no classes


@dataclass(frozen=True)
class Task:
    """What to predict; ``counts`` has the rows of each label, ``reason`` says why it was chosen.

    ``typed``: it is not what the table shows, so that the configuration must name it.
    """

    kind: Literal["binary", "multiclass", "regression"]
    reason: str
    folds: int
    counts: Mapping[Any, int] = field(default_factory=dict)
    positive: Any = None
    why_positive: str = ""
    typed: bool = False


def choose_task(target: pd.Series, wanted: str | None) -> Task:
    """Return the task for a target without missing values; ``wanted`` is classification, regression or None.

    Raises:
        DataError: nothing can be learned from the target; the text begins with the option to change.
    """
    name = str(target.name)
    _check_target(name, target)
    numbers = target.dtype.kind in "iuf"
    counts = target.value_counts().to_dict()
    if wanted == "regression" and not numbers:
        raise DataError(f"--task: '{name}' holds text such as {next(iter(counts))!r}, and a regression needs numbers")
    seen = see_task(target).task
    if wanted == "regression" or (wanted is None and seen == "regression"):
        return _regression(name, target, typed=seen != "regression")
    labels = sorted(counts, key=sort_key)
    if any(isinstance(label, float) and not label.is_integer() for label in labels):
        raise DataError(f"--task: '{name}' holds numbers such as {labels[0]!r}, which are no classes; use regression")
    if not numbers and len(labels) > 2 and len(labels) > _MOST_TEXTS * len(target):
        hint = "write its numbers without their unit, or choose" if find_unit(map(str, labels)) else "choose"
        raise DataError(
            f"--target: '{name}' has {len(labels):,} distinct texts, such as {labels[0]!r}, in {len(target):,} rows, which "
            f"are no classes; {hint} another column"
        )
    rarest = min(labels, key=lambda label: counts[label])
    if counts[rarest] < _FEWEST:
        raise DataError(
            f"--target: class {rarest!r} of '{name}' has {counts[rarest]} rows and needs {_FEWEST} for a hold-out part and "
            "folds; leave it out of the table, or join it with another"
        )
    folds = min(_FOLDS, counts[rarest] - math.ceil(0.2 * counts[rarest]))
    ordered = {label: counts[label] for label in labels}
    if len(labels) > 2:
        return Task("multiclass", f"{len(labels)} classes", folds, ordered, typed=seen != "multiclass")
    positive, why = _choose_positive(ordered)
    return Task("binary", "two classes", folds, ordered, positive, why)


def _check_target(name: str, target: pd.Series) -> None:
    first = target.iloc[0]
    if target.dtype.kind in "mMc" or not (target.dtype.kind in "iufb" or isinstance(first, str | int | float | bool)):
        kind = type(first).__name__
        raise DataError(f"--target: '{name}' holds values of type {kind}; make them text, numbers or booleans")
    if (target == first).all():
        raise DataError(f"--target: '{name}' holds only {_plain(first)!r}; there is nothing to learn from one class")
    if target.dtype.kind == "f" and target.isin([math.inf, -math.inf]).any():
        raise DataError(f"--target: '{name}' holds infinite numbers; remove these rows")


def _regression(name: str, target: pd.Series, *, typed: bool) -> Task:
    rows, distinct = len(target), int(target.nunique())
    if rows < _FEWEST_NUMBERS:
        raise DataError(f"--data: {rows} rows are too few to learn '{name}' from; {_FEWEST_NUMBERS} are the least")
    reason = "--task" if typed else f"{distinct:,} different numbers"
    return Task("regression", reason, _FOLDS if rows >= _FEW_NUMBERS else 2, typed=typed)


def _choose_positive(counts: Mapping[Any, int]) -> tuple[Any, str]:
    """Return the positive one of two labels, and why."""
    lesser, greater = counts
    if not isinstance(greater, str):
        return _plain(greater), "the greater of the two"
    affirmative = [label for label in counts if str(label).strip().lower() in _AFFIRMATIVE]
    if len(affirmative) == 1:
        return affirmative[0], "it is the affirmative one"
    if counts[lesser] != counts[greater]:
        return min(counts, key=lambda label: counts[label]), "the rarer of the two"
    return greater, "the greater of the two"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
