"""Permutation importance in the table's own columns, on the hold-out rows, at a bounded cost.

L. Breiman (2001), Random forests, Machine Learning 45. The numbers are those of scikit-learn's
:func:`sklearn.inspection.permutation_importance`, which predicts the rows of each shuffle by themselves: here many
shuffles are predicted at once, in a fifth of the time for a small table.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from sklearn.utils import check_random_state

from orchestrator.artifacts import Split
from orchestrator.errors import one_line
from orchestrator.report.inspection import ColumnEffect, Importance
from orchestrator.report.predictions import class_scores
from orchestrator.search.fast_scoring import speed_up
from orchestrator.uncertainty.interval import LEVEL
from orchestrator.uncertainty.recorded import RecordedEstimator

ROWS, FEWEST = 1000, 150  # of the hold-out rows; of more a sample, of a wide table a smaller one
COLUMNS = 40  # that are shuffled; of more those that go along with the predictions most
REPEATS, LEAST = 10, 4  # shuffles of a column, and of each of many columns
SCORES = 160  # that are computed, at most
CELLS, AT_ONCE = 30_000_000, 2_000_000  # of the table that are predicted in all, and at once


def importance_of(pipeline: Any, split: Split, metric: str, scorer: Any, seed: int) -> Importance:
    """Return what the scorer loses on hold-out rows when one column is shuffled, for each column, largest first.

    At most ``SCORES`` scores of ``ROWS`` rows are computed, whatever the table's size; the same ``seed`` shuffles alike.
    """
    width = split.X_test.shape[1]
    shuffled = min(width, COLUMNS)
    repeats = max(LEAST, min(REPEATS, SCORES // shuffled))
    most = max(FEWEST, min(ROWS, CELLS // (width * shuffled * repeats)))
    rows = np.arange(len(split.y_test))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    X, y = split.X_test.iloc[rows].reset_index(drop=True), split.y_test.iloc[rows].reset_index(drop=True)
    weights = None if split.weights is None else split.weights.test.to_numpy()[rows]
    options = {} if weights is None else {"sample_weight": weights}
    columns = [*X.columns] if width == shuffled else _leading(pipeline, X, len(split.classes or ()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # evaluate has said them of the rows as they are
            losses = loss_of_shuffles(pipeline, X, y, columns, scorer, repeats, seed, options)
    except Exception as error:  # noqa: BLE001 - a foreign scorer may raise anything; the report says so
        return Importance(metric, len(rows), repeats, width, note=f"not computed: {one_line(error)}")
    effects = [_effect(str(name), each) for name, each in losses.items() if np.isfinite(each).all()]
    if not effects:
        return Importance(metric, len(rows), repeats, width, note=f"not computed: {metric} of these rows is no number")
    effects.sort(key=lambda effect: -effect.mean)
    return Importance(metric, len(rows), repeats, width, effects)


def loss_of_shuffles(
    pipeline: Any,
    X: pd.DataFrame,
    y: pd.Series,
    columns: Sequence[Any],
    scorer: Any,
    repeats: int,
    seed: int,
    options: Mapping[str, Any],
) -> Mapping[Any, Any]:
    """Return what the scorer loses in each shuffle (repeats,) of each column, as scikit-learn shuffles them."""
    fast = speed_up(scorer)
    target: Any = y if fast is scorer else y.to_numpy()
    whole = float(fast(pipeline, X, target, **options))
    copies = list(_shuffles(len(X), columns, repeats, seed))
    losses: dict[Any, list[float]] = {name: [] for name in columns}
    at_once = max(1, AT_ONCE // X.size)
    for start in range(0, len(copies), at_once):
        batch = copies[start : start + at_once]
        stacked = pd.concat([X] * len(batch), ignore_index=True)
        for name in {name for name, _ in batch}:
            places = np.concatenate([order if each == name else np.arange(len(X)) for each, order in batch])
            stacked[name] = X[name].take(places).set_axis(stacked.index)
        model = RecordedEstimator(pipeline, stacked)
        for at, (name, _) in enumerate(batch):
            part = model.take(np.arange(at * len(X), (at + 1) * len(X)))
            losses[name].append(whole - float(fast(model, part, target, **options)))
    return {name: np.array(each) for name, each in losses.items()}


def _shuffles(rows: int, columns: Sequence[Any], repeats: int, seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield each column with an order of the rows: one shuffle after the other, the same for all columns."""
    common = check_random_state(seed).randint(np.iinfo(np.int32).max + 1)
    for name in columns:
        random, shuffle, order = check_random_state(common), np.arange(rows), np.arange(rows)
        for _ in range(repeats):
            random.shuffle(shuffle)
            order = order[shuffle]
            yield name, order


def _effect(column: str, losses: Any) -> ColumnEffect:
    mean, error = float(losses.mean()), float(losses.std(ddof=1)) / len(losses) ** 0.5
    half = float(stdtrit(len(losses) - 1, (1 + LEVEL) / 2)) * error
    return ColumnEffect(column, mean, mean - half, mean + half)


def _leading(pipeline: Any, X: pd.DataFrame, classes: int) -> list[Any]:
    """Return the columns that go along with the predictions most, in the table's order.

    Of numbers by the correlation of ranks, of others by the share of variance between their values.
    """
    scores = class_scores(pipeline, X, classes) if classes else None
    predicted = np.asarray(pipeline.predict(X), dtype=float).ravel() if scores is None else scores[:, -1]
    target = pd.Series(predicted, index=X.index).rank()
    strength = {}
    for name in X.columns:
        values = X[name]
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            values = target.groupby(values.astype(str)).transform("mean")
        with np.errstate(all="ignore"):
            along = target.corr(values.rank())
        strength[name] = 0.0 if np.isnan(along) else abs(along)
    leading = {*sorted(strength, key=lambda name: -strength[name])[:COLUMNS]}
    return [name for name in X.columns if name in leading]
