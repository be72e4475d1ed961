"""Rows that a twin is most likely to answer differently: missing, zero, extreme, beside the thresholds of trees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from orchestrator.compiling.trees import trees_of
from score.body import Reader
from score.contract import Column, Contract
from score.values import rule_for

BASES = 3  # rows that each edge value is tried in
MAX_SPLITS = 20_000  # of larger models as many are drawn
Row = dict[str, Any]


def edge_rows(contract: Contract, bases: list[Row]) -> list[Row]:
    """Each base row with each edge value of each column, and rows where all columns are at an edge."""
    edges = {column.name: list(_edges(column)) for column in contract.columns}
    rows = [row | {name: value} for row in bases[:BASES] for name, values in edges.items() for value in values]
    deepest = max(map(len, edges.values()), default=0)
    return rows + [{name: values[depth % len(values)] for name, values in edges.items()} for depth in range(deepest)]


def _edges(column: Column) -> Iterator[Any]:
    """What the contract lets in, of what may be special."""
    rule = rule_for(column)
    tried: list[Any] = [None, *(column.categories or ()), column.example, column.minimum, column.maximum]
    tried += [0, 1, -1, True, False, "", "unseen text"]
    if column.kind == "integer":
        limits = np.iinfo(column.dtype.lower())
        tried += [int(limits.min), int(limits.max)]
    elif column.kind == "number":
        single, double = np.finfo("float32"), np.finfo("float64")
        large = [float(single.max), float(double.max)]
        tried += [-0.0, *(sign * value for sign in (1, -1) for value in (float(single.tiny), 5e-324, *large))]
    for value in tried:
        try:
            rule.convert(value)
        except ValueError:
            continue
        yield value


def split_rows(pipeline: Any, contract: Contract, rows: list[Row]) -> tuple[list[Row], int]:
    """Rows one ulp beside the thresholds of a pipeline's trees, and the number of thresholds.

    Each is a given row that comes through the threshold's node, with one value changed so that the comparison there
    just turns round: in the type that the trees compare in, and in float64.
    """
    trees, dtype = trees_of(pipeline.steps[-1][1])
    if not trees or not rows:
        return [], 0
    walk = _Walk(pipeline, contract, rows)
    splits = walk.splits(trees, dtype)
    if len(splits) > MAX_SPLITS:
        splits = splits[np.random.default_rng(0).choice(len(splits), MAX_SPLITS, replace=False)]
    found: list[Row] = []
    for kind in {dtype, np.float64}:
        found += walk.beside(splits, kind)
    return found, len(splits)


_SPLIT = np.dtype([("row", np.int64), ("feature", np.int64), ("threshold", np.float64)])


class _Walk:
    """From the rows of requests to the features that the trees see, and back."""

    def __init__(self, pipeline: Any, contract: Contract, rows: list[Row]) -> None:
        self._before, self._reader, self._rows = pipeline[:-1], Reader(contract), rows
        numbers = [c for c in contract.columns if c.kind in ("number", "integer") and c.maximum is not None]
        self._numbers = {column.name: column for column in numbers}
        self._limits = {column.name: rule_for(column) for column in numbers}
        self._sources = self._found_sources()

    def _features(self, rows: list[Row]) -> Any:
        frame = self._reader.frame({name: [row[name] for row in rows] for name in rows[0]})
        table: Any = self._before.transform(frame) if len(self._before) else frame
        return np.asarray(table.toarray() if hasattr(table, "toarray") else table, dtype=np.float64)

    def _found_sources(self) -> dict[int, tuple[str, float, float]]:
        """For each feature that is a straight line of one column: the column, the slope, and the height at 0."""
        found: dict[int, tuple[str, float, float]] = {}
        for name, column in self._numbers.items():
            high, low = float(column.maximum or 0), float(column.minimum or 0)
            points = [high, high - (high - low) / 4] if high > low else [high, high + 1]
            if column.kind == "integer":
                points = [high, min(np.floor(points[1]), high - 1)]
            given = [int(point) if column.kind == "integer" else point for point in points]
            at = self._features([self._rows[0] | {name: value} for value in given])
            slopes = (at[0] - at[1]) / (points[0] - points[1])
            for feature in np.flatnonzero(np.isfinite(slopes) & (slopes != 0)):
                slope = float(slopes[feature])
                found[int(feature)] = (name, slope, float(at[0][feature]) - slope * points[0])
        return found

    def splits(self, trees: list[Any], dtype: type[Any]) -> Any:
        """The distinct thresholds on features with a source, each with a row that comes through (n_splits,)."""
        table = self._features(self._rows).astype(dtype).astype(np.float64)
        parts = [np.empty(0, _SPLIT)]
        for tree in trees:
            reached = tree.reached(table)
            chosen = (tree.left != -1) & (reached != -1) & np.isin(tree.feature, list(self._sources))
            part = np.empty(int(chosen.sum()), _SPLIT)
            part["row"], part["feature"], part["threshold"] = (
                reached[chosen],
                tree.feature[chosen],
                tree.threshold[chosen],
            )
            parts.append(part)
        return np.unique(np.concatenate(parts))

    def beside(self, splits: Any, dtype: type[Any]) -> list[Row]:
        """Rows on both sides of where ``dtype(feature) <= threshold`` turns round."""
        names = [self._sources[int(feature)][0] for feature in splits["feature"]]
        slope, height = np.array([self._sources[int(feature)][1:] for feature in splits["feature"]]).reshape(-1, 2).T
        guess = (splits["threshold"] - height) / slope
        reach = np.maximum(np.abs(guess), np.abs(height / slope)) * (2.0**-22 if dtype is np.float32 else 2.0**-40)
        low, high = guess - reach, guess + reach
        whole = np.array([self._numbers[name].kind == "integer" for name in names], dtype=bool)
        low[whole], high[whole] = np.floor(guess[whole]), np.floor(guess[whole]) + 1
        base = [self._rows[row] for row in splits["row"]]
        at = np.arange(len(splits))

        def turned(values: Any) -> Any:
            rows = [
                row | {name: self._value(name, value)} for row, name, value in zip(base, names, values, strict=True)
            ]
            features = self._features(rows)[at, splits["feature"]].astype(dtype).astype(np.float64)
            return (features <= splits["threshold"]) == (slope > 0)

        while True:
            middle = low + (high - low) / 2
            open_still = ~whole & (low < middle) & (middle < high)
            if not open_still.any():
                break
            left = turned(middle)
            low, high = np.where(open_still & left, middle, low), np.where(open_still & ~left, middle, high)
        return [row for side in (low, high) for row in self._neighbours(base, names, side, whole)]

    def _neighbours(self, base: list[Row], names: list[str], values: Any, whole: Any) -> Iterator[Row]:
        narrow = values.astype(np.float32)
        steps = [np.nextafter(values, -np.inf), values, np.nextafter(values, np.inf)]
        steps += [np.nextafter(narrow, np.float32(side)).astype(np.float64) for side in (-np.inf, np.inf)]
        for index, step in enumerate(steps):
            for row, name, value, is_whole in zip(base, names, step, whole, strict=True):
                if not is_whole or index == 1:  # whole numbers have their neighbours already
                    changed = self._value(name, value)
                    if self._limits[name].plain([changed]):
                        yield row | {name: changed}

    def _value(self, name: str, value: float) -> Any:
        return int(value) if self._numbers[name].kind == "integer" else float(value)
