"""Split a graph at its trees, for requests of many rows: the part before, the trees for QuickScorer, the part after.

ONNX Runtime walks the trees, at the price of mispredicted branches. ``score.models.quickscorer`` has no branches, but
takes time for each leaf word and each column: it is used where that is faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from score.models.quickscorer import BITS, FIRST, SLOTS, Forest, SplitGraph, ThresholdIndex, TreeBlock

WORDS = 32  # of a block: its arrays stay in the processor's cache
MAX_BYTES = 2**26  # of a forest in memory
ALL = ~np.uint64(0)


_Child = tuple[int, int]  # its number, and whether it is a leaf


@dataclass(frozen=True)
class _LeafWord:
    """Up to ``BITS`` neighbouring leaves of a tree, and the nodes above them.

    Attributes:
        leaves: The number of leaves.
        nodes: The inner nodes above some of them (n_nodes,).
        left, right: The leaves below each node's branches, as bits (n_nodes,).
        outputs: The sums that the tree adds to.
        values: What each leaf adds (SLOTS, n_outputs).
    """

    leaves: int
    nodes: Any
    left: Any
    right: Any
    outputs: tuple[int, ...]
    values: Any


def split_graph(graph: bytes, *, always: bool = False) -> SplitGraph | None:
    """Return the parts of a graph; None for one without a forest, or one that ONNX Runtime walks as fast.

    Raises:
        Exception: whatever ONNX raises for a graph that it cannot take apart.
    """
    import onnx
    from onnx import helper
    from onnx.utils import Extractor

    model = onnx.load_from_string(graph)
    forests = [node for node in model.graph.node if node.op_type == "TreeEnsemble"]
    if len(forests) != 1:
        return None
    trees = _attributes(forests[0])
    if trees["nodes_modes"].any() or not (always or _is_faster(trees)):
        return None
    table, start = model.graph.input[0].name, forests[0].input[0]
    end, leaf_rows = _find_lookup(model.graph, forests[0].output[0], trees) or (forests[0].output[0], None)
    if leaf_rows is None and trees["leaf_weights"].dtype != np.float64:
        return None  # ONNX Runtime adds these in float32, as their library does, and QuickScorer would not
    narrow = helper.np_dtype_to_tensor_dtype(trees["nodes_splits"].dtype)
    for name, dtype in ((start, narrow), (end, onnx.TensorProto.DOUBLE)):
        model.graph.value_info.append(helper.make_tensor_value_info(name, dtype, [None, None]))
    extractor = Extractor(model)
    before = extractor.extract_model([table], [start]).SerializeToString() if start != table else b""
    after = extractor.extract_model([end], [item.name for item in model.graph.output])
    if any(table in node.input for node in after.graph.node):
        return None  # the part after needs more than the sums
    forest = _forest(trees, list(_words(trees, leaf_rows)))
    if sum(array.nbytes for array in forest.arrays().values()) > MAX_BYTES:
        return None
    return SplitGraph(before, after.SerializeToString(), forest)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper, numpy_helper

    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    tensors = ("nodes_splits", "nodes_modes", "leaf_weights")
    return {
        name: numpy_helper.to_array(value) if name in tensors else np.array(value) for name, value in values.items()
    }


def _is_faster(trees: dict[str, Any]) -> bool:
    """Return whether QuickScorer beats walking, by nanoseconds a row as measured by ``benchmarks/forests.py``."""
    columns, count = len(np.unique(trees["nodes_featureids"])), len(trees["tree_roots"])
    leaves = len(trees["leaf_weights"])
    words = count + leaves / BITS
    walk = 6 * count * np.log2(max(leaves / count, 2))
    return bool(10 * columns + words * (columns / 4 + 3) < walk)


def _find_lookup(graph: Any, output: str, trees: dict[str, Any]) -> tuple[str, Any] | None:
    """Return the name of the sums and each leaf's row, if leaves hold numbers of rows that a ``Gather`` looks up."""
    from onnx import numpy_helper

    constants = {item.name: item for item in graph.initializer}
    lookups = []
    for kind in ("Cast", "Add", "Gather", "ReduceSum"):
        following = [node for node in graph.node if output in node.input]
        if [node.op_type for node in following] != [kind]:
            return None
        lookups += [numpy_helper.to_array(constants[name]) for name in following[0].input if name in constants]
        output = following[0].output[0]
    starts, rows, _ = lookups
    return output, rows[starts[trees["leaf_targetids"]] + trees["leaf_weights"].astype(np.int64)]


