"""Trees of scikit-learn as plain arrays, and their translation to ONNX's TreeEnsemble.

scikit-learn's own trees round a row to float32 and compare it with thresholds in float64; histogram gradient boosting
compares in float64. The graph does the same: otherwise a value near a threshold would take the other branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.category_splits import THRESHOLD, CategorySplits, are_codes


@dataclass(frozen=True)
class Tree:
    """Arrays over the nodes; ``left`` is -1 in a leaf. A value that is at most the threshold goes left.

    ``cover`` are the training rows that reach each node, or their weight; None where the library does not say.
    """

    feature: Any
    threshold: Any
    left: Any
    right: Any
    missing_left: Any
    value: Any
    cover: Any = None

    @classmethod
    def of_sklearn(cls, tree: Any) -> Tree:
        """Convert ``DecisionTree*.tree_``; values are (n_nodes, n_classes), or (n_nodes, 1) in a regression."""
        return cls(
            tree.feature,
            tree.threshold,
            tree.children_left,
            tree.children_right,
            tree.missing_go_to_left,
            tree.value[:, 0, :],
            tree.weighted_n_node_samples,
        )

    @classmethod
    def of_histogram(cls, predictor: Any, columns: Any, categories: CategorySplits) -> Tree:
        """Convert a ``TreePredictor`` of histogram gradient boosting, whose features are these ``columns`` of the table."""
        nodes = predictor.nodes
        leaf = nodes["is_leaf"] != 0
        left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
        feature, threshold = columns[nodes["feature_idx"].astype(np.int64)], nodes["num_threshold"].copy()
        for node in np.flatnonzero(~leaf & (nodes["is_categorical"] != 0)):
            bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]].astype("<u4").view(np.uint8)
            codes = np.flatnonzero(np.unpackbits(bits, bitorder="little")).tolist()
            feature[node], threshold[node] = categories.feature(int(feature[node]), codes), THRESHOLD
        return cls(
            feature, threshold, left, right, nodes["missing_go_to_left"], nodes["value"][:, None], nodes["count"]
        )

    def rows_by_node(self, table: Any) -> Any:
        """Return for each node a row of ``table`` (n_rows, n_features) that passes through it, or -1 (n_nodes,)."""
        row_of_node = np.full(len(self.left), -1)
        rows, nodes = np.arange(len(table)), np.zeros(len(table), dtype=np.int64)
        while len(rows):
            row_of_node[nodes] = rows
            inner = self.left[nodes] != -1
            rows, nodes = rows[inner], nodes[inner]
            values = table[rows, self.feature[nodes]]
            goes_left = np.where(np.isnan(values), self.missing_left[nodes] != 0, values <= self.threshold[nodes])
            nodes = np.where(goes_left, self.left[nodes], self.right[nodes])
        return row_of_node

    def rows_of_nodes(self, table: Any, wanted: Any) -> dict[int, int]:
        """Return a row of ``table`` (n_rows, n_features) for each of the ``wanted`` nodes (n_nodes,) that one passes through.

        Only branches with a wanted node are entered.
        """
        inner = np.flatnonzero(self.left != -1)
        parents = np.full(len(self.left), -1)
        parents[self.left[inner]] = parents[self.right[inner]] = inner
        above, nodes = np.zeros(len(self.left), dtype=bool), np.flatnonzero(wanted)
        while len(nodes):
            above[nodes] = True
            nodes = parents[nodes]
            nodes = np.unique(nodes[(nodes != -1)])
            nodes = nodes[~above[nodes]]
        found, pending = {}, [(0, np.arange(len(table)))] if above[:1].any() else []
        while pending:
            node, rows = pending.pop()
            if wanted[node]:
                found[node] = int(rows[0])
            left, right = int(self.left[node]), int(self.right[node])
            if left == -1 or not (above[left] or above[right]):
                continue
            values = table[rows, self.feature[node]]
            goes_left = np.where(np.isnan(values), self.missing_left[node] != 0, values <= self.threshold[node])
            pending += [
                (child, some)
                for child, some in ((left, rows[goes_left]), (right, rows[~goes_left]))
                if above[child] and len(some)
            ]
        return found


def extract_trees(estimator: Any) -> tuple[list[Tree], type[Any]]:
    """Return the trees of a fitted estimator and the dtype they compare in; no trees for any other estimator.

    Raises:
        NotImplementedError: the model has parts without a translation.
    """
    from orchestrator.packaging.onnx.boosting import find_reader

    if (read := find_reader(estimator)) is not None:
        found = read(estimator)
        return found.trees, found.compares
    if hasattr(estimator, "tree_"):
        return [Tree.of_sklearn(estimator.tree_)], np.float32
    if hasattr(estimator, "_predictors"):
        return histogram_trees(estimator)[0], np.float64
    members = np.ravel(getattr(estimator, "estimators_", []))
    if len(members) and all(hasattr(member, "tree_") for member in members):
        return [Tree.of_sklearn(member.tree_) for member in members], np.float32
    return [], np.float64


def histogram_trees(boosting: Any) -> tuple[list[Tree], CategorySplits]:
    """Return the trees of histogram gradient boosting, and the sets of their splits on categories.

    Raises:
        NotImplementedError: categories are no codes.
    """
    columns = np.arange(boosting.n_features_in_)
    if getattr(boosting, "_preprocessor", None) is not None:  # it puts the columns of categories first
        columns = np.argsort(~boosting.is_categorical_, kind="stable")
        if not all(map(are_codes, boosting._preprocessor.named_transformers_["encoder"].categories_)):  # noqa: SLF001  # no public name
            raise NotImplementedError(
                "no converter for histogram gradient boosting on categories that are no codes; preprocess=native makes codes"
            )
    categories = CategorySplits(len(columns))
    stages = boosting._predictors  # noqa: SLF001
    return [Tree.of_histogram(tree, columns, categories) for stage in stages for tree in stage], categories


def category_splits(estimator: Any) -> CategorySplits | None:
    """Return the sets of a fitted estimator's splits on categories; None if there are none."""
    from orchestrator.packaging.onnx.boosting import find_reader

    if (read := find_reader(estimator)) is not None:
        return read(estimator).categories
    return histogram_trees(estimator)[1] if hasattr(estimator, "_predictors") else None


