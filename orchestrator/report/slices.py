"""Scores of the hold-out rows by groups: by the values of a column, or by its quartiles."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning

from orchestrator.artifacts import Split
from orchestrator.modeling.weights import score_params
from orchestrator.report.columns import shorten
from orchestrator.report.inspection import Group, GroupScore, Slices
from orchestrator.reporting.scores import score_intervals
from orchestrator.uncertainty.recorded import RecordedEstimator

GROUPS = 12  # of a column that are shown, the largest ones
VALUES = 8  # distinct numbers of a column, above which it is cut at its quartiles
MISSING = "(missing)"

Scorers = Mapping[str, Callable[..., Any]]


def slices_of(
    columns: Sequence[str], model: RecordedEstimator, split: Split, scorers: Scorers, own: Collection[str], seed: int
) -> Sequence[Slices]:
    """Return the scores of the hold-out rows by groups of each column, the largest groups first, with their intervals.

    ``model`` has the predictions of these rows; ``own`` are the names of a user's scorers.
    """
    return tuple(_slices(split.X_test[name], split.X_train[name], model, split, scorers, own, seed) for name in columns)


def _slices(
    values: pd.Series,
    training: pd.Series,
    model: RecordedEstimator,
    split: Split,
    scorers: Scorers,
    own: Collection[str],
    seed: int,
) -> Slices:
    groups, by = _groups(values, training)
    if by == "values":
        sizes = sorted(groups, key=lambda label: -len(groups[label]))
        groups = {label: groups[label] for label in sizes}
    shown = [*groups.items()][:GROUPS]
    found = [Group(shorten(label), len(rows), _scores(model, split, rows, scorers, own, seed)) for label, rows in shown]
    return Slices(str(values.name), by, found, len(groups) - len(shown))


def _groups(values: pd.Series, training: pd.Series) -> tuple[dict[str, Any], str]:
    """Return the positions of the rows of each group by its label, and what the groups are."""
    missing = values.isna().to_numpy()
    every = pd.concat([training, values], ignore_index=True)
    measured = pd.api.types.is_numeric_dtype(every) or pd.api.types.is_datetime64_any_dtype(every)
    if measured and not pd.api.types.is_bool_dtype(every) and every.nunique() > VALUES:
        edges = every.dropna().quantile([0, 0.25, 0.5, 0.75, 1]).drop_duplicates().tolist()
        order, by = _ranges(edges), "quartiles"
        names = pd.cut(values, edges, include_lowest=True, labels=order).astype(str).to_numpy()
    else:
        names, by = values.astype(str).to_numpy(), "values"
        order = sorted(set(names[~missing]))
    present = np.flatnonzero(~missing)
    found = pd.Series(present).groupby(names[present]).indices
    groups = {label: present[found[label]] for label in order if label in found}
    without = MISSING
    while without in groups:  # a value may be written so
        without = f"({without})"
    groups[without] = np.flatnonzero(missing)
    return {label: rows for label, rows in groups.items() if len(rows)}, by


def _ranges(edges: Sequence[Any]) -> list[str]:
    """Return the labels of the ranges between edges, with as many digits as make them differ."""
    for digits in (4, 7, 12, 17):
        shown = [str(edge) if isinstance(edge, pd.Timestamp) else f"{edge:,.{digits}g}" for edge in edges]
        if len(set(shown)) == len(shown):
            break
    inner = [f"above {low}, up to {high}" for low, high in itertools.pairwise(shown)]
    return [f"up to {shown[1]}", *inner[1:-1], f"above {shown[-2]}"] if len(shown) > 2 else [f"up to {shown[-1]}"]


def _scores(
    model: RecordedEstimator, split: Split, rows: Any, scorers: Scorers, own: Collection[str], seed: int
) -> Mapping[str, GroupScore]:
    """Return each metric of some rows with its interval; None if it cannot be computed, as where a class is absent."""
    X = model.take(rows)  # the very rows that the model answers for
    part = _part(split, X, rows)
    values = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as of a label that is never predicted
        if split.classes is not None and len(split.classes) == 2:
            warnings.simplefilter(
                "error", UndefinedMetricWarning
            )  # as of a recall without positive rows, which it calls 0
        for name, score in scorers.items():
            try:
                values[name] = float(score(model, X, part.y_test, **score_params(part.weights)))
            except Exception:  # noqa: BLE001 - a foreign scorer may raise anything
                values[name] = math.nan
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    known = {name: scorers[name] for name in finite}
    intervals = score_intervals(model, part, known, finite, own=own, seed=seed) if known else {}
    bounds = {name: (interval.low, interval.high) for name, interval in intervals.items()}
    return {name: GroupScore(finite.get(name), *bounds.get(name, (None, None))) for name in scorers}


def _part(split: Split, X: Any, rows: Any) -> Split:
    """Return the split with some of its hold-out rows, ``X``."""
    weights = split.weights and replace(split.weights, test=split.weights.test.iloc[rows])
    design = split.design
    if design is not None and design.groups is not None:
        design = replace(design, groups=np.asarray(design.groups)[rows])
    return replace(split, X_test=X, y_test=split.y_test.iloc[rows], weights=weights, design=design)
