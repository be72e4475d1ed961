"""Read the trees of XGBoost from its JSON.

XGBoost rounds a row to float32, compares it with float32 thresholds by ``<``, and adds leaves in float32, one tree
after the other. A split on categories, of one or of several, sends those that it lists to the right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.boosting import Boosting, Link
from orchestrator.packaging.onnx.category_splits import THRESHOLD, CategorySplits, are_codes
from orchestrator.packaging.onnx.trees import Tree

LINKS: Mapping[str, Link] = {
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "reg:logistic": "sigmoid",
    "binary:logistic": "sigmoid",
    "multi:softprob": "softmax",
}


def read_xgboost(estimator: Any) -> Boosting:
    """Read a fitted XGBClassifier or XGBRegressor (or XGBRF*), up to the best iteration if it stopped early.

    Raises:
        NotImplementedError: its objective, its booster, or a kind of its splits has no translation.
    """
    learner = json.loads(estimator.get_booster().save_raw("json"))["learner"]
    name, booster = learner["objective"]["name"], learner["gradient_booster"]
    if name not in LINKS:
        raise NotImplementedError(f"no converter for the objective '{name}' of XGBoost")
    if booster["name"] != "gbtree":
        raise NotImplementedError(f"no converter for booster={booster['name']} of XGBoost")
    if not np.isnan(estimator.missing):
        raise NotImplementedError(f"no converter for missing={estimator.missing} of XGBoost")
    model, shape = booster["model"], learner["learner_model_param"]
    outputs = max(int(shape["num_class"]), int(shape.get("num_target", 1)), 1)
    count = _tree_count(estimator, model, outputs)
    # versions before 3.1 do not write them
    if not all(not each.get("offsets") and are_codes(each["values"]) for each in model.get("cats", {}).get("enc", ())):
        raise NotImplementedError(
            "no converter for XGBoost on categories that are no codes; preprocess=native makes codes"
        )
    categories = CategorySplits(int(shape["num_feature"]))
    trees = [_tree(each, categories) for each in model["trees"][:count]]
    base = _base(shape["base_score"], LINKS[name], outputs)
    return Boosting(trees, model["tree_info"][:count], base, np.float32, np.float32, LINKS[name], categories=categories)


def _tree_count(estimator: Any, model: Mapping[str, Any], outputs: int) -> int:
    """Return the number of trees that predict."""
    count = len(model["trees"])
    try:
        best = int(estimator.best_iteration)
    except AttributeError:  # it has not stopped early
        return count
    return min(count, (best + 1) * outputs * int(model["gbtree_model_param"]["num_parallel_tree"]))


def _base(written: str, link: Link, outputs: int) -> Any:
    """Return the start of the sums (n_outputs,), float32.

    It is written as a number, from version 3.1 on as a list; before the link, but of several classes behind it.
    """
    parsed = np.atleast_1d(np.array(json.loads(written), dtype=np.float32))
    score = np.broadcast_to(parsed, (outputs,)) if len(parsed) == 1 else parsed
    if len(score) != outputs:
        raise NotImplementedError("no converter for the base_score of XGBoost")
    if link == "exp":
        return np.log(score)
    if link == "sigmoid":
        return -np.log(np.float32(1) / score - np.float32(1))
    return score


def _tree(dump: Mapping[str, Any], categories: CategorySplits) -> Tree:
    if int(dump["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise NotImplementedError("no converter for trees of XGBoost with several outputs")
    left, right = (np.array(dump[f"{side}_children"], dtype=np.int64) for side in ("left", "right"))
    split = np.array(dump["split_conditions"], dtype=np.float32)  # in a leaf its value
    feature = np.where(left == -1, -1, np.array(dump["split_indices"], dtype=np.int64))
    # below a float32 is at most the one before it
    threshold = np.where(left == -1, 0, np.nextafter(split, np.float32(-np.inf))).astype(np.float64)
    missing_left = np.array(dump["default_left"], dtype=np.int64)
    parts = (dump.get(f"categories{part}", ()) for part in ("_nodes", "_segments", "_sizes"))
    for node, start, size in zip(*parts, strict=True):  # the categories on the right, so both sides change places
        listed = dump["categories"][start : start + size]
        feature[node], threshold[node] = categories.feature(int(feature[node]), listed), THRESHOLD
        left[node], right[node], missing_left[node] = right[node], left[node], not missing_left[node]
    cover = np.array(dump["sum_hessian"], dtype=np.float64)
    return Tree(feature, threshold, left, right, missing_left, split[:, None], cover)