def ensemble_attributes(
    trees: Sequence[Tree], targets: Sequence[int], weights: Sequence[Any], dtype: type[Any]
) -> dict[str, Any]:
    """Return the attributes of a TreeEnsemble (ai.onnx.ml 5) that adds ``weights[i]`` (n_nodes,) to ``targets[i]``.

    For ``float32`` thresholds are rounded down, which changes no comparison with a float32.
    """
    from onnx import numpy_helper

    columns: dict[str, list[Any]] = {name: [] for name in ("feature", "split", "missing", "target", "weight")}
    branches: dict[str, list[Any]] = {name: [] for name in ("true", "true_leaf", "false", "false_leaf")}
    roots, inner_count, leaf_count = [], 0, 0
    for tree, target, weight in zip(trees, targets, weights, strict=True):
        leaf = tree.left == -1
        inner, leaves = np.flatnonzero(~leaf), np.flatnonzero(leaf)
        position = np.empty(len(leaf), dtype=np.int64)  # of a node among all inner nodes, or of a leaf among all leaves
        position[inner] = inner_count + np.arange(len(inner))
        position[leaves] = leaf_count + np.arange(len(leaves))
        roots.append(inner_count)
        left, right = tree.left[inner], tree.right[inner]
        if not len(inner):  # a single leaf: ONNX needs a node above it
            inner, left, right = np.array([0]), np.array([0]), np.array([0])
        columns["feature"].append(np.maximum(tree.feature[inner], 0))
        columns["split"].append(tree.threshold[inner])
        columns["missing"].append(tree.missing_left[inner])
        columns["target"].append(np.full(len(leaves), target))
        columns["weight"].append(np.asarray(weight, dtype=np.float64)[leaves])
        for name, child in (("true", left), ("false", right)):
            branches[name].append(position[child])
            branches[f"{name}_leaf"].append(leaf[child])
        inner_count, leaf_count = inner_count + len(inner), leaf_count + len(leaves)
    joined = {name: np.concatenate(parts) for name, parts in (columns | branches).items()}
    splits = joined["split"] if dtype is np.float64 else _rounded_down(joined["split"])

    def integers(name: str) -> list[int]:
        numbers: list[int] = joined[name].astype(np.int64).tolist()
        return numbers

    return {
        "n_targets": max(targets) + 1,
        "aggregate_function": 1,  # the sum
        "tree_roots": roots,
        "nodes_featureids": integers("feature"),
        "nodes_splits": numpy_helper.from_array(splits),
        "nodes_modes": numpy_helper.from_array(np.zeros(inner_count, dtype=np.uint8)),  # BRANCH_LEQ
        "nodes_missing_value_tracks_true": integers("missing"),
        "nodes_truenodeids": integers("true"),
        "nodes_trueleafs": integers("true_leaf"),
        "nodes_falsenodeids": integers("false"),
        "nodes_falseleafs": integers("false_leaf"),
        "leaf_targetids": integers("target"),
        "leaf_weights": numpy_helper.from_array(joined["weight"].astype(dtype)),
    }


def _rounded_down(values: Any) -> Any:
    narrow = values.astype(np.float32)
    return np.where(narrow > values, np.nextafter(narrow, np.float32(-np.inf)), narrow).astype(np.float32)
