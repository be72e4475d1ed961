"""A fitted estimator as a sum, of trees or of features, whose parts are then explained exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.boosting import Link, find_reader
from orchestrator.packaging.onnx.category_splits import CategorySplits
from orchestrator.packaging.onnx.trees import Tree, extract_trees, histogram_trees
from score.explain.explainer import Method
from score.explain.trees import TreeArrays

SPACES: Mapping[Link, str] = {
    "identity": "prediction",
    "exp": "log of the prediction",
    "sigmoid": "log-odds",
    "softmax": "softmax score",
    "sigmoids": "log-odds of each class by itself",
}
SINGLE = 1e-4  # relative, of what is computed in float32
MAX_NUMBERS = 2**23  # of all trees, 5 for each node and one for each of its values: some 64 MB in memory


@dataclass(frozen=True)
class AdditiveModel:
    """An estimator whose output is a ``link`` of sums.

    Attributes:
        method: "trees" or "linear".
        space: What the sums are.
        link: From the sums to what the estimator predicts.
        outputs: The class codes of the sums; None in a regression.
        arrays: Those of ``score.explain``, without the features' columns.
        tolerance: Relative, of what the estimator predicts: 1e-9, or that of float32 for libraries that add in it.
    """

    method: Method
    space: str
    link: Link
    outputs: Sequence[int] | None
    arrays: Mapping[str, Any] = field(repr=False)
    tolerance: float = 1e-9

    def predicted(self, sums: Any) -> Any:
        """Return the probabilities of all classes, or the numbers in a column, for sums (n_rows, n_outputs)."""
        if self.link == "exp":
            return np.exp(sums)
        if self.link == "softmax":
            raised = np.exp(sums - sums.max(axis=1, keepdims=True))
            return raised / raised.sum(axis=1, keepdims=True)
        shares = sums if self.link == "identity" else 1 / (1 + np.exp(-sums))
        if self.link == "sigmoids":
            return shares / shares.sum(axis=1, keepdims=True)
        return shares if self.outputs is None or len(self.outputs) > 1 else np.hstack([1 - shares, shares])


def describe_model(estimator: Any) -> AdditiveModel:
    """Return a fitted estimator as a sum.

    Raises:
        NotImplementedError: it is none, or its trees do not say how many rows reached their nodes.
    """
    from sklearn import ensemble, linear_model, tree

    classes = [
        int(code) for code in getattr(estimator, "classes_", ())
    ] or None  # CatBoost's regressors have none of them
    outputs = classes[1:] if classes and len(classes) == 2 else classes
    bagged = ensemble.BaseEnsemble, tree.BaseDecisionTree
    if (read := find_reader(estimator)) is not None:
        found = read(estimator)
        values = [found.scale * each.value for each in found.trees]
        start = found.scale * np.asarray(found.base, dtype=np.float64)
        trees = _tree_arrays(found.trees, values, found.targets, start, found.compares, found.categories)
        tolerance = 1e-9 if found.sums is np.float64 else SINGLE
        return AdditiveModel("trees", SPACES[found.link], found.link, outputs, trees, tolerance)
    if isinstance(estimator, ensemble.HistGradientBoostingClassifier | ensemble.HistGradientBoostingRegressor):
        parts, categories = histogram_trees(estimator)
        start = np.ravel(estimator._baseline_prediction)  # noqa: SLF001 - no public name
        return _boosted(estimator, parts, start, outputs, np.float64, categories)
    if isinstance(estimator, ensemble.GradientBoostingClassifier | ensemble.GradientBoostingRegressor):
        parts, dtype = extract_trees(estimator)
        row = np.zeros((1, estimator.n_features_in_), dtype=dtype)
        (start,) = estimator._raw_predict_init(row)  # noqa: SLF001 - checked, as it may not be constant
        return _boosted(estimator, parts, start, outputs, dtype, None, estimator.learning_rate)
    if isinstance(estimator, bagged) and not hasattr(estimator, "estimator_weights_"):
        parts, dtype = extract_trees(estimator)
        if parts and getattr(estimator, "n_outputs_", 1) == 1 and not hasattr(estimator, "estimators_features_"):
            width = slice(1, None) if outputs is not classes else slice(None)
            values = [each.value[:, width] / len(parts) for each in parts]
            start = np.zeros(values[0].shape[1])
            arrays = _tree_arrays(parts, values, [0] * len(parts), start, dtype, None)
            space = "prediction" if outputs is None else "probability"
            return AdditiveModel("trees", space, "identity", outputs, arrays)
    if isinstance(estimator, linear_model.LogisticRegression) or (
        type(estimator).__module__.startswith("sklearn.linear_model.")
        and classes is None
        and hasattr(estimator, "coef_")
    ):
        coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
        intercept = np.ravel(estimator.intercept_).astype(np.float64)
        link: Link = "identity" if classes is None else "sigmoid" if len(coef) == 1 else "softmax"
        if isinstance(estimator, linear_model.PoissonRegressor | linear_model.GammaRegressor):
            link = "exp"
        return AdditiveModel("linear", SPACES[link], link, outputs, {"coef": coef, "intercept": intercept})
    raise NotImplementedError(f"{type(estimator).__name__} is neither a sum of trees nor linear")


def _boosted(
    estimator: Any,
    parts: Sequence[Tree],
    start: Any,
    outputs: Sequence[int] | None,
    dtype: type[Any],
    categories: CategorySplits | None,
    rate: float = 1.0,
) -> AdditiveModel:
    """Return scikit-learn's boosting: stages of one tree for each output."""
    if outputs is None:
        link: Link = "exp" if estimator.loss in ("poisson", "gamma") else "identity"
    else:
        link = "sigmoid" if len(start) == 1 else "softmax"
    if estimator.loss == "exponential":  # its raw value is half the log-odds
        rate, start = 2 * rate, 2 * start
    values = [rate * each.value for each in parts]
    targets = [place % len(start) for place in range(len(parts))]
    return AdditiveModel(
        "trees", SPACES[link], link, outputs, _tree_arrays(parts, values, targets, start, dtype, categories)
    )


