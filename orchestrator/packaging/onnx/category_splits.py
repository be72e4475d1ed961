"""Splits of trees on categories, written as thresholds on further columns that say whether a code is in the split's set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.category_converters import look_up
from orchestrator.packaging.onnx.graph_builder import GraphBuilder

THRESHOLD = 0.5  # of the further columns: 0 is in the set and goes left, 1 is not; a missing value stays one


class CategorySplits:
    """Sets of codes, each of one column of a table with ``width`` columns, in the order of the further columns."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._sets: dict[tuple[int, frozenset[int]], int] = {}

    def feature(self, column: int, left: Iterable[int]) -> int:
        """Return the position of the further column for a split that sends these codes of a column left."""
        return self._width + self._sets.setdefault((column, frozenset(left)), len(self._sets))

    def __bool__(self) -> bool:
        return bool(self._sets)

    def extend(self, table: Any) -> Any:
        """Return a table (n_rows, width) with the further columns."""
        further = [
            np.where(np.isnan(table[:, column]), np.nan, ~np.isin(table[:, column], list(left)))
            for column, left in self._sets
        ]
        return np.column_stack([table, *further])

    def arrays(self) -> dict[str, Any]:
        """Return the column of each set, and which codes it has (n_sets, n_codes); none without sets."""
        if not self._sets:
            return {}
        size = 1 + max((code for _, left in self._sets for code in left), default=0)
        members = np.zeros((len(self._sets), size), dtype=bool)
        for inside, (_, left) in zip(members, self._sets, strict=True):
            inside[list(left)] = True
        return {"set_feature": np.array([column for column, _ in self._sets]), "set_members": members}

    def extend_graph(self, graph: GraphBuilder, table: str) -> str:
        """The same, in a graph."""
        if not self._sets:
            return table
        parts, order = [table], list[int]()
        for column in sorted({column for column, _ in self._sets}):
            sets = {left: place for (owner, left), place in self._sets.items() if owner == column}
            size = max((code for left in sets for code in left), default=0) + 1
            outside = np.column_stack([~np.isin(np.arange(size), list(left)) for left in sets]).astype(np.float64)
            missing = np.full((1, len(sets)), np.nan)
            levels = np.append(np.arange(size, dtype=np.float64), np.nan)
            parts.append(look_up(graph, table, column, levels, np.vstack([outside, missing]), np.ones(len(sets))))
            order += sets.values()
        joined = graph.node("Concat", *parts, axis=1)
        if order == sorted(order):
            return joined
        places = np.concatenate([np.arange(self._width), self._width + np.argsort(order)])
        return graph.node("Gather", joined, graph.constant(places), axis=1)


def are_codes(levels: Any) -> bool:
    """Return whether the categories of a column are 0, 1, 2 ..., so that one is its own place among them."""
    known = [level for level in levels if level == level]  # noqa: PLR0124 - without NaN
    return known == [*range(len(known))]
