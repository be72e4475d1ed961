"""Scores of the hold-out rows by groups: by the values of a column, or by its quartiles."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.artifacts import Split
from orchestrator.report.columns import shorten
from orchestrator.report.inspection import Group, GroupScore, Slices

GROUPS = 12  # of a column that are shown, the largest ones
VALUES = 8  # distinct numbers of a column, above which it is cut at its quartiles
MISSING = "(missing)"

Scorers = Mapping[str, Callable[..., Any]]
IntervalOf = Callable[[str, Any], Any]  # of a metric on rows (positions); an object with ``low`` and ``high``, or None


def slices_of(
    columns: Sequence[str], model: Any, X: Any, y: Any, split: Split, scorers: Scorers, interval_of: IntervalOf
) -> Sequence[Slices]:
    """Return the scores of the hold-out rows ``X``, ``y`` by groups of each column, the largest groups first."""
    weights = None if split.weights is None else split.weights.test.to_numpy()
    return tuple(_slices(X[name], split.X_train[name], model, X, y, weights, scorers, interval_of) for name in columns)


def _slices(
    values: pd.Series,
    training: pd.Series,
    model: Any,
    X: Any,
    y: Any,
    weights: Any,
    scorers: Scorers,
    interval_of: IntervalOf,
) -> Slices:
    groups, by = _groups(values, training)
    if by == "values":
        sizes = sorted(groups, key=lambda label: -len(groups[label]))
        groups = {label: groups[label] for label in sizes}
    shown = [*groups.items()][:GROUPS]
    found = [
        Group(
            label,
            len(rows),
            {name: _score(name, scorer, model, X, y, weights, rows, interval_of) for name, scorer in scorers.items()},
        )
        for label, rows in shown
    ]
    return Slices(str(values.name), by, found, len(groups) - len(shown))


def _groups(values: pd.Series, training: pd.Series) -> tuple[dict[str, Any], str]:
    """Return the positions of the rows of each group by its label, and what the groups are."""
    missing = values.isna().to_numpy()
    every = pd.concat([training, values], ignore_index=True)
    measured = pd.api.types.is_numeric_dtype(every) or pd.api.types.is_datetime64_any_dtype(every)
    if measured and not pd.api.types.is_bool_dtype(every) and every.nunique() > VALUES:
        edges = every.dropna().quantile([0, 0.25, 0.5, 0.75, 1]).drop_duplicates()
        cut = pd.cut(values, edges.tolist(), include_lowest=True, labels=_ranges(edges.tolist()))
        names, by = cut.astype(str).to_numpy(), "quartiles"
        order = _ranges(edges.tolist())
    else:
        names, by = values.astype(str).map(shorten).to_numpy(), "values"
        order = sorted(set(names[~missing]))
    groups = {label: np.flatnonzero((names == label) & ~missing) for label in order}
    groups[MISSING] = np.flatnonzero(missing)
    return {label: rows for label, rows in groups.items() if len(rows)}, by


def _ranges(edges: Sequence[Any]) -> list[str]:
    shown = [str(edge.date()) if isinstance(edge, pd.Timestamp) else f"{edge:,.4g}" for edge in edges]
    inner = [f"above {low}, up to {high}" for low, high in itertools.pairwise(shown)]
    return [f"up to {shown[1]}", *inner[1:-1], f"above {shown[-2]}"] if len(shown) > 2 else [f"up to {shown[-1]}"]


def _score(
    name: str, scorer: Any, model: Any, X: Any, y: Any, weights: Any, rows: Any, interval_of: IntervalOf
) -> GroupScore:
    """Return the metric of some rows with its interval; None if it cannot be computed, as where a class is absent."""
    options = {} if weights is None else {"sample_weight": weights[rows]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = float(scorer(model, X.iloc[rows], y.iloc[rows], **options))
    except Exception:  # noqa: BLE001 - a foreign scorer may raise anything
        return GroupScore(None)
    if not math.isfinite(value):
        return GroupScore(None)
    found = interval_of(name, rows)
    return GroupScore(value) if found is None else GroupScore(value, found.low, found.high)
