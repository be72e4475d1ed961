"""Rows that a compiled model is most likely to answer differently: missing, zero, extreme, next to tree thresholds.

Their number is bounded by their cells: of a wide table a sample is tried, the same one each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from orchestrator.packaging.onnx.category_splits import CategorySplits
from orchestrator.packaging.onnx.comparison_rows import Rows
from orchestrator.packaging.onnx.nested_parts import members_of
from orchestrator.packaging.onnx.trees import category_splits, extract_trees
from score.contract import dates
from score.contract.columns import rule_for
from score.contract.dates import is_aware
from score.contract.schema import Column, Contract
from score.payload.reader import Reader

BASES = 3  # rows that each edge value is tried in
MAX_SPLITS = 20_000  # of larger models a sample of this size is drawn
_DATES = [  # ends of the range, of days, years and centuries, leap days, and the days from which time is counted
    *("0001-01-01T00:00:00", "9999-12-31T23:59:59", "1969-12-31T23:59:59.999999", "1970-01-01T00:00:00"),
    *("1900-02-28T23:59:59", "1900-03-01T00:00:00", "1999-12-31T23:59:59", "2000-01-01T00:00:00"),
    *("2000-02-29T12:00:00", "2023-12-31T23:59:59.999999", "2024-02-29T00:00:00", "2024-03-01T01:00:00"),
]
CELLS = 5_000_000  # of edge rows, and of all rows that are transformed to find those next to thresholds
STEPS = 30  # of the bisection for a value next to a threshold


def edge_rows(contract: Contract, bases: Rows) -> list[Rows]:
    """Return some rows with each edge value of each column, and rows where every column has an edge value."""
    if not len(bases):
        return []
    width = len(contract.columns)
    edges = [list(_edges(column)) for column in contract.columns]
    most, count = max(1, CELLS // width), min(BASES, len(bases))
    rng = np.random.default_rng(0)
    if count * sum(map(len, edges)) > most:
        count = max(1, min(count, most // (4 * width)))
        share = max(1, most // (count * width))
        edges = [
            values if len(values) <= share else [values[place] for place in rng.permutation(len(values))[:share]]
            for values in edges
        ]
    changes = [(base, place, value) for base in range(count) for place, values in enumerate(edges) for value in values]
    if len(changes) > most:
        changes = [changes[index] for index in np.sort(rng.permutation(len(changes))[:most])]
    at, places, values = zip(*changes, strict=True)
    length = min(max(map(len, edges)), most)
    rules = {column.name: rule_for(column) for column in contract.columns}
    all_edges = {
        name: [values[row % len(values)] for row in range(length)] for name, values in zip(rules, edges, strict=True)
    }
    return [bases.changed(np.array(at), places, values), Rows.of(all_edges, rules)]


def _edges(column: Column) -> Iterator[Any]:
    """Yield the special values that the contract accepts in a column."""
    rule = rule_for(column)
    levels = list(column.categories or ())
    candidates: list[Any] = [None, *levels, column.example, column.minimum, column.maximum]
    candidates += [0, 1, -1, True, False, "", "unseen text"]
    candidates += [level + 1 for level in levels[-1:] if type(level) in (int, float)]
    if column.kind == "integer":
        limits = np.iinfo(column.dtype.lower())
        candidates += [int(limits.min), int(limits.max)]
    elif column.kind == "datetime":
        candidates += [f"{text}{'Z' * is_aware(column.dtype)}" for text in _DATES]
    elif column.kind == "number":
        single, double = np.finfo("float32"), np.finfo("float64")
        large = [float(single.max), float(double.max)]
        candidates += [-0.0, *(sign * value for sign in (1, -1) for value in (float(single.tiny), 5e-324, *large))]
    for value in candidates:
        with suppress(ValueError):
            yield rule.coerce(value)


def split_rows(pipeline: Any, contract: Contract, rows: Rows) -> tuple[list[Rows], int]:
    """Return rows within one ulp of the thresholds of a pipeline's trees, and the number of thresholds.

    Each is a row that passes through the threshold's node, with one value changed so that the comparison there just
    flips: in the dtype that the trees compare in, and in float64. Trees inside of another estimator count, too.
    """
    models = [*_final_models(pipeline)]
    found = [_split_rows(each, contract, rows, MAX_SPLITS // len(models)) for each in models]
    return [near for part, _ in found for near in part], sum(count for _, count in found)


def _final_models(pipeline: Any) -> Iterator[Any]:
    """Yield pipelines of fitted steps that end with an estimator which holds no other one."""
    last = pipeline.steps[-1][1]
    if hasattr(last, "steps"):
        steps = [step for step in last.steps if not hasattr(step[1], "fit_resample")]  # which act in fit alone
        yield from _final_models(Pipeline([*pipeline.steps[:-1], *((f"inner_{name}", step) for name, step in steps)]))
    elif members := members_of(last):
        for member in members:
            yield from _final_models(Pipeline([*pipeline.steps[:-1], ("member", member)]))
    else:
        yield pipeline


def _split_rows(pipeline: Any, contract: Contract, rows: Rows, largest: int) -> tuple[list[Rows], int]:
    trees, dtype = extract_trees(pipeline.steps[-1][1])
    if not trees or not len(rows):
        return [], 0
    search = _ThresholdSearch(pipeline, contract, rows, category_splits(pipeline.steps[-1][1]))
    splits = search.splits(trees, dtype)
    most = min(largest, max(1, CELLS // (STEPS * search.width)))
    if len(splits) > most:
        splits = splits[np.sort(np.random.default_rng(0).choice(len(splits), most, replace=False))]
    if not len(splits):
        return [], 0
    return [search.rows_near(splits, narrow=dtype is np.float32)], len(splits)


_SPLIT = np.dtype([("row", np.int64), ("feature", np.int64), ("threshold", np.float64)])


class _ThresholdSearch:
    """Maps rows of requests to the features that the trees compare, and thresholds back to values of columns."""

    def __init__(self, pipeline: Any, contract: Contract, rows: Rows, categories: CategorySplits | None) -> None:
        self._before, self._reader, self._rows = pipeline[:-1], Reader(contract), rows
        self._categories = categories
        self._numbers = {
            place: column
            for place, column in enumerate(contract.columns)
            if column.kind in ("number", "integer", "datetime") and column.maximum is not None
        }
        self._rules = {place: rule_for(column) for place, column in self._numbers.items()}
        self.width = max(len(contract.columns), self._transform(rows.take([0])).shape[1])
        self._sources = self._find_sources()

    def _transform(self, rows: Rows) -> Any:
        frame = self._reader.frame(rows.columns())
        table: Any = self._before.transform(frame) if len(self._before) else frame
        features = np.asarray(table.toarray() if hasattr(table, "toarray") else table, dtype=np.float64)
        return self._categories.extend(features) if self._categories else features

    def _find_sources(self) -> dict[int, tuple[int, float, float]]:
        """Return for each feature that is linear in one column: the column's position, the slope and the intercept.

        Of very many columns only a sample is tried.
        """
        sources: dict[int, tuple[int, float, float]] = {}
        places = np.array(list(self._numbers), dtype=np.int64)
        most = max(1, CELLS // (2 * self.width))
        if len(places) > most:
            places = np.sort(np.random.default_rng(0).choice(places, most, replace=False))
        points = [point for place in places.tolist() for point in self._points(self._numbers[place])]
        rows = self._rows.changed(np.zeros(len(points), np.int64), np.repeat(places, 2), points)
        for part in rows.parts(self.width):
            features = self._transform(rows.take(part))
            inputs = np.array(points[part], dtype=np.float64)[:, None]
            slopes = (features[::2] - features[1::2]) / (inputs[::2] - inputs[1::2])
            for pair, feature in np.argwhere(np.isfinite(slopes) & (slopes != 0)).tolist():
                slope = float(slopes[pair, feature])
                intercept = float(features[2 * pair, feature]) - slope * float(inputs[2 * pair, 0])
                sources[feature] = (int(places[part.start // 2 + pair]), slope, intercept)
        return sources

    def _points(self, column: Column) -> list[Any]:
        """Return two values of a column, between which the slope of a feature is measured."""
        if column.kind == "datetime":
            return self._two_dates(column)
        high, low = float(column.maximum or 0), float(column.minimum or 0)
        points = [high, high - (high - low) / 4] if high > low else [high, high + 1]
        if column.kind == "integer":
            points = [high, min(np.floor(points[1]), high - 1)]
        return [int(point) if column.kind == "integer" else point for point in points]

    @staticmethod
    def _two_dates(column: Column) -> list[Any]:
        """Return the seconds of two times in one month, on the same day of the week: only what counts days differs."""
        rule, aware = rule_for(column), is_aware(column.dtype)
        first = dates.write(rule.coerce(column.maximum), aware=aware)[:8] + "01T12:00:00" + "Z" * aware
        return [rule.coerce(first) + days * 86400.0 for days in (21, 0)]

    def splits(self, trees: list[Any], dtype: type[Any]) -> Any:
        """Return the distinct thresholds on features with a source (n_splits,), each with a row that passes through."""
        parts = [np.empty(0, _SPLIT)]
        most = max(1, CELLS // self.width)
        sampled = np.arange(len(self._rows))[:: max(1, -(-len(self._rows) // most))]
        sample = self._rows.take(sampled)
        rows_by_node: list[Any] = [np.full(len(tree.left), -1) for tree in trees]
        for part in sample.parts(self.width):
            table = self._transform(sample.take(part)).astype(dtype).astype(np.float64)
            for rows, tree in zip(rows_by_node, trees, strict=True):
                new = tree.rows_by_node(table)
                rows[new != -1] = sampled[part][new[new != -1]]
        for tree, rows in zip(trees, rows_by_node, strict=True):
            nodes = (tree.left != -1) & (rows != -1) & np.isin(tree.feature, list(self._sources))
            splits = np.empty(int(nodes.sum()), _SPLIT)
            for name, values in (("row", rows), ("feature", tree.feature), ("threshold", tree.threshold)):
                splits[name] = values[nodes]
            parts.append(splits)
        return np.unique(np.concatenate(parts))

    def rows_near(self, splits: Any, *, narrow: bool) -> Rows:
        """Return rows on both sides of where ``feature <= threshold`` flips, found by bisection.

        The feature is compared in float64, and if ``narrow`` also as float32.
        """
        rounded = np.repeat([False, True] if narrow else [False], len(splits))
        splits = np.tile(splits, 1 + narrow)
        sources = [self._sources[int(feature)] for feature in splits["feature"]]
        places = np.array([place for place, _, _ in sources])
        slope, intercept = np.array([source[1:] for source in sources]).T
        guess = (splits["threshold"] - intercept) / slope
        reach = np.maximum(np.abs(guess), np.abs(intercept / slope)) * np.where(rounded, 2.0**-22, 2.0**-40)
        is_date = np.array([self._numbers[place].kind == "datetime" for place in places.tolist()], dtype=bool)
        reach = np.maximum(reach, np.where(is_date, 2.0, 0.0))  # parts of dates change with the second
        low, high = guess - reach, guess + reach
        whole = np.array([self._numbers[place].kind == "integer" for place in places.tolist()], dtype=bool)
        low[whole], high[whole] = np.floor(guess[whole]), np.floor(guess[whole]) + 1

        def is_below(values: Any) -> Any:
            rows = self._rows.changed(splits["row"], places, self._values(places, values))
            compared = np.empty(len(rows))
            for part in rows.parts(self.width):
                features = self._transform(rows.take(part))
                compared[part] = features[np.arange(len(features)), splits["feature"][part]]
            compared[rounded] = compared[rounded].astype(np.float32)
            return (compared <= splits["threshold"]) == (slope > 0)

        while True:
            middle = low + (high - low) / 2
            unfinished = ~whole & (low < middle) & (middle < high)
            if not unfinished.any():
                break
            below = is_below(middle)
            low, high = np.where(unfinished & below, middle, low), np.where(unfinished & ~below, middle, high)
        changes = [
            (row, place, value)
            for side in (low, high)
            for changed in self._neighbours(places, side)
            for row, place, value in zip(splits["row"].tolist(), places.tolist(), changed, strict=True)
            if value is not None and self._is_valid(place, value)
        ]
        rows, changed_places, values = zip(*changes, strict=True) if changes else ((), (), ())
        return self._rows.changed(np.array(rows, dtype=np.int64), changed_places, values)

    def _is_valid(self, place: int, value: Any) -> bool:
        if self._numbers[place].kind == "datetime":
            return bool(dates.FIRST <= value <= dates.LAST)
        return self._rules[place].all_valid([value])

    def _neighbours(self, places: Any, values: Any) -> Iterator[list[Any]]:
        """Yield the values, and those one ulp to either side; None for whole numbers, which need no neighbours."""
        narrow = values.astype(np.float32)
        yield self._values(places, values)
        steps = [np.nextafter(values, -np.inf), np.nextafter(values, np.inf)]
        steps += [np.nextafter(narrow, np.float32(side)).astype(np.float64) for side in (-np.inf, np.inf)]
        for step in steps:
            kinds = (self._numbers[place].kind for place in places.tolist())
            pairs = zip(kinds, step.tolist(), strict=True)
            yield [None if kind == "integer" else _as_sent(kind, value) for kind, value in pairs]

    def _values(self, places: Any, values: Any) -> list[Any]:
        kinds = (self._numbers[place].kind for place in places.tolist())
        return [_as_sent(kind, value) for kind, value in zip(kinds, values.tolist(), strict=True)]


def _as_sent(kind: str, value: float) -> Any:
    """Return a number as a request may hold it: whole, or for a date in microseconds."""
    if kind == "datetime":
        return round(value * 1e6) / 1e6
    return int(value) if kind == "integer" else value
