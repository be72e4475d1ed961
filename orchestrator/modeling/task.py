"""See the task in the target: two classes, several classes, or a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.spec.by_task import Task

if TYPE_CHECKING:
    import pandas as pd

FEWEST_OF_A_NUMBER = 10  # rows of each value, for whole numbers to be classes
MOST_NUMBERED = 20  # classes that are written as numbers
_LISTED = 8  # labels in a sentence


@dataclass(frozen=True)
class SeenTask:
    """The task of a target; ``said`` describes its values, and ``other`` is a task that would suit them, too.

    ``counts`` are the rows of each class in the order of the labels, or the number of rows.
    """

    task: Task
    said: str
    other: Task | None = None
    counts: tuple[int, ...] = ()


def see_task(target: pd.Series) -> SeenTask:
    """Return the task of a target (n_rows,) without missing values.

    Numbers are classes if they are whole and two, or at most :data:`MOST_NUMBERED` of which each has
    :data:`FEWEST_OF_A_NUMBER` rows; everything else that is no number is a class.
    """
    try:
        counts: dict[Any, int] = target.value_counts().to_dict()
    except TypeError:  # lists and mappings are not hashable, and no labels
        return SeenTask("multiclass", f"values of type {type(target.iloc[0]).__name__}")
    whole = target.dtype.kind in "iu" or (target.dtype.kind == "f" and bool((target % 1 == 0).all()))
    if target.dtype.kind in "iuf" and not (whole and are_classes(counts)):
        ends = [_format(end) for end in (target.min(), target.max())]
        text = f"{len(counts):,} different numbers from {ends[0]} to {ends[1]}"
        return SeenTask(
            "regression", text, "multiclass" if whole and len(counts) <= MOST_NUMBERED else None, (len(target),)
        )
    several = len(counts) > 2
    ordered = counts if _mixed(counts) else {label: counts[label] for label in sorted(counts)}
    listed = ", ".join(f"{_format(label)} {count:,}" for label, count in [*ordered.items()][:_LISTED])
    more = f", and {len(counts) - _LISTED} more" if len(counts) > _LISTED else ""
    text = f"{len(counts)} class{'es' if len(counts) != 1 else ''} ({listed}{more})"
    number = several and target.dtype.kind in "iuf"
    task: Task = "multiclass" if several else "binary"
    return SeenTask(task, text, "regression" if number else None, tuple(ordered.values()))


def are_classes(counts: Mapping[Any, int]) -> bool:
    """Return whether whole numbers are labels: two, or a few of which each is often enough."""
    return len(counts) == 2 or (len(counts) <= MOST_NUMBERED and min(counts.values()) >= FEWEST_OF_A_NUMBER)


def _mixed(labels: Mapping[Any, int]) -> bool:
    return len({isinstance(label, str) for label in labels}) > 1


def _format(value: Any) -> str:
    """Format a label or a number without its type."""
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and plain.is_integer() and abs(plain) < 1e15:
        plain = int(plain)
    return f"{plain:,}" if isinstance(plain, int) and not isinstance(plain, bool) else str(plain)
