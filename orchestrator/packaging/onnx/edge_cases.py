"""Rows that a compiled model is most likely to answer differently: missing, zero, extreme, beside thresholds of trees.

How many there are is bounded by the cells they have: of a wide table a share is tried, the same one each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.comparison_rows import Rows
from orchestrator.packaging.onnx.trees import trees_of
from score.contract.columns import rule_for
from score.contract.schema import Column, Contract
from score.payload.reader import Reader

BASES = 3  # rows that each edge value is tried in
MAX_SPLITS = 20_000  # of larger models as many are drawn
CELLS = 5_000_000  # of edge rows, and of all rows that are looked at to find those beside thresholds
STEPS = 30  # in which a place beside a threshold is found


def edge_rows(contract: Contract, bases: Rows) -> list[Rows]:
    """Some rows with each edge value of each column, and rows where all columns are at an edge."""
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
    tried = [(base, place, value) for base in range(count) for place, values in enumerate(edges) for value in values]
    if len(tried) > most:
        tried = [tried[place] for place in np.sort(rng.permutation(len(tried))[:most])]
    at, places, values = zip(*tried, strict=True)
    deepest = min(max(map(len, edges)), most)
    rules = {column.name: rule_for(column) for column in contract.columns}
    every = {
        name: [values[row % len(values)] for row in range(deepest)] for name, values in zip(rules, edges, strict=True)
    }
    return [bases.changed(np.array(at), places, values), Rows.of(every, rules)]


def _edges(column: Column) -> Iterator[Any]:
    """What the contract lets in, of what may be special."""
    rule = rule_for(column)
    levels = list(column.categories or ())
    tried: list[Any] = [None, *levels, column.example, column.minimum, column.maximum]
    tried += [0, 1, -1, True, False, "", "unseen text"]
    tried += [level + 1 for level in levels[-1:] if type(level) in (int, float)]
    if column.kind == "integer":
        limits = np.iinfo(column.dtype.lower())
        tried += [int(limits.min), int(limits.max)]
    elif column.kind == "number":
        single, double = np.finfo("float32"), np.finfo("float64")
        large = [float(single.max), float(double.max)]
        tried += [-0.0, *(sign * value for sign in (1, -1) for value in (float(single.tiny), 5e-324, *large))]
    for value in tried:
        try:
            taken = rule.coerce(value)
        except ValueError:
            continue
        yield taken


def split_rows(pipeline: Any, contract: Contract, rows: Rows) -> tuple[list[Rows], int]:
    """Rows one ulp beside the thresholds of a pipeline's trees, and the number of thresholds.

    Each is a given row that comes through the threshold's node, with one value changed so that the comparison there
    just turns round: in the type that the trees compare in, and in float64.
    """
    trees, dtype = trees_of(pipeline.steps[-1][1])
    if not trees or not len(rows):
        return [], 0
    walk = _Walk(pipeline, contract, rows)
    splits = walk.splits(trees, dtype)
    most = min(MAX_SPLITS, max(1, CELLS // (STEPS * walk.width)))
    if len(splits) > most:
        splits = splits[np.sort(np.random.default_rng(0).choice(len(splits), most, replace=False))]
    if not len(splits):
        return [], 0
    return [walk.beside(splits, kind) for kind in {dtype, np.float64}], len(splits)


_SPLIT = np.dtype([("row", np.int64), ("feature", np.int64), ("threshold", np.float64)])


class _Walk:
    """From the rows of requests to the features that the trees see, and back."""

    def __init__(self, pipeline: Any, contract: Contract, rows: Rows) -> None:
        self._before, self._reader, self._rows = pipeline[:-1], Reader(contract), rows
        places = {
            place: column
            for place, column in enumerate(contract.columns)
            if column.kind in ("number", "integer") and column.maximum is not None
        }
        self._numbers = places
        self._limits = {place: rule_for(column) for place, column in places.items()}
        self.width = max(len(contract.columns), self._transformed(rows.take([0])).shape[1])
        self._sources = self._found_sources()

    def _transformed(self, rows: Rows) -> Any:
        frame = self._reader.frame(rows.columns())
        table: Any = self._before.transform(frame) if len(self._before) else frame
        return np.asarray(table.toarray() if hasattr(table, "toarray") else table, dtype=np.float64)

    def _found_sources(self) -> dict[int, tuple[int, float, float]]:
        """For each feature that is a straight line of one column: the column's place, the slope, and the height at 0.

        Where there are too many columns to try each, a share of them is.
        """
        found: dict[int, tuple[int, float, float]] = {}
        places = np.array(list(self._numbers), dtype=np.int64)
        most = max(1, CELLS // (2 * self.width))
        if len(places) > most:
            places = np.sort(np.random.default_rng(0).choice(places, most, replace=False))
        points = [point for place in places.tolist() for point in self._points(self._numbers[place])]
        rows = self._rows.changed(np.zeros(len(points), np.int64), np.repeat(places, 2), points)
        for part in rows.parts(self.width):
            features = self._transformed(rows.take(part))
            given = np.array(points[part], dtype=np.float64)[:, None]
            slopes = (features[::2] - features[1::2]) / (given[::2] - given[1::2])
            for pair, feature in np.argwhere(np.isfinite(slopes) & (slopes != 0)).tolist():
                slope = float(slopes[pair, feature])
                height = float(features[2 * pair, feature]) - slope * float(given[2 * pair, 0])
                found[feature] = (int(places[part.start // 2 + pair]), slope, height)
        return found

    def _points(self, column: Column) -> list[Any]:
        """Two values of a column, of which a feature shows the slope."""
        high, low = float(column.maximum or 0), float(column.minimum or 0)
        points = [high, high - (high - low) / 4] if high > low else [high, high + 1]
        if column.kind == "integer":
            points = [high, min(np.floor(points[1]), high - 1)]
        return [int(point) if column.kind == "integer" else point for point in points]

    def splits(self, trees: list[Any], dtype: type[Any]) -> Any:
        """The distinct thresholds on features with a source, each with a row that comes through (n_splits,)."""
        parts = [np.empty(0, _SPLIT)]
        most = max(1, CELLS // self.width)
        chosen_rows = np.arange(len(self._rows))[:: max(1, -(-len(self._rows) // most))]
        looked_at = self._rows.take(chosen_rows)
        reached_before: list[Any] = [np.full(len(tree.left), -1) for tree in trees]
        for part in looked_at.parts(self.width):
            table = self._transformed(looked_at.take(part)).astype(dtype).astype(np.float64)
            for before, tree in zip(reached_before, trees, strict=True):
                reached = tree.reached(table)
                before[reached != -1] = chosen_rows[part][reached[reached != -1]]
        for tree, reached in zip(trees, reached_before, strict=True):
            chosen = (tree.left != -1) & (reached != -1) & np.isin(tree.feature, list(self._sources))
            split = np.empty(int(chosen.sum()), _SPLIT)
            split["row"], split["feature"], split["threshold"] = (
                reached[chosen],
                tree.feature[chosen],
                tree.threshold[chosen],
            )
            parts.append(split)
        return np.unique(np.concatenate(parts))

    def beside(self, splits: Any, dtype: type[Any]) -> Rows:
        """Rows on both sides of where ``dtype(feature) <= threshold`` turns round."""
        sources = [self._sources[int(feature)] for feature in splits["feature"]]
        places = np.array([place for place, _, _ in sources])
        slope, height = np.array([source[1:] for source in sources]).T
        guess = (splits["threshold"] - height) / slope
        reach = np.maximum(np.abs(guess), np.abs(height / slope)) * (2.0**-22 if dtype is np.float32 else 2.0**-40)
        low, high = guess - reach, guess + reach
        whole = np.array([self._numbers[place].kind == "integer" for place in places.tolist()], dtype=bool)
        low[whole], high[whole] = np.floor(guess[whole]), np.floor(guess[whole]) + 1

        def turned(values: Any) -> Any:
            rows = self._rows.changed(splits["row"], places, self._values(places, values))
            found = np.empty(len(rows))
            for part in rows.parts(self.width):
                features = self._transformed(rows.take(part))
                found[part] = features[np.arange(len(features)), splits["feature"][part]]
            return (found.astype(dtype).astype(np.float64) <= splits["threshold"]) == (slope > 0)

        while True:
            middle = low + (high - low) / 2
            open_still = ~whole & (low < middle) & (middle < high)
            if not open_still.any():
                break
            left = turned(middle)
            low, high = np.where(open_still & left, middle, low), np.where(open_still & ~left, middle, high)
        rows: list[int] = []
        where: list[int] = []
        values: list[Any] = []
        for side in (low, high):
            for changed in self._neighbours(places, side, whole):
                kept = [
                    index
                    for index, value in enumerate(changed)
                    if value is not None and self._takes(places[index], value)
                ]
                rows += splits["row"][kept].tolist()
                where += places[kept].tolist()
                values += [changed[index] for index in kept]
        return self._rows.changed(np.array(rows, dtype=np.int64), where, values)

    def _takes(self, place: int, value: Any) -> bool:
        return self._limits[int(place)].all_valid([value])

    def _neighbours(self, places: Any, values: Any, whole: Any) -> Iterator[list[Any]]:
        """The values themselves, and those an ulp to both sides; None for whole numbers, which have theirs already."""
        narrow = values.astype(np.float32)
        yield self._values(places, values)
        steps = [np.nextafter(values, -np.inf), np.nextafter(values, np.inf)]
        steps += [np.nextafter(narrow, np.float32(side)).astype(np.float64) for side in (-np.inf, np.inf)]
        for step in steps:
            yield [None if is_whole else value for value, is_whole in zip(step.tolist(), whole, strict=True)]

    def _values(self, places: Any, values: Any) -> list[Any]:
        return [
            int(value) if self._numbers[place].kind == "integer" else value
            for place, value in zip(places.tolist(), values.tolist(), strict=True)
        ]
