"""Trees as plain arrays, whichever library's they are, and as ONNX's TreeEnsemble.

scikit-learn's own trees round a row to float32 and compare it with thresholds in float64; histogram gradient boosting
compares in float64. Both are kept: a graph that did otherwise would send a value beside a threshold the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Tree:
    """Arrays over the nodes; ``left`` is -1 in a leaf. A value that is at most the threshold goes left."""

    feature: Any
    threshold: Any
    left: Any
    right: Any
    missing_left: Any
    value: Any

    @classmethod
    def of_sklearn(cls, tree: Any) -> Tree:
        """From ``DecisionTree*.tree_``; values are (n_nodes, n_classes), or (n_nodes, 1) in a regression."""
        return cls(
            tree.feature,
            tree.threshold,
            tree.children_left,
            tree.children_right,
            tree.missing_go_to_left,
            tree.value[:, 0, :],
        )

    @classmethod
    def of_histogram(cls, predictor: Any) -> Tree:
        """From a ``TreePredictor`` of histogram gradient boosting."""
        nodes = predictor.nodes
        leaf = nodes["is_leaf"] != 0
        left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
        feature = nodes["feature_idx"].astype(np.int64)
        return cls(feature, nodes["num_threshold"], left, right, nodes["missing_go_to_left"], nodes["value"][:, None])

    def reached(self, table: Any) -> Any:
        """For each node a row of ``table`` (n_rows, n_features) that comes through it, or -1 (n_nodes,)."""
        found = np.full(len(self.left), -1)
        rows, at = np.arange(len(table)), np.zeros(len(table), dtype=np.int64)
        while len(rows):
            found[at] = rows
            inner = self.left[at] != -1
            rows, at = rows[inner], at[inner]
            values = table[rows, self.feature[at]]
            goes_left = np.where(np.isnan(values), self.missing_left[at] != 0, values <= self.threshold[at])
            at = np.where(goes_left, self.left[at], self.right[at])
        return found


def trees_of(estimator: Any) -> tuple[list[Tree], type[Any]]:
    """The trees of a fitted estimator and the type that they compare in; no trees for an estimator of another kind.

    Raises:
        NotImplementedError: histogram gradient boosting has categorical columns, which it splits in a way of its own.
    """
    if getattr(estimator, "_preprocessor", None) is not None:
        raise NotImplementedError("no converter for histogram gradient boosting with categorical columns")
    if hasattr(estimator, "tree_"):
        return [Tree.of_sklearn(estimator.tree_)], np.float32
    if hasattr(estimator, "_predictors"):
        return [Tree.of_histogram(tree) for stage in estimator._predictors for tree in stage], np.float64  # noqa: SLF001  # no public name
    members = np.ravel(getattr(estimator, "estimators_", []))
    if len(members) and all(hasattr(member, "tree_") for member in members):
        return [Tree.of_sklearn(member.tree_) for member in members], np.float32
    return [], np.float64


def ensemble(trees: Sequence[Tree], targets: Sequence[int], weights: Sequence[Any], dtype: type[Any]) -> dict[str, Any]:
    """The attributes of a TreeEnsemble (ai.onnx.ml 5) that adds ``weights[i]`` (n_nodes,) to ``targets[i]``.

    In ``float32`` thresholds are rounded down, which changes no comparison with a float32.
    """
    from onnx import numpy_helper

    kept: dict[str, list[Any]] = {name: [] for name in ("feature", "split", "missing", "target", "weight")}
    branches: dict[str, list[Any]] = {name: [] for name in ("true", "true_leaf", "false", "false_leaf")}
    roots, inner_count, leaf_count = [], 0, 0
    for tree, target, weight in zip(trees, targets, weights, strict=True):
        leaf = tree.left == -1
        inner, leaves = np.flatnonzero(~leaf), np.flatnonzero(leaf)
        place = np.empty(len(leaf), dtype=np.int64)  # where a node stands among all inner nodes, or all leaves
        place[inner] = inner_count + np.arange(len(inner))
        place[leaves] = leaf_count + np.arange(len(leaves))
        roots.append(inner_count)
        left, right = tree.left[inner], tree.right[inner]
        if not len(inner):  # one leaf, which a node without a question leads to
            inner, left, right = np.array([0]), np.array([0]), np.array([0])
        kept["feature"].append(np.maximum(tree.feature[inner], 0))
        kept["split"].append(tree.threshold[inner])
        kept["missing"].append(tree.missing_left[inner])
        kept["target"].append(np.full(len(leaves), target))
        kept["weight"].append(np.asarray(weight, dtype=np.float64)[leaves])
        for name, child in (("true", left), ("false", right)):
            branches[name].append(place[child])
            branches[f"{name}_leaf"].append(leaf[child])
        inner_count, leaf_count = inner_count + len(inner), leaf_count + len(leaves)
    joined = {name: np.concatenate(parts) for name, parts in (kept | branches).items()}
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
        "nodes_modes": numpy_helper.from_array(np.zeros(inner_count, dtype=np.uint8)),  # at most
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
