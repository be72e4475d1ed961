"""Rows on both sides of the thresholds of a pipeline's trees, where a compiled model is most likely to take the other branch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from orchestrator.packaging.onnx.comparison_rows import MAX_CELLS, MAX_ROWS, Rows, accepted_rows
from orchestrator.packaging.onnx.linear_features import LinearFeatures
from orchestrator.packaging.onnx.nested_parts import members_of
from orchestrator.packaging.onnx.row_sample import RowSample
from orchestrator.packaging.onnx.trees import category_splits, extract_trees
from score.contract.schema import Contract
from score.payload.reader import Reader

MAX_SPLITS = 20_000  # of larger models a sample of this size is drawn
PAIR_CELLS = 20_000_000  # of the rows on both sides: of more than 500 columns fewer thresholds are tried
CELLS = 1_000_000  # of the rows beside them
BESIDE = {False: 8, True: 18}  # rows beside them for each threshold: of trees that compare in float64, or as float32
_SPLIT = np.dtype([("row", np.int64), ("feature", np.int64), ("threshold", np.float64)])


class ThresholdSearch:
    """Finds rows within one ulp of the thresholds of a pipeline's trees, once it has seen the rows of a table.

    Each is a row that passes through the threshold's node, with one value changed so that the comparison there just
    flips: in the dtype that the trees compare in, and in float64. Trees inside of another estimator count, too.
    """

    def __init__(self, pipeline: Any, contract: Contract, rows: Rows) -> None:
        own = len(pipeline.steps) - 1 if type(pipeline) is Pipeline else 0  # steps that ``see`` need not run
        models = [*_final_models(pipeline)] if len(rows) else []
        self._largest = MAX_SPLITS // max(1, len(models))
        self._searches = [_ModelSearch(each, own, contract, rows) for each in models if extract_trees(each[-1])[0]]

    @property
    def width(self) -> int:
        """The most features of a row."""
        return max((search.width for search in self._searches), default=0)

    def see(self, rows: Rows, table: Any) -> None:
        """Note which nodes these rows pass through; ``table`` is what ``PickledModel.transformed`` makes of them."""
        for search in self._searches:
            search.see(rows, table)

    def near(self, sample: RowSample | None = None) -> tuple[list[Rows], int]:
        """Return rows near the thresholds, and how many thresholds they surround.

        Where none of the rows seen, which are those of the ``sample``, passes through a node, one of the other rows is taken.
        """
        found = [search.near(sample, self._largest) for search in self._searches]
        return [near for near, _ in found if len(near)], sum(count for _, count in found)


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


class _ModelSearch:
    """Finds rows that pass through nodes, and values of columns on both sides of the nodes' thresholds."""

    def __init__(self, pipeline: Any, own: int, contract: Contract, rows: Rows) -> None:
        self._before, self._further = pipeline[:-1], pipeline[own:-1]
        self._reader, self._rows, self._contract = Reader(contract), rows, contract
        self._categories = category_splits(pipeline[-1])
        self._trees, self._dtype = extract_trees(pipeline[-1])
        self._rows_by_node: list[Any] = [np.full(len(tree.left), -1) for tree in self._trees]
        self._linear = LinearFeatures.find(contract, rows, self._transform)
        self.width = self._linear.width

    def _transform(self, rows: Rows) -> Any:
        return self._features(self._before, self._reader.frame(rows.columns()))

    def _features(self, steps: Any, table: Any) -> Any:
        made: Any = steps.transform(table) if len(steps) else table
        features = np.asarray(made.toarray() if hasattr(made, "toarray") else made, dtype=np.float64)
        return self._categories.extend(features) if self._categories else features

    def see(self, rows: Rows, table: Any) -> None:
        """See :class:`ThresholdSearch`."""
        features, at = self._features(self._further, table).astype(self._dtype), np.searchsorted(self._rows.at, rows.at)
        for found, tree in zip(self._rows_by_node, self._trees, strict=True):
            new = tree.rows_by_node(features)
            found[new != -1] = at[new[new != -1]]

    def near(self, sample: RowSample | None, largest: int) -> tuple[Rows, int]:
        """See :class:`ThresholdSearch`; at most ``largest`` thresholds are tried."""
        splits = self._splits(sample, largest)
        most = min(largest, max(1, PAIR_CELLS // (2 * len(self._contract.columns))))
        return self._rows_near(splits if len(splits) <= most else splits[_sample(len(splits), most)])

    def _splits(self, sample: RowSample | None, largest: int) -> Any:
        """Return the distinct thresholds on features with a source (n_splits,), each with a row that passes through."""
        inner = [(tree.left != -1) & np.isin(tree.feature, list(self._linear.sources)) for tree in self._trees]
        wanted = [nodes & (rows == -1) for nodes, rows in zip(inner, self._rows_by_node, strict=True)]
        reached = sum(int(nodes.sum()) for nodes in inner) - sum(int(nodes.sum()) for nodes in wanted)
        if sample is not None and reached < largest and any(nodes.any() for nodes in wanted):
            self._find_others(wanted, sample)
        parts = [np.empty(0, _SPLIT)]
        for tree, nodes, rows in zip(self._trees, inner, self._rows_by_node, strict=True):
            chosen = nodes & (rows != -1)
            splits = np.empty(int(chosen.sum()), _SPLIT)
            for name, values in (("row", rows), ("feature", tree.feature), ("threshold", tree.threshold)):
                splits[name] = values[chosen]
            parts.append(splits)
        return np.unique(np.concatenate(parts))

    def _find_others(self, wanted: Sequence[Any], sample: RowSample) -> None:
        """Find a row outside of the sample for each of the wanted nodes (n_nodes,) of each tree that one passes through."""
        count = max(1, min(MAX_ROWS, MAX_CELLS // max(1, self.width)))
        further, size = list[Rows](), len(self._rows)
        for part in sample.others(count):
            features = self._features(self._before, part).astype(self._dtype)
            found = [tree.rows_of_nodes(features, nodes) for tree, nodes in zip(self._trees, wanted, strict=True)]
            chosen = np.unique([row for rows in found for row in rows.values()]).astype(np.int64)
            accepted = accepted_rows([part.iloc[chosen]], self._contract)
            at = {row: size + number for number, row in enumerate(chosen[accepted.at].tolist())}
            further, size = [*further, accepted], size + len(at)
            for nodes, by_node, rows in zip(wanted, self._rows_by_node, found, strict=True):
                for node, row in rows.items():
                    if row in at:
                        nodes[node], by_node[node] = False, at[row]
            if not any(nodes.any() for nodes in wanted):
                break
        self._rows = self._rows.and_rows(further)

    def _rows_near(self, splits: Any) -> tuple[Rows, int]:
        """Return rows on both sides of where ``feature <= threshold`` flips, then some beside them, and how many flip.

        The feature is compared in the trees' dtype; the rows beside them have the values where it flips in float64, too, and
        all values one ulp to either side.
        """
        if not len(splits):
            return self._changed([]), 0
        narrow = self._dtype is np.float32
        keys, which = np.unique(splits[["feature", "threshold"]], return_inverse=True)
        most = CELLS // (len(self._rows.table) * BESIDE[narrow])
        some = np.arange(len(splits)) if len(splits) <= most else _sample(len(splits), most)
        exact = np.unique(which[some]) if narrow else which[:0]
        asked = np.concatenate([keys, keys[exact]])  # those in float64 in the same search
        single = narrow & (np.arange(len(asked)) < len(keys))
        low, high, flips = self._linear.flips(asked["feature"], asked["threshold"], single)
        rows, places = splits["row"], self._linear.places(splits["feature"])
        changes = [change for ends in (low, high) for change in self._changes(rows, places, ends[which])]
        further = [ends[len(keys) + np.searchsorted(exact, which[some])] for ends in (low, high) if narrow]
        sides = [low[which[some]], high[which[some]], *further]
        beside = [values for side in sides for values in self._linear.neighbours(places[some], side)]
        for values in (*further, *beside):
            changes += self._changes(rows[some], places[some], values)
        changes += self._missing(rows, places)
        return self._changed(changes), int(flips[: len(keys)].sum())

    def _missing(self, rows: Any, places: Any) -> Iterator[tuple[int, int, None]]:
        """Yield the row and the place (n,) where a request may leave the value out: each node has a side for these, too."""
        columns = self._contract.columns
        pairs = np.unique(np.column_stack([rows, places]), axis=0)
        pairs = pairs[[columns[place].missing for _, place in pairs.tolist()]]
        most = max(1, CELLS // len(columns))
        for row, place in (pairs if len(pairs) <= most else pairs[_sample(len(pairs), most)]).tolist():
            yield row, place, None

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
