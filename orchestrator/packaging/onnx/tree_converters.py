"""Converters for scikit-learn's tree models: each sums its leaves in scikit-learn's order and in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.graph_builder import GraphBuilder
from orchestrator.packaging.onnx.trees import Tree, ensemble_attributes, extract_trees, histogram_trees

ML = "ai.onnx.ml"
ML_OPSET = 5  # the first whose trees sum in float64; skl2onnx writes 3, so it is raised afterwards


def forest_classifier(graph: GraphBuilder, forest: Any, table: str) -> list[str]:
    """Average the trees' class shares."""
    trees, dtype = extract_trees(forest)
    total = _sum_rows(graph, trees, [tree.value for tree in trees], table, dtype)
    probabilities = graph.node("Div", total, graph.constant(np.array([float(len(trees))])))
    return [_labels(graph, probabilities, forest.classes_), probabilities]


def adaptive_classifier(graph: GraphBuilder, boosting: Any, table: str) -> list[str]:
    """Sum the trees' votes: each adds its weight to one class and takes a share of it from each of the others."""
    trees, dtype = extract_trees(boosting)
    if not trees:
        raise NotImplementedError(f"no converter for AdaBoost of {type(boosting.estimator_).__name__}")
    others = len(boosting.classes_) - 1
    if not others:
        raise NotImplementedError("no converter for AdaBoost on a single class")
    chosen = [np.eye(others + 1, dtype=bool)[tree.value.argmax(axis=1)] for tree in trees]
    weights = zip(chosen, boosting.estimator_weights_, strict=False)  # after an early stop there are more weights
    votes = [np.where(choice, weight, -1 / others * weight) for choice, weight in weights]
    total = _sum_rows(graph, trees, votes, table, dtype)
    mean = graph.node("Div", total, graph.constant(np.array([boosting.estimator_weights_.sum()])))
    if others > 1:
        raw = graph.node("Div", mean, graph.constant(np.array([float(others)])))
    else:
        first, second = (graph.node("Gather", mean, graph.constant(np.array([place])), axis=1) for place in (0, 1))
        raw = graph.node("Sub", second, first)
    return _classify(graph, raw, boosting.classes_, tie=0)


def _sum_rows(graph: GraphBuilder, trees: Sequence[Tree], rows: Sequence[Any], table: str, dtype: type[Any]) -> str:
    """Sum over the trees the row of each tree's leaf: ``rows[i]`` is (n_nodes, n), and trees return their leaf's number."""
    starts = np.cumsum([0, *(len(tree.left) for tree in trees)])[:-1]
    numbers = [np.arange(len(tree.left)) for tree in trees]
    if max(map(len, numbers)) >= 2**24:
        raise NotImplementedError("no converter for trees with more nodes than float32 can number")
    leaves = graph.node(
        "TreeEnsemble",
        graph.cast(table, dtype),
        op_domain=ML,
        op_version=3,
        **ensemble_attributes(trees, range(len(trees)), numbers, dtype),
    )
    numbered = graph.node("Add", graph.cast(leaves, np.int64), graph.constant(starts))
    leaf_rows = graph.node("Gather", graph.constant(np.concatenate(rows)), numbered, axis=0)
    return graph.node("ReduceSum", leaf_rows, graph.constant(np.array([1])), keepdims=0)


def forest_regressor(graph: GraphBuilder, forest: Any, table: str) -> list[str]:
    """Average the trees' values."""
    trees, dtype = extract_trees(forest)
    rounded = graph.cast(graph.cast(table, dtype), np.float64)
    attributes = ensemble_attributes(trees, [0] * len(trees), [tree.value[:, 0] for tree in trees], np.float64)
    total = graph.node("TreeEnsemble", rounded, op_domain=ML, op_version=3, **attributes)
    return [graph.node("Div", total, graph.constant(np.array([float(len(trees))])))]


