"""Read the trees of CatBoost from its JSON.

CatBoost rounds a row to float32 and compares it with float32 borders by ``>``; a tree has one border a level, and a
row's answers are the bits of the number of its leaf, that of the first border the lowest. Leaves are added in float64.

A split on categories compares a number that CatBoost made of each category from the training rows' targets, or asks for one
category. Which categories it takes is asked of CatBoost, by the leaves of a row of each category.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from orchestrator.packaging.onnx.boosting import Boosting, Link
from orchestrator.packaging.onnx.category_splits import THRESHOLD, CategorySplits
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
    if dump["features_info"].get("text_features") or dump["features_info"].get("embedding_features"):
        raise NotImplementedError("no converter for columns of text or embeddings of CatBoost")
    if "oblivious_trees" not in dump:
        raise NotImplementedError("no converter for a grow_policy of CatBoost other than SymmetricTree")
    scale, bias = dump["scale_and_bias"]
    base = np.array(bias, dtype=np.float64)
    split = _Splits(estimator, dump["features_info"])
    trees = []
    for place, each in enumerate(dump["oblivious_trees"]):
        levels = [split.read(one, place, level) for level, one in enumerate(each["splits"] or ())]
        values = float(scale) * np.array(each["leaf_values"], dtype=np.float64).reshape(-1, len(base))
        trees += _trees(levels, values, np.array(each["leaf_weights"], dtype=np.float64))
    targets = list(range(len(base))) * len(dump["oblivious_trees"])
    return Boosting(trees, targets, base, np.float32, np.float64, LINKS[name], categories=split.sets)


class _Level(NamedTuple):
    """The split of all nodes of one level; ``yes_left`` says that CatBoost's right side is the left one here."""

    feature: int
    threshold: float
    missing_left: bool
    yes_left: bool = False


class _Splits:
    """Reads the splits of a model, those on categories with the answers that the fitted ``estimator`` gives."""

    def __init__(self, estimator: Any, described: Mapping[str, Any]) -> None:
        numbers, categories = (described.get(f"{kind}_features") or () for kind in ("float", "categorical"))
        self._numbers = {each["feature_index"]: each for each in numbers}
        self._places = [each["flat_feature_index"] for each in categories]
        self.sets = CategorySplits(len(estimator.feature_names_))
        self._ctrs, self._leaves = _ctr_columns(described), list[Any]()
        # numbers of splits: those on numbers, then on one category, then on what is computed of categories
        self._first_ctr = sum(len(each.get("borders") or ()) for each in numbers)
        self._first_ctr += sum(len(each.get("values") or ()) for each in categories)
        if categories:
            from score.native_catboost import LEVELS  # which imports the library

            levels = json.loads(dict(estimator.get_metadata()).get(LEVELS, "{}"))
            if {*map(int, levels)} != {*self._places}:
                raise NotImplementedError(
                    "no converter for CatBoost on categories that are no codes; preprocess=native makes codes"
                )
            self._leaves = [self._leaves_of(estimator, place, levels[str(place)]) for place in self._places]

    def _leaves_of(self, estimator: Any, place: int, count: int) -> Any:
        """Return the leaf (count + 2, n_trees) of a missing value of one column, of each code, and of an unknown one."""
        import pandas as pd

        columns: dict[str, Any] = {name: np.zeros(count + 2) for name in estimator.feature_names_}
        columns |= {estimator.feature_names_[each]: np.full(count + 2, -1) for each in self._places}
        columns[estimator.feature_names_[place]] = np.arange(-1, count + 1)
        return estimator.calc_leaf_indexes(pd.DataFrame(columns)).astype(np.int64)

    def read(self, split: Mapping[str, Any], tree: int, level: int) -> _Level:
        """Return a split of one of the trees."""
        if split["split_type"] == "FloatFeature":
            column = self._numbers[split["float_feature_index"]]
            return _Level(
                column["flat_feature_index"],
                float(np.float32(split["border"])),
                column["nan_value_treatment"] != "AsTrue",
            )
        if split["split_type"] == "OneHotFeature":
            column = split["cat_feature_index"]
        elif split["split_type"] == "OnlineCtr":
            column, border = self._ctrs[split["split_index"] - self._first_ctr]
            if border != split["border"]:
                raise NotImplementedError("no converter for the order of CatBoost's splits on categories")
        else:
            raise NotImplementedError(f"no converter for a {split['split_type']} of CatBoost")
        missing, *known, unknown = (self._leaves[column][:, tree] >> level & 1).astype(bool).tolist()
        chosen = [code for code, answer in enumerate(known) if answer != unknown]
        # of the further column these go left, and unknown codes right
        return _Level(self.sets.feature(self._places[column], chosen), THRESHOLD, missing != unknown, not unknown)


def _ctr_columns(described: Mapping[str, Any]) -> list[tuple[int, float]]:
    """Return the column of categories, and the border, of each split on numbers that are computed of categories."""
    found = []
    for each in described.get("ctrs") or ():
        if [part["combination_element"] for part in each["elements"]] != ["cat_feature_value"]:
            raise NotImplementedError(
                "no converter for CatBoost's combinations of columns; model.params.max_ctr_complexity=1 makes none"
            )
        found += [(each["elements"][0]["cat_feature_index"], border) for border in each["borders"]]
    return found


def _trees(splits: Sequence[_Level], values: Any, weights: Any) -> list[Tree]:
    """Return one tree for each output of ``values`` (n_leaves, n_outputs); they differ in their leaves."""
    depth = len(splits)
    inner = 2**depth - 1  # whose nodes are numbered level by level; the leaves follow
    # the highest bit decides first, so that leaves lie in the order of their numbers
    levels = np.repeat(np.arange(depth)[::-1], 2 ** np.arange(depth))
    order = np.arange(2**depth) ^ sum(1 << level for level, split in enumerate(splits) if split.yes_left)
    values, weights = values[order], weights[order]
    nodes, leaf = np.arange(inner), np.full(2**depth, -1)

    def filled(known: Sequence[Any], empty: Any, dtype: Any) -> Any:
        return np.append(np.array(known, dtype=dtype)[levels], np.full(2**depth, empty, dtype=dtype))

    shared = (
        filled([split.feature for split in splits], -1, np.int64),
        filled([split.threshold for split in splits], 0, np.float64),
        np.append(2 * nodes + 1, leaf),
        np.append(2 * nodes + 2, leaf),
        filled([split.missing_left for split in splits], 0, np.int64),
    )
    cover = np.concatenate([weights.reshape(2**level, -1).sum(axis=1) for level in range(depth + 1)])
    return [Tree(*shared, np.append(np.zeros(inner), column)[:, None], cover) for column in values.T]
