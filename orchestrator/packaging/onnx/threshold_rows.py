"""Rows on both sides of the thresholds of a pipeline's trees, where a compiled model is most likely to take the other branch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline

from orchestrator.packaging.onnx.category_splits import CategorySplits
from orchestrator.packaging.onnx.comparison_rows import MAX_CELLS, MAX_ROWS, Rows, accepted_rows
from orchestrator.packaging.onnx.linear_features import LinearFeatures
from orchestrator.packaging.onnx.nested_parts import members_of
from orchestrator.packaging.onnx.row_sample import RowSample
from orchestrator.packaging.onnx.trees import Tree, category_splits, extract_trees
from score.contract.schema import Contract
from score.payload.reader import Reader

if TYPE_CHECKING:
    import pandas as pd

MAX_SPLITS = 20_000  # of larger models a sample of this size is drawn
PAIR_CELLS = 20_000_000  # of the rows on both sides: of more than 500 columns fewer thresholds are tried
CELLS = 1_000_000  # of the rows beside them
BESIDE = {False: 8, True: 18}  # rows beside them for each threshold: of trees that compare in float64, or as float32
_SPLIT = np.dtype([("row", np.int64), ("feature", np.int64), ("threshold", np.float64)])


def split_rows(
    pipeline: Any, contract: Contract, rows: Rows, sample: RowSample | None = None
) -> tuple[list[Rows], int]:
    """Return rows within one ulp of the thresholds of a pipeline's trees, and how many thresholds they surround.

    Each is a row that passes through the threshold's node, with one value changed so that the comparison there just
    flips: in the dtype that the trees compare in, and in float64. Trees inside of another estimator count, too. Where none of
    ``rows``, which are those of the ``sample``, passes through a node, one of the other rows is taken.
    """
    if not len(rows):
        return [], 0
    models = [*_final_models(pipeline)]
    found = [_split_rows(each, contract, rows, sample, MAX_SPLITS // len(models)) for each in models]
    return [near for part, _ in found for near in part if len(near)], sum(count for _, count in found)


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


def _split_rows(
    pipeline: Any, contract: Contract, rows: Rows, sample: RowSample | None, largest: int
) -> tuple[list[Rows], int]:
    trees, dtype = extract_trees(pipeline.steps[-1][1])
    if not trees:
        return [], 0
    search = _ThresholdSearch(pipeline, contract, rows, category_splits(pipeline.steps[-1][1]))
    splits = search.splits(trees, dtype, sample, largest)
    most = min(largest, max(1, PAIR_CELLS // (2 * len(contract.columns))))
    if len(splits) > most:
        splits = splits[_sample(len(splits), most)]
    return search.rows_near(splits, narrow=dtype is np.float32) if len(splits) else ([], 0)


class _ThresholdSearch:
    """Finds rows that pass through nodes, and values of columns on both sides of the nodes' thresholds."""

    def __init__(self, pipeline: Any, contract: Contract, rows: Rows, categories: CategorySplits | None) -> None:
        self._before, self._reader, self._rows = pipeline[:-1], Reader(contract), rows
        self._contract, self._categories = contract, categories
        self._linear = LinearFeatures.find(contract, rows, self._transform)

    def _transform(self, rows: Rows) -> Any:
        return self._features(self._reader.frame(rows.columns()))

    def _features(self, frame: pd.DataFrame) -> Any:
        table: Any = self._before.transform(frame) if len(self._before) else frame
        features = np.asarray(table.toarray() if hasattr(table, "toarray") else table, dtype=np.float64)
        return self._categories.extend(features) if self._categories else features

    def splits(self, trees: Sequence[Tree], dtype: type[Any], sample: RowSample | None, largest: int) -> Any:
        """Return the distinct thresholds on features with a source (n_splits,), each with a row that passes through."""
        rows_by_node: list[Any] = [np.full(len(tree.left), -1) for tree in trees]
        for part in self._rows.parts(self._linear.width):
            table = self._transform(self._rows.take(part)).astype(dtype).astype(np.float64)
            for rows, tree in zip(rows_by_node, trees, strict=True):
                new = tree.rows_by_node(table)
                rows[new != -1] = part.start + new[new != -1]
        inner = [(tree.left != -1) & np.isin(tree.feature, list(self._linear.sources)) for tree in trees]
        if sum(int((nodes & (rows != -1)).sum()) for nodes, rows in zip(inner, rows_by_node, strict=True)) < largest:
            wanted = [nodes & (rows == -1) for nodes, rows in zip(inner, rows_by_node, strict=True)]
            if sample is not None and any(nodes.any() for nodes in wanted):
                self._find_others(trees, dtype, wanted, rows_by_node, sample)
        parts = [np.empty(0, _SPLIT)]
        for tree, nodes, rows in zip(trees, inner, rows_by_node, strict=True):
            reached = nodes & (rows != -1)
            splits = np.empty(int(reached.sum()), _SPLIT)
            for name, values in (("row", rows), ("feature", tree.feature), ("threshold", tree.threshold)):
                splits[name] = values[reached]
            parts.append(splits)
        return np.unique(np.concatenate(parts))

    def _find_others(
        self,
        trees: Sequence[Tree],
        dtype: type[Any],
        wanted: Sequence[Any],
        rows_by_node: Sequence[Any],
        sample: RowSample,
    ) -> None:
        """Add a row outside of the sample for each of the wanted nodes (n_nodes,) of each tree that one passes through."""
        count = max(1, min(MAX_ROWS, MAX_CELLS // max(1, self._linear.width)))
        further, size = list[Rows](), len(self._rows)
        for part in sample.others(count):
            table = self._features(part).astype(dtype).astype(np.float64)
            found = [tree.rows_of_nodes(table, nodes) for tree, nodes in zip(trees, wanted, strict=True)]
            chosen = np.unique([row for rows in found for row in rows.values()]).astype(np.int64)
            accepted = accepted_rows([part.iloc[chosen]], self._contract)
            at = {row: size + number for number, row in enumerate(chosen[accepted.at].tolist())}
            further, size = [*further, accepted], size + len(at)
            for nodes, by_node, rows in zip(wanted, rows_by_node, found, strict=True):
                for node, row in rows.items():
                    if row in at:
                        nodes[node], by_node[node] = False, at[row]
            if not any(nodes.any() for nodes in wanted):
                break
        self._rows = self._rows.and_rows(further)

    def rows_near(self, splits: Any, *, narrow: bool) -> tuple[list[Rows], int]:
        """Return rows on both sides of where ``feature <= threshold`` flips, then some beside them, and how many flip.

        The feature is compared as the trees do, as float32 if ``narrow``; the rows beside them have the values where it flips
        in float64, too, and all values one ulp to either side.
        """
        places = self._linear.places(splits["feature"])
        low, high, flips = self._sides(splits, narrow=narrow)
        count = len(np.unique(splits[["feature", "threshold"]][flips]))
        changes = [*self._changes(splits["row"], places, low), *self._changes(splits["row"], places, high)]
        most = CELLS // (len(self._rows.table) * BESIDE[narrow])
        some = np.arange(len(splits)) if len(splits) <= most else _sample(len(splits), most)
        splits, places, sides = splits[some], places[some], [low[some], high[some]]
        further = []
        if narrow and len(some):
            further = [*self._sides(splits, narrow=False)[:2]]
        beside = [values for side in (*sides, *further) for values in self._linear.neighbours(places, side)]
        other = [change for values in (*further, *beside) for change in self._changes(splits["row"], places, values)]
        return [self._changed(changes), self._changed(other)], count

    def _sides(self, splits: Any, *, narrow: bool) -> tuple[Any, Any, Any]:
        """Return the values on both sides of each split (n_splits,), and whether the comparison flips between them."""
        keys, which = np.unique(splits[["feature", "threshold"]], return_inverse=True)
        low, high, flips = self._linear.flips(keys["feature"], keys["threshold"], narrow=narrow)
        return low[which], high[which], flips[which]

    def _changes(self, rows: Any, places: Any, values: Any) -> Iterator[tuple[int, int, Any]]:
        """Yield the row, the place and the value (n,) where a request may hold it; NaN is none."""
        there = np.flatnonzero(~np.isnan(values))
        rows, places = rows[there], places[there]
        for row, place, value in zip(
            rows.tolist(), places.tolist(), self._linear.sent(places, values[there]), strict=True
        ):
            if self._linear.is_valid(place, value):
                yield row, place, value

    def _changed(self, changes: list[tuple[int, int, Any]]) -> Rows:
        rows, places, values = zip(*changes, strict=True) if changes else ((), (), ())
        return self._rows.changed(np.array(rows, dtype=np.int64), places, values)


def _sample(count: int, most: int) -> Any:
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))
