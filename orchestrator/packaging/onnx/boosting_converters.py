"""Converters for classifiers and regressors of LightGBM, XGBoost and CatBoost: sums of trees, and labels from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.boosting import Boosting, find_reader
from orchestrator.packaging.onnx.graph_builder import GraphBuilder
from orchestrator.packaging.onnx.nested_parts import Parts, class_name, fitted_inside, pick_class
from orchestrator.packaging.onnx.tree_converters import ML
from orchestrator.packaging.onnx.trees import ensemble_attributes


def parsers(pipeline: Any) -> dict[type, Any]:
    """Return a parser for each of these libraries' classes in a fitted pipeline, as ``convert_sklearn`` takes them."""
    kinds = {type(each) for each in fitted_inside(pipeline) if find_reader(each) is not None}
    for kind in kinds:
        if kind.__module__.startswith("xgboost.") and _gives_sparse(pipeline):
            raise NotImplementedError(
                f"no converter for {kind.__name__} on a sparse table, whose zeros are missing values to it; set the encoder's "
                "sparse_output=false"
            )
    return dict.fromkeys(kinds, _parse)


def _gives_sparse(pipeline: Any) -> bool:
    """Return whether the step before the model gives a sparse matrix."""
    step = pipeline.steps[-2][1] if len(pipeline.steps) > 1 else None
    return bool(getattr(step, "sparse_output_", getattr(step, "sparse_output", False)))


def _parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> list[Any]:
    from skl2onnx.common.data_types import DoubleTensorType

    reader = find_reader(model)
    if reader is None or len(inputs) != 1:
        raise NotImplementedError(f"no converter for {class_name(model)} on several tables")
    parts, found = Parts(scope, inputs, custom_parsers), reader(model)
    if not found.trees:
        raise NotImplementedError(f"no converter for {class_name(model)} without trees")

    def raw(graph: GraphBuilder, tables: Sequence[str]) -> str:
        """Return the sums, for a table of whatever type the step before has (known only now)."""
        given = tables[0] if isinstance(inputs[0].type, DoubleTensorType) else graph.cast(tables[0], np.float64)
        return _sums(graph, found, given)

    if hasattr(model, "predict_proba"):
        answer = _probabilities(found, model)
        return parts.classes(inputs, model.classes_, lambda graph, tables: answer(graph, raw(graph, tables)))
    if found.link not in _NUMBERS or len(found.base) > 1:
        raise NotImplementedError(f"no converter for {class_name(model)} with several outputs")
    return parts.table(inputs, 1, lambda graph, tables: [_NUMBERS[found.link](graph, raw(graph, tables))])


def _sums(graph: GraphBuilder, found: Boosting, table: str) -> str:
    """Return the sums (n_rows, n_outputs), float64; what they start from is in the leaves of the first trees."""
    rounded = table if found.categories is None else found.categories.extend_graph(graph, table)
    table = rounded
    for dtype in (found.compares, found.sums):
        rounded = rounded if dtype is np.float64 and rounded == table else graph.cast(rounded, dtype)
    weights = [tree.value[:, 0].astype(found.sums) for tree in found.trees]
    for target, base in enumerate(found.base.astype(found.sums)):
        weights[found.targets.index(target)] = base + weights[found.targets.index(target)]
    attributes = ensemble_attributes(found.trees, found.targets, weights, found.sums)
    sums = graph.node("TreeEnsemble", rounded, op_domain=ML, op_version=3, **attributes)
    raw = sums if found.sums is np.float64 else graph.cast(sums, np.float64)
    return raw if found.scale == 1 else graph.node("Mul", raw, graph.constant(np.array([found.scale])))


_NUMBERS: Mapping[str, Callable[[GraphBuilder, str], str]] = {
    "identity": lambda _, raw: raw,
    "exp": lambda graph, raw: graph.node("Exp", raw),
    "sigmoid": lambda graph, raw: graph.node("Sigmoid", raw),
}


def _probabilities(found: Boosting, model: Any) -> Callable[[GraphBuilder, str], list[str]]:
    """Return what turns sums into labels and probabilities; the label is the first of the most probable."""
    count, narrow = len(model.classes_), found.sums is np.float32
    shares: Mapping[Any, Callable[[GraphBuilder, str], str]] = {
        ("sigmoid", 1, 2): _narrow_sigmoid if narrow else _sigmoid,
        ("softmax", count, count): _narrow_softmax if narrow else lambda graph, raw: graph.node("Softmax", raw, axis=1),
        ("sigmoids", count, count): lambda graph, raw: graph.node("Sigmoid", raw),
    }
    share = shares.get((found.link, len(found.base), count))
    if share is None:
        raise NotImplementedError(f"no converter for {class_name(model)} whose sums are no probabilities")

    def answer(graph: GraphBuilder, raw: str) -> list[str]:
        probabilities = share(graph, raw)
        return [pick_class(graph, probabilities, model.classes_), probabilities]

    return answer


def _sigmoid(graph: GraphBuilder, raw: str) -> str:
    positive = graph.node("Sigmoid", raw)
    negative = graph.node("Sub", graph.constant(np.array([1.0])), positive)
    return graph.node("Concat", negative, positive, axis=1)


def _narrow_sigmoid(graph: GraphBuilder, raw: str) -> str:
    """Compute in float32 what a library does, so that even odds are where it has them."""
    one = graph.constant(np.array([1], dtype=np.float32))
    power = graph.cast(graph.node("Exp", graph.node("Neg", raw)), np.float32)
    positive = graph.node("Div", one, graph.node("Add", one, power))
    both = graph.node("Concat", graph.node("Sub", one, positive), positive, axis=1)
    return graph.cast(both, np.float64)


def _narrow_softmax(graph: GraphBuilder, raw: str) -> str:
    """Compute in float32 what a library does, so that ties are where it has them."""
    classes = graph.constant(np.array([1]))
    largest = graph.node("ReduceMax", raw, classes, keepdims=1)
    below = graph.cast(graph.cast(graph.node("Sub", raw, largest), np.float32), np.float64)
    powers = graph.cast(graph.node("Exp", below), np.float32)
    total = graph.node("ReduceSum", graph.cast(powers, np.float64), classes, keepdims=1)
    return graph.cast(graph.node("Div", powers, graph.cast(total, np.float32)), np.float64)
