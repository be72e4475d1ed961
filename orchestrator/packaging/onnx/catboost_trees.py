"""Read the trees of CatBoost from its JSON.

CatBoost rounds a row to float32 and compares it with float32 borders by ``>``; a tree has one border a level, and a
row's answers are the bits of the number of its leaf, that of the first border the lowest. Leaves are added in float64.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.boosting import Boosting, Link
from orchestrator.packaging.onnx.trees import Tree

LINKS: Mapping[str, Link] = {
    "RMSE": "identity",
    "MAE": "identity",
    "MAPE": "identity",
    "Quantile": "identity",
    "Huber": "identity",
    "LogCosh": "identity",
    "Poisson": "exp",
    "Tweedie": "exp",
    "Logloss": "sigmoid",
    "CrossEntropy": "sigmoid",
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "sigmoids",
}


def read_catboost(estimator: Any) -> Boosting:
    """Read a fitted CatBoostClassifier or CatBoostRegressor.

    Raises:
        NotImplementedError: its loss function, or a kind of its splits, has no translation.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        estimator.save_model(str(path), format="json")
        dump = json.loads(path.read_bytes())
    name = str(dump["model_info"]["params"]["loss_function"]["type"])
    if name not in LINKS:
        raise NotImplementedError(f"no converter for loss_function={name} of CatBoost")
    if dump["features_info"].get("categorical_features") or dump["features_info"].get("text_features"):
        raise NotImplementedError("no converter for categorical columns of CatBoost; preprocess=tabular encodes them")
    if "oblivious_trees" not in dump:
        raise NotImplementedError("no converter for a grow_policy of CatBoost other than SymmetricTree")
    scale, bias = dump["scale_and_bias"]
    base = np.array(bias, dtype=np.float64)
    columns = {each["feature_index"]: each for each in dump["features_info"]["float_features"]}
    trees = [tree for each in dump["oblivious_trees"] for tree in _trees(each, columns, len(base), float(scale))]
    targets = list(range(len(base))) * len(dump["oblivious_trees"])
    return Boosting(trees, targets, base, np.float32, np.float64, LINKS[name])


def _trees(
    dump: Mapping[str, Any], columns: Mapping[int, Mapping[str, Any]], outputs: int, scale: float
) -> Sequence[Tree]:
    """Return one tree for each output; they differ in their leaves."""
    splits = dump["splits"] or []
    depth = len(splits)
    inner = 2**depth - 1  # whose nodes are numbered level by level; the leaves follow
    # the highest bit decides first, so that leaves lie in the order of their numbers
    levels = np.repeat(np.arange(depth)[::-1], 2 ** np.arange(depth))
    features, borders, missing_left = [], [], []
    for split in splits:
        if split["split_type"] != "FloatFeature":
            raise NotImplementedError(f"no converter for a {split['split_type']} of CatBoost")
        column = columns[split["float_feature_index"]]
        features.append(column["flat_feature_index"])
        borders.append(np.float32(split["border"]))
        missing_left.append(column["nan_value_treatment"] != "AsTrue")
    nodes = np.arange(inner)
    leaf = np.full(2**depth, -1)
    values = scale * np.array(dump["leaf_values"], dtype=np.float64).reshape(2**depth, outputs)

    def filled(known: Sequence[Any], empty: Any, dtype: Any) -> Any:
        return np.append(np.array(known, dtype=dtype)[levels], np.full(2**depth, empty, dtype=dtype))

    shared = (
        filled(features, -1, np.int64),
        filled(borders, 0, np.float64),
        np.append(2 * nodes + 1, leaf),
        np.append(2 * nodes + 2, leaf),
        filled(missing_left, 0, np.int64),
    )
    return [Tree(*shared, np.append(np.zeros(inner), values[:, output])[:, None]) for output in range(outputs)]
