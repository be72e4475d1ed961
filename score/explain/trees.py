"""Exact Shapley values of a sum of trees, in the columns that the trees' features were made from.

The game is that of path-dependent TreeSHAP (Lundberg et al., "From local explanations to global understanding with
explainable AI for trees", 2020): a split on a column that is not in the coalition sends the row to both sides, by the
shares of the training rows. Its players are columns, so all features of one column enter at once.

A leaf's value counts v * prod_j f_j(t) when each column j is in with probability t, where f_j(t) = z_j + t (o_j - z_j): o_j
is whether the row takes all splits on j above the leaf, and z_j the product of their shares. By Owen's multilinear extension
(1972) the Shapley value of j is the integral over t of v * (o_j - z_j) * prod_{i != j} f_i(t), a polynomial, for which
Gauss-Legendre nodes are exact. As in Linear TreeSHAP (Yu et al., 2022) the sum over leaves becomes one over edges: the
products are carried down the trees, the sums up, and (o_j - z_j) / f_j telescopes along the edges of one column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

BLOCK_EDGES = 2**15  # of trees that are computed at once, so that memory is bounded
KEPT_NUMBERS = (
    2**20
)  # of the tables that are kept in memory (6 numbers of 8 bytes for each); else made for each request


@dataclass(frozen=True)
class TreeArrays:
    """Trees in one numbering of their nodes; a value that is at most the threshold goes left.

    Attributes:
        feature, threshold, missing_left: Of each node's split (n_nodes,).
        left, right: Numbers of the nodes below (n_nodes,); -1 in a leaf.
        cover: The training rows of each node, or their weight (n_nodes,); that of two sides is not 0 for both.
        value: What a leaf adds (n_nodes, n_values).
        roots: The first node of each tree (n_trees,), ascending.
        target: The first of the outputs that each tree adds to (n_trees,).
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    cover: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    target: np.ndarray

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> TreeArrays:
        """Take the arrays that :meth:`arrays` gave."""
        return cls(*(arrays[field.name] for field in fields(cls)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name."""
        return asdict(self)


class TreeExplainer:
    """Explains rows of encoded features.

    Args:
        trees: The trees.
        owner: The column that each feature belongs to (n_features,).
        columns: The number of columns.
        start: What the sum of each output starts from (n_outputs,).
    """

    def __init__(self, trees: TreeArrays, owner: Any, columns: int, start: Any) -> None:
        import numpy as np

        self._blocks = [_Block(trees, owner, first, stop) for first, stop in _ranges(trees)]
        self._shape = (len(start), columns)
        self._keep = sum(block.numbers for block in self._blocks) <= KEPT_NUMBERS
        self._tables: list[_Tables | None] = [None] * len(self._blocks)
        self.base = np.array(start, dtype=np.float64)
        for block in self._blocks:
            block.add_mean(self.base)

    def explain(self, rows: Any) -> Any:
        """Return the values (n_rows, n_outputs, n_columns) of rows (n_rows, n_features) in the dtype that splits compare."""
        import numpy as np

        found = np.zeros((len(rows), *self._shape))
        for number, block in enumerate(self._blocks):
            tables = self._tables[number] or block.tables()
            if self._keep:
                self._tables[number] = tables
            for row, values in zip(rows, found, strict=True):
                block.add(row, tables, values)
        return found


def _ranges(trees: TreeArrays) -> Iterator[tuple[int, int]]:
    """Yield the first and the next tree of each block."""
    ends = [*trees.roots[1:].tolist(), len(trees.left)]
    first = start = 0
    for number, end in enumerate(ends):
        if end - start >= BLOCK_EDGES or number == len(ends) - 1:
            yield first, number + 1
            first, start = number + 1, end


@dataclass(frozen=True)
class _Tables:
    """What an edge does at each node of the quadrature, in three states of its column (3 * n_edges, n_nodes).

    The states: the row has left the path before this edge, leaves it here, or stays on it.
    """

    ratio: Any  # f of the column behind the edge, over f before it
    change: Any  # of (o - z) / f by the edge, times the weight of the node


class _Block:
    """The edges of some trees, breadth first: those of split ``k`` have the numbers 2k (left) and 2k + 1.

    Of arrays over edges the last entry stands for "no edge", which index -1 finds.
    """

    def __init__(self, trees: TreeArrays, owner: Any, first: int, stop: int) -> None:
        import numpy as np

        nodes, above = trees.roots[first:stop], np.full(stop - first, -1)
        target = trees.target[first:stop]
        self._single = [
            (place, trees.value[node]) for node, place in zip(nodes, target, strict=True) if trees.left[node] < 0
        ]
        splits, into, outputs, below = [], [], [], []
        self._levels: list[tuple[int, int]] = []  # the splits of each level
        count = 0
        while (inner := trees.left[nodes] >= 0).any():
            parents = nodes[inner]
            splits.append(parents)
            into.append(above[inner])
            outputs.append(target[inner])
            nodes = np.column_stack([trees.left[parents], trees.right[parents]]).ravel()
            below.append(nodes)
            self._levels.append((count, count + len(parents)))
            above, target = np.arange(2 * count, 2 * (count + len(parents))), np.repeat(outputs[-1], 2)
            count += len(parents)
        none = [np.zeros(0, dtype=np.int64)]
        split, self._into = np.concatenate(splits or none), np.concatenate(into or none)
        child = np.concatenate(below or none)
        self._feature, self._threshold = trees.feature[split].astype(np.intp), trees.threshold[split]
        self._missing_left = trees.missing_left[split] != 0
        self._column, self._parent = np.repeat(owner[self._feature], 2), np.repeat(self._into, 2)
        self._output = np.repeat(np.concatenate(outputs or none), 2)
        self._value = np.where(
            (trees.left[child] < 0)[:, None], trees.value[child], 0.0
        )  # of the leaf below, if it is one
        cover = trees.cover[child].reshape(-1, 2)
        self._share = (cover / cover.sum(axis=1, keepdims=True)).ravel()
        self._former = _former(self._column, self._parent)
        self._nodes = max(1, -(-int(self._distinct().max(initial=1)) // 2))
        self.numbers = len(child) * self._nodes

    def _distinct(self) -> Any:
        """Return the number of columns on the path down to each edge (n_edges + 1,)."""
        import numpy as np

        counts = np.zeros(len(self._column) + 1, dtype=np.int64)
        for start, stop in self._levels:
            here = slice(2 * start, 2 * stop)
            counts[here] = counts[self._parent[here]] + (self._former[here] < 0)
        return counts

    def _along(self, edges: Any) -> Any:
        """Return the product of shares (n_edges + 1,) down to each edge; ``edges`` are those that come before."""
        import numpy as np

        products = np.ones(len(self._share) + 1)
        for start, stop in self._levels:
            here = slice(2 * start, 2 * stop)
            products[here] = self._share[here] * products[edges[here]]
        return products

    def add_mean(self, base: Any) -> None:
        """Add the trees' mean over the training rows to each output."""
        import numpy as np

        reached = self._value * self._along(self._parent)[:-1, None]
        for place in range(reached.shape[1]):
            np.add.at(base, self._output + place, reached[:, place])
        for output, value in self._single:
            base[output : output + len(value)] += value

    def tables(self) -> _Tables:
        """Return what depends on the training rows alone."""
        import numpy as np

        points, weights = np.polynomial.legendre.leggauss(self._nodes)
        t, weights = (points + 1) / 2, weights / 2
        z = self._along(self._former)[:, None]
        inside = z + t * (1 - z)  # f where the row is on the path
        before = inside[self._former]
        gone = (1 - z[self._former]) / before
        ratio = [np.broadcast_to(self._share[:, None], gone.shape), z[:-1] * (1 - t) / before, inside[:-1] / before]
        change = [np.zeros_like(gone), -1 / (1 - t) - gone, (1 - z[:-1]) / inside[:-1] - gone]
        return _Tables(np.concatenate(ratio), weights * np.concatenate(change))

    def add(self, row: Any, tables: _Tables, values: Any) -> None:
        """Add the Shapley values of one row (n_features,) to ``values`` (n_outputs, n_columns)."""
        import numpy as np

        if not len(self._feature):
            return
        cells = row[self._feature]
        left = cells <= self._threshold
        left |= self._missing_left & np.isnan(cells)
        on_path = np.empty(len(self._column) + 1, dtype=np.int8)
        on_path[-1] = 1
        on_path[0:-1:2] = left
        np.logical_not(left, out=on_path[1::2], casting="unsafe")
        state = np.empty(len(self._column), dtype=np.intp)
        for start, stop in self._levels:
            here = slice(2 * start, 2 * stop)
            before = on_path[self._former[here]]
            on_path[here] &= before
            np.add(before, on_path[here], out=state[here])
        state *= len(state)
        state += np.arange(len(state))
        product = tables.ratio.take(state, axis=0)
        change = tables.change.take(state, axis=0)
        for start, stop in self._levels[1:]:
            product[2 * start : 2 * stop] *= product.take(self._parent[2 * start : 2 * stop], axis=0)
        size = values.shape[1]
        for place in range(self._value.shape[1]):
            total = product * self._value[:, place, None]  # below each edge
            for start, stop in self._levels[:0:-1]:
                total[self._into[start:stop]] = total[2 * start : 2 * stop : 2] + total[2 * start + 1 : 2 * stop : 2]
            added = np.einsum("en,en->e", total, change)
            values[place:] += np.bincount(self._output * size + self._column, added, values[place:].size).reshape(
                -1, size
            )


def _former(column: Any, parent: Any) -> Any:
    """Return the nearest edge above each edge that splits on the same column (n_edges,), or -1."""
    import numpy as np

    found, above = np.full(len(column), -1), parent.copy()
    searching = np.flatnonzero(above >= 0)
    while len(searching):
        same = column[above[searching]] == column[searching]
        found[searching[same]] = above[searching[same]]
        searching = searching[~same]
        above[searching] = parent[above[searching]]
        searching = searching[above[searching] >= 0]
    return found