def _words(trees: dict[str, Any], leaf_rows: Any) -> Iterator[_LeafWord]:
    """Yield the words of all trees; ``leaf_rows`` (n_leaves, n_outputs) is None where a leaf adds its one weight."""
    children = [
        list(zip(trees[f"nodes_{side}nodeids"].tolist(), trees[f"nodes_{side}leafs"].tolist(), strict=True))
        for side in ("true", "false")
    ]
    for root in trees["tree_roots"].tolist():
        nodes, leaves, spans = _traverse(root, *children)
        for start in range(0, len(leaves), BITS):
            first, middle, end = np.clip(spans - start, 0, BITS)
            here = end > first
            chosen = leaves[start : start + BITS]
            values = trees["leaf_weights"][chosen][:, None] if leaf_rows is None else leaf_rows[chosen]
            slots = np.zeros((SLOTS, values.shape[1]))
            slots[FIRST : FIRST + len(chosen)] = values
            outputs = range(slots.shape[1]) if leaf_rows is not None else [int(trees["leaf_targetids"][chosen[0]])]
            left, right = _bits(first[here], middle[here]), _bits(middle[here], end[here])
            yield _LeafWord(len(chosen), nodes[here], left, right, tuple(outputs), slots)


def _traverse(root: int, left: Sequence[_Child], right: Sequence[_Child]) -> tuple[Any, list[int], Any]:
    """Return a tree's nodes, its leaves from left to right, and each node's first, middle and last leaf (3, n_nodes)."""
    nodes, first, leaves, stack = [], [], [], [(root, 0)]
    while stack:
        at, leaf = stack.pop()
        if leaf:
            leaves.append(at)
        else:
            nodes.append(at)
            first.append(len(leaves))
            stack += [right[at], left[at]]
    size: dict[int, int] = {}
    parts = []
    for at in reversed(nodes):
        sizes = [1 if leaf else size[child] for child, leaf in (left[at], right[at])]
        size[at] = sum(sizes)
        parts.append((0, sizes[0], size[at]))
    return np.array(nodes), leaves, np.array(first) + np.array(parts[::-1]).T


def _bits(start: Any, stop: Any) -> Any:
    """Return numbers (n,) whose bits from ``start`` to before ``stop`` are set."""
    return np.array(
        [(1 << end) - (1 << begin) for begin, end in zip(start.tolist(), stop.tolist(), strict=True)], dtype=np.uint64
    )


def _forest(trees: dict[str, Any], words: Sequence[_LeafWord]) -> Forest:
    """Group words by the outputs they add to, in the order of the trees, so that sums round as in ONNX Runtime."""
    splits, features = trees["nodes_splits"] + 0.0, trees["nodes_featureids"]  # + 0.0 turns -0.0, of other bits, into 0
    columns = np.unique(features)
    thresholds = [np.unique(splits[features == column]) for column in columns]
    counts = np.array([len(known) for known in thresholds])
    filled = np.array([np.pad(known, (0, counts.max() - len(known)), constant_values=np.inf) for known in thresholds])
    blocks = []
    for outputs in sorted({word.outputs for word in words}):
        group = [word for word in words if word.outputs == outputs]
        starts = range(0, len(group), WORDS)
        blocks += [_block(trees, group[start : start + WORDS], columns, thresholds) for start in starts]
    return Forest(ThresholdIndex(columns, filled, counts), blocks)


def _block(trees: dict[str, Any], words: Sequence[_LeafWord], columns: Any, thresholds: Sequence[Any]) -> TreeBlock:
    nodes = np.concatenate([word.nodes for word in words])
    number = np.repeat(np.arange(len(words)), [len(word.nodes) for word in words])
    left, right = (np.concatenate([getattr(word, side) for word in words]) for side in ("left", "right"))
    features, splits = trees["nodes_featureids"][nodes], trees["nodes_splits"][nodes]
    missing_left = trees["nodes_missing_value_tracks_true"][nodes] != 0
    leaves: list[Any] = []
    rows: list[Any] = []
    start = 0
    for column, known in zip(columns, thresholds, strict=True):
        here = features == column
        own = np.unique(splits[here])
        table = _reachable(words, np.searchsorted(own, splits[here]), len(own), number[here], left[here], right[here])
        ruled_out = np.where(missing_left[here], right[here], left[here])
        np.bitwise_and.at(table[-1], number[here], ~ruled_out)
        rows += [start + np.searchsorted(own, np.append(known, np.inf)), [start + len(own) + 1]]
        leaves.append(table)
        start += len(table)
    return TreeBlock(
        rows=np.concatenate(rows).astype(np.min_scalar_type(start)),
        leaves=np.concatenate(leaves),
        outputs=np.array(words[0].outputs),
        values=np.concatenate([word.values for word in words]),
    )


def _reachable(words: Sequence[_LeafWord], place: Any, count: int, word: Any, left: Any, right: Any) -> Any:
    """Return the leaves (count + 2, n_words) that remain in each interval of thresholds; in the last row all of them."""
    all_leaves = np.array([ALL >> np.uint64(BITS - each.leaves) for each in words])
    beyond, upto = np.tile(all_leaves, (2, count + 2, 1))
    np.bitwise_and.at(beyond, (place + 1, word), ~left)
    np.bitwise_and.at(upto, (place, word), ~right)
    np.bitwise_and.accumulate(beyond[:-1], axis=0, out=beyond[:-1])
    np.bitwise_and.accumulate(upto[-2::-1], axis=0, out=upto[-2::-1])
    return beyond & upto
