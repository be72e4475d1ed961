"""Our converters for skl2onnx: the transformers that ship, and the steps where its own would lose float64.

Found with skl2onnx 1.20 and ONNX Runtime 1.32, on float64 input: ``Imputer`` has no kernel for float64, ``Scaler``
keeps means and scales in float32, ``OneHotEncoder`` takes whole numbers or text only, and the outputs of
``TreeEnsembleClassifier`` and ``TreeEnsembleRegressor`` are float32. These here compute what scikit-learn computes, in
its order, so trees are equal to the bit and a tie of two classes is the same tie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from orchestrator.compiling.trees import ensemble, trees_of

ML = "ai.onnx.ml"
ML_OPSET = 5  # the first whose trees add in float64; skl2onnx writes 3, so it is raised afterwards
Converter = Callable[["_Graph", Any, str], list[str]]


class _Graph:
    """Adds nodes and constants to skl2onnx's container, each under a name of its own."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name: str = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, None, None, numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output: str = self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), [output], name=name, **attributes)
        return output

    def cast(self, name: str, dtype: Any) -> str:
        from onnx import helper

        return self.node("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def converters() -> tuple[dict[type, Any], dict[type, Any]]:
    """Conversion functions and shape calculators by class, as ``convert_sklearn`` takes them."""
    from sklearn import ensemble as forests
    from sklearn import impute, preprocessing, tree

    from score import transforms

    steps = {
        transforms.ToFloat: _to_float,
        transforms.ZerosToMissing: _zeros_to_missing,
        impute.SimpleImputer: _imputer,
        preprocessing.StandardScaler: _scaler,
        preprocessing.OneHotEncoder: _one_hot,
    }
    classifiers = {
        tree.DecisionTreeClassifier: _forest_classifier,
        forests.RandomForestClassifier: _forest_classifier,
        forests.ExtraTreesClassifier: _forest_classifier,
        forests.HistGradientBoostingClassifier: _histogram_classifier,
    }
    regressors = {
        tree.DecisionTreeRegressor: _forest_regressor,
        forests.RandomForestRegressor: _forest_regressor,
        forests.ExtraTreesRegressor: _forest_regressor,
        forests.HistGradientBoostingRegressor: _histogram_regressor,
    }
    functions = {kind: _converting(convert) for kind, convert in (steps | classifiers | regressors).items()}
    shapes = dict.fromkeys(steps | regressors, _table_shape) | dict.fromkeys(classifiers, _classifier_shape)
    return functions, shapes


def _converting(convert: Converter) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType

    def converted(scope: Any, operator: Any, container: Any) -> None:
        (given,) = operator.inputs
        graph, table = _Graph(scope, container), given.full_name
        if not isinstance(given.type, DoubleTensorType):  # after a step of skl2onnx's own
            table = graph.cast(table, np.float64)
        results = convert(graph, operator.raw_operator, table)
        for result, output in zip(results, operator.outputs, strict=True):
            container.add_node(
                "Identity", [result], [output.full_name], name=scope.get_unique_operator_name("Identity")
            )

    return converted


def _table_shape(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType

    operator.outputs[0].type = DoubleTensorType([None, None])


def _classifier_shape(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType

    operator.outputs[0].type = Int64TensorType([None])
    operator.outputs[1].type = DoubleTensorType([None, len(operator.raw_operator.classes_)])


# --- steps


def _to_float(_graph: _Graph, _step: Any, table: str) -> list[str]:
    return [table]  # the table is float64 from the start


def _zeros_to_missing(graph: _Graph, step: Any, table: str) -> list[str]:
    chosen = np.isin(step.feature_names_in_, list(step.columns))
    zero = graph.node("Equal", table, graph.constant(np.array([0.0])))
    hidden = graph.node("And", zero, graph.constant(chosen[None, :]))
    return [graph.node("Where", hidden, graph.constant(np.array([np.nan])), table)]


def _imputer(graph: _Graph, step: Any, table: str) -> list[str]:
    if step.add_indicator:
        raise NotImplementedError("no converter for SimpleImputer with add_indicator")
    filled = np.asarray(step.statistics_, dtype=np.float64)
    gap = step.missing_values
    if isinstance(gap, float) and np.isnan(gap):
        missing = graph.node("IsNaN", table)
    else:
        missing = graph.node("Equal", table, graph.constant(np.array([gap], dtype=np.float64)))
    result = graph.node("Where", missing, graph.constant(filled[None, :]), table)
    if np.isnan(filled).any():  # scikit-learn drops a column that training saw nothing of
        result = graph.node("Gather", result, graph.constant(np.flatnonzero(~np.isnan(filled))), axis=1)
    return [result]


def _scaler(graph: _Graph, step: Any, table: str) -> list[str]:
    if step.with_mean:
        table = graph.node("Sub", table, graph.constant(step.mean_[None, :]))
    if step.with_std:
        table = graph.node("Div", table, graph.constant(step.scale_[None, :]))
    return [table]


def _one_hot(graph: _Graph, step: Any, table: str) -> list[str]:
    if step.min_frequency is not None or step.max_categories is not None:
        raise NotImplementedError("no converter for OneHotEncoder with infrequent categories")
    drop = step.drop_idx_ if step.drop_idx_ is not None else [None] * len(step.categories_)
    kept = [
        np.delete(known, [] if left_out is None else [left_out])
        for known, left_out in zip(step.categories_, drop, strict=True)
    ]
    wanted = np.concatenate(kept).astype(np.float64)
    if np.isnan(wanted).any():  # NaN equals nothing; no request holds infinity
        table = graph.node("Where", graph.node("IsNaN", table), graph.constant(np.array([np.inf])), table)
        wanted = np.where(np.isnan(wanted), np.inf, wanted)
    origin = np.repeat(np.arange(len(kept)), [len(known) for known in kept])
    spread = graph.node("Gather", table, graph.constant(origin), axis=1)
    return [graph.cast(graph.node("Equal", spread, graph.constant(wanted[None, :])), np.float64)]


# --- trees


def _forest_classifier(graph: _Graph, forest: Any, table: str) -> list[str]:
    """Each tree gives the number of its leaf; the leaves' shares of the classes are looked up, and then added."""
    trees, dtype = trees_of(forest)
    starts = np.cumsum([0, *(len(tree.left) for tree in trees)])[:-1]
    numbers = [np.arange(len(tree.left)) for tree in trees]
    if max(map(len, numbers)) >= 2**24:
        raise NotImplementedError("no converter for trees with more nodes than float32 can number")
    leaves = graph.node(
        "TreeEnsemble",
        graph.cast(table, dtype),
        op_domain=ML,
        op_version=3,
        **ensemble(trees, range(len(trees)), numbers, dtype),
    )
    numbered = graph.node("Add", graph.cast(leaves, np.int64), graph.constant(starts))
    shares = graph.node("Gather", graph.constant(np.concatenate([tree.value for tree in trees])), numbered, axis=0)
    total = graph.node("ReduceSum", shares, graph.constant(np.array([1])), keepdims=0)
    probabilities = graph.node("Div", total, graph.constant(np.array([float(len(trees))])))
    return [_labels(graph, probabilities, forest.classes_), probabilities]


def _forest_regressor(graph: _Graph, forest: Any, table: str) -> list[str]:
    trees, dtype = trees_of(forest)
    rounded = graph.cast(graph.cast(table, dtype), np.float64)
    attributes = ensemble(trees, [0] * len(trees), [tree.value[:, 0] for tree in trees], np.float64)
    total = graph.node("TreeEnsemble", rounded, op_domain=ML, op_version=3, **attributes)
    return [graph.node("Div", total, graph.constant(np.array([float(len(trees))])))]


def _histogram_raw(graph: _Graph, boosting: Any, table: str) -> str:
    """The baseline plus the trees: added to the first leaves, since scikit-learn adds in this order, too."""
    trees, dtype = trees_of(boosting)
    baseline = np.ravel(boosting._baseline_prediction)  # noqa: SLF001  # no public name
    targets = [index % len(baseline) for index in range(len(trees))]
    weights = [tree.value[:, 0] for tree in trees]
    weights[: len(baseline)] = [base + first for base, first in zip(baseline, weights, strict=False)]
    return graph.node("TreeEnsemble", table, op_domain=ML, op_version=3, **ensemble(trees, targets, weights, dtype))


def _histogram_classifier(graph: _Graph, boosting: Any, table: str) -> list[str]:
    raw = _histogram_raw(graph, boosting, table)
    if len(boosting.classes_) > 2:
        return [_labels(graph, raw, boosting.classes_), graph.node("Softmax", raw, axis=1)]
    positive = graph.node("Sigmoid", raw)
    negative = graph.node("Sub", graph.constant(np.array([1.0])), positive)
    both = graph.node("Concat", graph.node("Neg", raw), raw, axis=1)
    return [_labels(graph, both, boosting.classes_), graph.node("Concat", negative, positive, axis=1)]


def _histogram_regressor(graph: _Graph, boosting: Any, table: str) -> list[str]:
    raw, loss = _histogram_raw(graph, boosting, table), boosting.loss
    return [graph.node("Exp", raw) if loss in ("poisson", "gamma") else raw]


def _labels(graph: _Graph, scores: str, classes: Any) -> str:
    best = graph.node("ArgMax", scores, axis=1, keepdims=0)
    return graph.node("Gather", graph.constant(np.asarray(classes, dtype=np.int64)), best, axis=0)
