"""Read the trees of LightGBM from its dump.

LightGBM compares float64 values with float64 thresholds, and adds leaves in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.boosting import Boosting, Link
from orchestrator.packaging.onnx.category_splits import THRESHOLD, CategorySplits, are_codes
from orchestrator.packaging.onnx.trees import Tree

ZERO = float(np.float32(1e-35))  # LightGBM takes values of at most this size for zero
LINKS: Mapping[str, Link] = {
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "binary": "sigmoid",
    "multiclass": "softmax",
    "multiclassova": "sigmoids",
}


def read_lightgbm(estimator: Any) -> Boosting:
    """Read a fitted LGBMClassifier or LGBMRegressor, up to the best iteration if it stopped early.

    Raises:
        NotImplementedError: its objective, or a kind of its splits, has no translation.
    """
    dump = estimator.booster_.dump_model()
    name, *options = str(dump.get("objective", "custom")).split()
    if name not in LINKS or "sqrt" in options:
        raise NotImplementedError(f"no converter for the objective '{' '.join([name, *options])}' of LightGBM")
    outputs = dump["num_tree_per_iteration"]
    if not all(map(are_codes, estimator.booster_.pandas_categorical or ())):
        raise NotImplementedError(
            "no converter for LightGBM on categories that are no codes; preprocess=native makes codes"
        )
    categories = CategorySplits(dump["max_feature_idx"] + 1)
    trees = [_tree(each["tree_structure"], categories) for each in dump["tree_info"]]
    slope = next((float(each.partition(":")[2]) for each in options if each.startswith("sigmoid:")), 1.0)
    if dump["average_output"]:  # a random forest
        slope *= outputs / max(1, len(trees))
    targets = [place % outputs for place in range(len(trees))]
    return Boosting(trees, targets, np.zeros(outputs), np.float64, np.float64, LINKS[name], slope, categories)


def _tree(root: Mapping[str, Any], categories: CategorySplits) -> Tree:
    nodes = [root]
    left, right = [], []
    for node in nodes:  # which grows
        inner = "split_feature" in node
        left.append(len(nodes) if inner else -1)
        right.append(len(nodes) + 1 if inner else -1)
        if inner:
            nodes += [node["left_child"], node["right_child"]]
        elif node.get("leaf_coeff"):
            raise NotImplementedError("no converter for linear_tree of LightGBM")
    splits = [_split(node, categories) if "split_feature" in node else (-1, 0.0, False) for node in nodes]
    feature, threshold, missing_left = zip(*splits, strict=True)
    return Tree(
        np.array(feature, dtype=np.int64),
        np.array(threshold, dtype=np.float64),
        np.array(left, dtype=np.int64),
        np.array(right, dtype=np.int64),
        np.array(missing_left, dtype=np.int64),
        np.array([[node.get("leaf_value", 0.0)] for node in nodes], dtype=np.float64),
        np.array([node.get("internal_count", node.get("leaf_count", 0)) for node in nodes], dtype=np.float64),
    )


def _split(node: Mapping[str, Any], categories: CategorySplits) -> tuple[int, float, bool]:
    """Return the feature, the threshold, and whether a missing value goes left."""
    if node["decision_type"] == "==":
        codes = map(int, str(node["threshold"]).split("||"))
        return categories.feature(node["split_feature"], codes), THRESHOLD, False
    missing, threshold = node["missing_type"], float(node["threshold"])
    zero_left = threshold >= 0
    if missing == "Zero" and bool(node["default_left"]) != zero_left:
        raise NotImplementedError("no converter for zero_as_missing of LightGBM")
    if -ZERO <= threshold < ZERO:  # values next to zero are compared as zero
        threshold = ZERO if zero_left else float(np.nextafter(-ZERO, -np.inf))
    # without missing values in the training rows, a missing one is compared as zero
    return node["split_feature"], threshold, bool(node["default_left"]) if missing == "NaN" else zero_left
