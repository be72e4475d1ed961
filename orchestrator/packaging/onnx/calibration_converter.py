"""The converter of CalibratedClassifierCV: sigmoid, isotonic and temperature calibration, averaged over its folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from orchestrator.packaging.onnx import tree_converters
from orchestrator.packaging.onnx.graph_builder import GraphBuilder
from orchestrator.packaging.onnx.nested_parts import Parts, average, class_name, pick_class, take_column

EPSILON = 1e-12  # that scikit-learn adds to a probability before its logarithm
MAX_THRESHOLDS = 1000  # of isotonic calibration: each row is compared with all of them


def calibrated(parts: Parts, model: Any) -> list[Any]:
    """Average the calibrated probabilities of the folds."""
    folds = model.calibrated_classifiers_
    sources = [response_of(parts, fold.estimator) for fold in folds]

    def combine(graph: GraphBuilder, tables: Sequence[str]) -> list[str]:
        pairs = zip(folds, sources, tables, strict=True)
        each = [_calibrate(graph, fold, read(graph, table)) for fold, (_, read), table in pairs]
        mean = average(graph, each, None)
        return [pick_class(graph, mean, model.classes_), mean]

    return parts.classes([variable for variable, _ in sources], model.classes_, combine)


def response_of(parts: Parts, estimator: Any) -> tuple[Any, Callable[[GraphBuilder, str], list[str]]]:
    """Return a variable, and what reads from it the columns that are calibrated: those of the decision function if any."""
    from sklearn import ensemble

    if not hasattr(estimator, "decision_function"):
        places: Sequence[int] = [1] if len(estimator.classes_) == 2 else range(len(estimator.classes_))
        return parts.probabilities(estimator), lambda graph, table: [take_column(graph, table, each) for each in places]
    inputs, last = parts.inputs, estimator
    if hasattr(estimator, "steps"):
        last = estimator.steps[-1][1]
        inputs = parts.outputs(estimator[:-1]) if len(estimator) > 1 else inputs
    if type(last) is ensemble.HistGradientBoostingClassifier:
        decide: Any = tree_converters.histogram_raw
    elif type(last) is ensemble.GradientBoostingClassifier:
        decide = tree_converters.gradient_raw
    elif hasattr(last, "coef_") and hasattr(last, "intercept_") and not hasattr(last, "support_"):
        decide = _linear
    else:
        raise NotImplementedError(f"no converter for the calibration of {class_name(last)}")
    count = 1 if len(last.classes_) == 2 else len(last.classes_)
    if len(inputs) != 1:
        raise NotImplementedError(f"no converter for the calibration of {class_name(last)} on several tables")

    def read(graph: GraphBuilder, table: str) -> list[str]:
        scores = decide(graph, last, table)
        return [take_column(graph, scores, each) for each in range(count)]

    return inputs[0], read


def _linear(graph: GraphBuilder, model: Any, table: str) -> str:
    weights = graph.constant(np.asarray(model.coef_, dtype=np.float64).reshape(-1, model.n_features_in_).T)
    product = graph.node("MatMul", table, weights)
    return graph.node("Add", product, graph.constant(np.ravel(model.intercept_).astype(np.float64)[None, :]))


def _calibrate(graph: GraphBuilder, fold: Any, columns: Sequence[str]) -> str:
    if hasattr(fold.calibrators[0], "beta_"):
        return _temperature(graph, fold, columns)
    one = graph.constant(np.array([1.0]))
    calibrated = [_calibrator(graph, each, column) for each, column in zip(fold.calibrators, columns, strict=True)]
    if len(fold.classes) == 2:
        positive = graph.node("Min", calibrated[0], one)
        return graph.node("Concat", graph.node("Sub", one, calibrated[0]), positive, axis=1)
    if len(calibrated) != len(fold.classes):
        raise NotImplementedError("no converter for calibration in which a fold lacks a class")
    shares = graph.node("Concat", *calibrated, axis=1)
    total = graph.node("ReduceSum", shares, graph.constant(np.array([1])), keepdims=1)
    empty = graph.node("Equal", total, graph.constant(np.array([0.0])))
    divided = graph.node("Div", shares, graph.node("Where", empty, one, total))
    return graph.node("Where", empty, graph.constant(np.full((1, len(calibrated)), 1 / len(calibrated))), divided)


def _temperature(graph: GraphBuilder, fold: Any, columns: Sequence[str]) -> str:
    """Return the softmax of logits times the inverse temperature: logarithms of probabilities, or decision values."""
    columns = [*columns]
    if not hasattr(fold.estimator, "decision_function"):
        epsilon = graph.constant(np.array([EPSILON]))
        if len(fold.classes) == 2:
            columns = [graph.node("Sub", graph.constant(np.array([1.0])), columns[0]), columns[0]]
        columns = [graph.node("Log", graph.node("Add", column, epsilon)) for column in columns]
    elif len(fold.classes) == 2:
        columns = [graph.node("Neg", columns[0]), columns[0]]
    logits = graph.node("Concat", *columns, axis=1)
    beta = graph.constant(np.array([float(fold.calibrators[0].beta_)]))
    return graph.node("Softmax", graph.node("Mul", logits, beta), axis=1)


def _calibrator(graph: GraphBuilder, calibrator: Any, column: str) -> str:
    if hasattr(calibrator, "a_"):
        scaled = graph.node("Mul", column, graph.constant(np.array([float(calibrator.a_)])))
        shifted = graph.node("Add", scaled, graph.constant(np.array([float(calibrator.b_)])))
        return graph.node("Sigmoid", graph.node("Neg", shifted))
    if not hasattr(calibrator, "X_thresholds_"):
        raise NotImplementedError(f"no converter for calibration by {class_name(calibrator)}")
    x, y = (np.asarray(each, dtype=np.float64) for each in (calibrator.X_thresholds_, calibrator.y_thresholds_))
    if len(x) > MAX_THRESHOLDS:
        raise NotImplementedError(f"no converter for isotonic calibration with more than {MAX_THRESHOLDS} thresholds")
    if len(x) == 1:
        return graph.node("Add", graph.node("Mul", column, graph.constant(np.array([0.0]))), graph.constant(y))
    high = graph.node("Greater", column, graph.constant(x[-1:]))
    low = graph.node("Less", column, graph.constant(x[:1]))
    clipped = graph.node("Where", high, graph.constant(x[-1:]), column)
    clipped = graph.node("Where", low, graph.constant(x[:1]), clipped)
    # the number of inner thresholds that are reached is the number of the segment, as in np.interp
    below = graph.node("Less", clipped, graph.constant(x[None, 1:-1])) if len(x) > 2 else None
    if below is None:
        place = graph.cast(graph.node("Less", clipped, graph.constant(x[:1])), np.int64)
    else:
        reached = graph.cast(graph.node("Not", below), np.int64)
        place = graph.node("ReduceSum", reached, graph.constant(np.array([1])), keepdims=1)
    slope, start, value = ((y[1:] - y[:-1]) / (x[1:] - x[:-1])), x[:-1], y[:-1]
    at = [graph.node("Gather", graph.constant(each), place, axis=0) for each in (slope, start, value)]
    risen = graph.node("Mul", at[0], graph.node("Sub", clipped, at[1]))
    inside = graph.node("Add", risen, at[2])
    return graph.node("Where", graph.node("Less", clipped, graph.constant(x[-1:])), inside, graph.constant(y[-1:]))
