"""Converters for estimators that hold others: thresholds, calibration, stacking, votes, transformed targets.

Each has a parser, which converts the estimators inside on the table that they are given, and a converter, which
combines their outputs in scikit-learn's order and in float64. skl2onnx 1.20 has converters of most of these. They are
not used: the one of ``TunedThresholdClassifierCV`` leaves out the threshold, isotonic calibration comes out with other
probabilities, and stacks and votes of estimators on float64 do not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.calibration_converter import calibrated, response_of
from orchestrator.packaging.onnx.graph_builder import GraphBuilder
from orchestrator.packaging.onnx.nested_parts import (
    Parts,
    as_column,
    average,
    class_name,
    fitted_inside,
    pick_class,
    take_column,
    whole_table,
)

RESAMPLERS = "imblearn."  # whose pipelines have steps that act in fit alone


def parsers(pipeline: Any) -> dict[type, Any]:
    """Return the parsers by class, as ``convert_sklearn`` takes them, for a fitted pipeline."""
    from sklearn import calibration, compose, ensemble, model_selection
    from sklearn.pipeline import Pipeline

    known: dict[type, Any] = {
        model_selection.TunedThresholdClassifierCV: _threshold,
        model_selection.FixedThresholdClassifier: _threshold,
        calibration.CalibratedClassifierCV: calibrated,
        ensemble.StackingClassifier: _stacking,
        ensemble.StackingRegressor: _stacking,
        ensemble.VotingClassifier: _voting_classifier,
        ensemble.VotingRegressor: _voting_regressor,
        compose.TransformedTargetRegressor: _transformed_target,
    }
    pipelines = {type(each) for each in fitted_inside(pipeline) if isinstance(each, Pipeline)} - {Pipeline}
    known |= {kind: _resampled for kind in pipelines if kind.__module__.startswith(RESAMPLERS)}
    return {kind: _adapt(parse) for kind, parse in known.items()}


def _adapt(parse: Callable[[Parts, Any], list[Any]]) -> Any:
    """Return a parser with skl2onnx's signature."""

    def parser(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> list[Any]:
        return parse(Parts(scope, inputs, custom_parsers), model)

    return parser


def _resampled(parts: Parts, pipeline: Any) -> list[Any]:
    """Leave out the steps that resample: they act in ``fit`` alone."""
    inputs = parts.inputs
    for _, step in pipeline.steps:
        if step is None or isinstance(step, str) or hasattr(step, "fit_resample"):
            continue
        inputs = parts.outputs(step, inputs)
    return list(inputs)


def _threshold(parts: Parts, model: Any) -> list[Any]:
    """Compare one probability with the threshold."""
    inside, classes = model.estimator_, model.classes_
    scored = parts.probabilities(inside)
    if model.response_method not in ("auto", "predict_proba"):
        raise NotImplementedError(f"no converter for {class_name(model)} with response_method={model.response_method}")
    if hasattr(model, "best_threshold_"):
        threshold, positive = model.best_threshold_, model._curve_scorer._get_pos_label()  # noqa: SLF001  # no public name
    else:
        threshold, positive = (0.5 if model.threshold == "auto" else model.threshold), model.pos_label
    place = 1 if positive is None else int(np.flatnonzero(classes == positive)[0])
    labels = np.asarray(classes, dtype=np.int64)[[1 - place, place]]

    def combine(graph: GraphBuilder, tables: Sequence[str]) -> list[str]:
        score = graph.node("Gather", tables[0], graph.constant(np.array(place)), axis=1)
        below = graph.node("Less", score, graph.constant(np.array(float(threshold))))
        reached = graph.cast(graph.node("Not", below), np.int64)
        return [graph.node("Gather", graph.constant(labels), reached, axis=0), tables[0]]

    return parts.classes([scored], classes, combine)


def _stacking(parts: Parts, model: Any) -> list[Any]:
    """Put the answers of the first layer side by side, and give them to the last estimator."""
    classes = getattr(model, "classes_", None)
    if classes is not None and not np.array_equal(classes, model.final_estimator_.classes_):
        raise NotImplementedError("no converter for a stack whose last estimator does not know all classes")
    sources, reads = [], list[Callable[[GraphBuilder, str], str]]()
    methods = [each for each in model.stack_method_ if each != "drop"]
    for estimator, method in zip(model.estimators_, methods, strict=True):
        if classes is not None and method == "predict_proba":
            sources.append(parts.probabilities(estimator))
            reads.append(_second if len(classes) == 2 else whole_table)
        elif classes is not None and method == "decision_function":
            variable, read = response_of(parts, estimator)
            sources.append(variable)
            reads.append(_joined(read))
        else:
            sources.append(parts.outputs(estimator)[0])
            reads.append(as_column)
    if model.passthrough:
        if len(parts.inputs) != 1:
            raise NotImplementedError("no converter for a stack that passes several tables through")
        sources.append(parts.inputs[0])
        reads.append(whole_table)

    def combine(graph: GraphBuilder, tables: Sequence[str]) -> list[str]:
        columns = [read(graph, table) for read, table in zip(reads, tables, strict=True)]
        return [graph.node("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]]

    joined = parts.table(sources, model.final_estimator_.n_features_in_, combine)
    return parts.outputs(model.final_estimator_, joined)


def _second(graph: GraphBuilder, table: str) -> str:
    """Return the probability of the second of two classes; the other says the same."""
    return take_column(graph, table, 1)


def _joined(read: Callable[[GraphBuilder, str], list[str]]) -> Callable[[GraphBuilder, str], str]:
    def join(graph: GraphBuilder, table: str) -> str:
        columns = read(graph, table)
        return graph.node("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]

    return join


def _voting_classifier(parts: Parts, model: Any) -> list[Any]:
    """Average the probabilities, or count the labels."""
    classes, weights = model.classes_, model._weights_not_none  # noqa: SLF001  # no public name
    if model.voting == "soft":
        sources = [parts.probabilities(each) for each in model.estimators_]

        def average_shares(graph: GraphBuilder, tables: Sequence[str]) -> list[str]:
            mean = average(graph, tables, weights)
            return [pick_class(graph, mean, classes), mean]

        return parts.classes(sources, classes, average_shares)
    sources = [parts.outputs(each)[0] for each in model.estimators_]
    codes = np.arange(len(classes))[None, :]

    def count(graph: GraphBuilder, tables: Sequence[str]) -> list[str]:
        columns = [graph.node("Reshape", table, graph.constant(np.array([-1, 1]))) for table in tables]
        votes = [graph.cast(graph.node("Equal", each, graph.constant(codes)), np.float64) for each in columns]
        total = average(graph, votes, weights)
        return [pick_class(graph, total, classes), total]

    return parts.classes(sources, classes, count)


def _voting_regressor(parts: Parts, model: Any) -> list[Any]:
    """Average the numbers."""
    sources = [parts.outputs(each)[0] for each in model.estimators_]

    def combine(graph: GraphBuilder, tables: Sequence[str]) -> list[str]:
        columns = [as_column(graph, table) for table in tables]
        return [average(graph, columns, model._weights_not_none)]  # noqa: SLF001  # no public name

    return parts.table(sources, 1, combine)


def _transformed_target(parts: Parts, model: Any) -> list[Any]:
    """Invert the transformation of the target."""
    invert = _inverse(model.transformer_)
    source = parts.outputs(model.regressor_)[0]
    return parts.table([source], 1, lambda graph, tables: [invert(graph, as_column(graph, tables[0]))])


def _inverse(transformer: Any) -> Callable[[GraphBuilder, str], str]:
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    inverses: dict[Any, Callable[[GraphBuilder, str], str]] = {
        None: whole_table,
        np.exp: lambda graph, table: graph.node("Exp", table),
        np.expm1: lambda graph, table: graph.node("Sub", graph.node("Exp", table), graph.constant(np.array([1.0]))),
        np.square: lambda graph, table: graph.node("Mul", table, table),
        np.sqrt: lambda graph, table: graph.node("Sqrt", table),
    }
    inverse = getattr(transformer, "inverse_func", None)
    if type(transformer) is FunctionTransformer and inverse in inverses and not transformer.inv_kw_args:
        return inverses[inverse]
    if type(transformer) is not StandardScaler:
        what = getattr(inverse, "__name__", None) or class_name(transformer)
        raise NotImplementedError(f"no converter for a target that {what} transforms back")

    def unscale(graph: GraphBuilder, table: str) -> str:
        if transformer.with_std:
            table = graph.node("Mul", table, graph.constant(transformer.scale_[None, :]))
        return graph.node("Add", table, graph.constant(transformer.mean_[None, :])) if transformer.with_mean else table

    return unscale