def _boosted(graph: GraphBuilder, trees: Sequence[Tree], baseline: Any, table: str, rate: float = 1.0) -> str:
    """Sum the baseline and the trees; the baseline goes into the first trees' leaves, which is scikit-learn's order."""
    targets = [index % len(baseline) for index in range(len(trees))]
    weights = [rate * tree.value[:, 0] for tree in trees]
    weights[: len(baseline)] = [base + first for base, first in zip(baseline, weights, strict=False)]
    attributes = ensemble_attributes(trees, targets, weights, np.float64)
    return graph.node("TreeEnsemble", table, op_domain=ML, op_version=3, **attributes)


def _classify(graph: GraphBuilder, raw: str, classes: Any, *, tie: int) -> list[str]:
    """Turn log-odds into labels and probabilities; ``tie`` is the code of the class predicted at even odds of two."""
    if len(classes) > 2:
        return [_labels(graph, raw, classes), graph.node("Softmax", raw, axis=1)]
    positive = graph.node("Sigmoid", raw)
    negative = graph.node("Sub", graph.constant(np.array([1.0])), positive)
    both = graph.node("Concat", graph.node("Neg", raw), raw, axis=1)
    return [_labels(graph, both, classes, tie=tie), graph.node("Concat", negative, positive, axis=1)]


def histogram_raw(graph: GraphBuilder, boosting: Any, table: str) -> str:
    """Return the log-odds, or the number before its link (n_rows, n_outputs)."""
    trees, categories = histogram_trees(boosting)
    table = categories.extend_graph(graph, table)
    return _boosted(graph, trees, np.ravel(boosting._baseline_prediction), table)  # noqa: SLF001  # no public name


def histogram_classifier(graph: GraphBuilder, boosting: Any, table: str) -> list[str]:
    """Classify by log-odds; thresholds are compared in float64."""
    return _classify(graph, histogram_raw(graph, boosting, table), boosting.classes_, tie=0)


def histogram_regressor(graph: GraphBuilder, boosting: Any, table: str) -> list[str]:
    """Return the sum, or its exponential where the loss has a log link."""
    raw, loss = histogram_raw(graph, boosting, table), boosting.loss
    return [graph.node("Exp", raw) if loss in ("poisson", "gamma") else raw]


def gradient_raw(graph: GraphBuilder, boosting: Any, table: str) -> str:
    """Return the sum of the stages (n_rows, n_outputs): of a classifier its decision function."""
    from sklearn import dummy

    init = boosting.init_
    constant = isinstance(init, dummy.DummyClassifier | dummy.DummyRegressor) and init.strategy != "stratified"
    if not constant and init != "zero":
        raise NotImplementedError(f"no converter for gradient boosting that starts from {type(init).__name__}")
    trees, dtype = extract_trees(boosting)
    row = np.zeros((1, boosting.n_features_in_), dtype=dtype)
    (baseline,) = boosting._raw_predict_init(row)  # noqa: SLF001  # no public name
    rounded = graph.cast(graph.cast(table, dtype), np.float64)
    return _boosted(graph, trees, baseline, rounded, boosting.learning_rate)


def gradient_classifier(graph: GraphBuilder, boosting: Any, table: str) -> list[str]:
    """Classify by log-odds; rows are rounded to float32, as single trees do."""
    raw = gradient_raw(graph, boosting, table)
    if boosting.loss == "exponential":  # its raw value is half the log-odds
        raw = graph.node("Add", raw, raw)
    return _classify(graph, raw, boosting.classes_, tie=1)


def gradient_regressor(graph: GraphBuilder, boosting: Any, table: str) -> list[str]:
    """Return the sum, whatever the loss."""
    return [gradient_raw(graph, boosting, table)]


def _labels(graph: GraphBuilder, scores: str, classes: Any, *, tie: int = 0) -> str:
    best = graph.node("ArgMax", scores, axis=1, keepdims=0, select_last_index=tie)
    return graph.node("Gather", graph.constant(np.asarray(classes, dtype=np.int64)), best, axis=0)