def _tree_arrays(
    trees: Sequence[Tree],
    values: Sequence[Any],
    targets: Sequence[int],
    start: Any,
    compares: type[Any],
    categories: CategorySplits | None,
) -> dict[str, Any]:
    """Return the arrays of ``score.explain.trees``, with the sets of splits on categories."""
    if any(tree.cover is None for tree in trees):
        raise NotImplementedError("the trees of its library do not say how many rows reached their nodes")
    roots = np.cumsum([0, *(len(tree.left) for tree in trees)])
    width = 5 + max(value.shape[1] for value in values)
    if roots[-1] * width > MAX_NUMBERS:
        raise NotImplementedError(f"its trees have {roots[-1]:,} nodes, more than {MAX_NUMBERS // width:,}")
    numbered = {
        side: np.concatenate([np.where(each < 0, -1, each + root) for each, root in zip(sides, roots, strict=False)])
        for side, sides in (("left", [tree.left for tree in trees]), ("right", [tree.right for tree in trees]))
    }
    joined = {
        name: np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("feature", "threshold", "missing_left", "cover")
    }
    inner = numbered["left"] >= 0
    below = np.column_stack([numbered["left"][inner], numbered["right"][inner]])
    cover = joined["cover"].astype(np.float64)
    if not (cover[below] >= 0).all():
        raise NotImplementedError("some nodes of its trees have training rows of negative weight")
    cover[below[cover[below].sum(axis=1) == 0]] = 1  # below a node that no row reached both sides count the same
    arrays = TreeArrays(
        feature=np.where(inner, joined["feature"], 0).astype(np.int32),
        threshold=joined["threshold"].astype(np.float64),
        missing_left=joined["missing_left"].astype(bool),
        left=numbered["left"].astype(np.int32),
        right=numbered["right"].astype(np.int32),
        cover=cover,
        value=np.concatenate(values).astype(np.float64),
        roots=roots[:-1],
        target=np.asarray(targets, dtype=np.int64),
    ).arrays()
    arrays |= {"start": np.asarray(start, dtype=np.float64), "narrow": np.array(compares is np.float32)}
    return arrays | ({} if categories is None else categories.arrays())
