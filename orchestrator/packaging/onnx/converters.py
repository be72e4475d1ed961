"""Custom converters for skl2onnx: the transformers that ship, and the steps where its own lose float64 precision.

With skl2onnx 1.20 and ONNX Runtime 1.32, on float64 input, ``Imputer`` has no kernel for float64, ``Scaler`` stores
means and scales in float32, ``OneHotEncoder`` takes whole numbers or text only, and the outputs of
``TreeEnsembleClassifier`` and ``TreeEnsembleRegressor`` are float32. The converters here compute what scikit-learn
computes, in its order, so that trees are equal to the bit and ties of classes break alike; only with more than
``equivalence.FEW_TREES`` trees does ONNX Runtime add up the shares of several rows in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from orchestrator.packaging.onnx import category_converters, date_converter, tree_converters
from orchestrator.packaging.onnx.graph_builder import GraphBuilder

Converter = Callable[[GraphBuilder, Any, str], list[str]]


def custom_converters() -> tuple[dict[type, Any], dict[type, Any]]:
    """Return conversion functions and shape calculators by class, as ``convert_sklearn`` takes them."""
    from sklearn import ensemble as forests
    from sklearn import impute, preprocessing, tree

    from score import column_transforms, transforms

    steps = {
        transforms.ToFloat: _to_float,
        transforms.BooleansToObjects: _to_float,
        transforms.ZerosToMissing: _zeros_to_missing,
        transforms.DateParts: date_converter.date_parts,
        impute.SimpleImputer: _imputer,
        preprocessing.StandardScaler: _scaler,
        preprocessing.OneHotEncoder: category_converters.one_hot,
        preprocessing.TargetEncoder: category_converters.target_means,
        preprocessing.OrdinalEncoder: category_converters.ordinal_codes,
        preprocessing.FunctionTransformer: _function,
        column_transforms.OrderedToNumbers: category_converters.ordered_to_numbers,
        column_transforms.CodesToCategories: category_converters.known_codes,
    }
    classifiers = {
        tree.DecisionTreeClassifier: tree_converters.forest_classifier,
        forests.RandomForestClassifier: tree_converters.forest_classifier,
        forests.ExtraTreesClassifier: tree_converters.forest_classifier,
        forests.AdaBoostClassifier: tree_converters.adaptive_classifier,
        forests.GradientBoostingClassifier: tree_converters.gradient_classifier,
        forests.HistGradientBoostingClassifier: tree_converters.histogram_classifier,
    }
    regressors = {
        tree.DecisionTreeRegressor: tree_converters.forest_regressor,
        forests.RandomForestRegressor: tree_converters.forest_regressor,
        forests.ExtraTreesRegressor: tree_converters.forest_regressor,
        forests.GradientBoostingRegressor: tree_converters.gradient_regressor,
        forests.HistGradientBoostingRegressor: tree_converters.histogram_regressor,
    }
    functions = {kind: _adapt(convert) for kind, convert in (steps | classifiers | regressors).items()}
    shapes = dict.fromkeys(steps | regressors, _table_shape) | dict.fromkeys(classifiers, _classifier_shape)
    return functions, shapes


def _adapt(convert: Converter) -> Any:
    """Return a conversion function with skl2onnx's signature."""
    from skl2onnx.common.data_types import DoubleTensorType

    def convert_operator(scope: Any, operator: Any, container: Any) -> None:
        (source,) = operator.inputs
        graph, table = GraphBuilder(scope, container), source.full_name
        if not isinstance(source.type, DoubleTensorType):  # the output of one of skl2onnx's own converters
            table = graph.cast(table, np.float64)
        results = convert(graph, operator.raw_operator, table)
        for result, output in zip(results, operator.outputs, strict=True):
            container.add_node(
                "Identity", [result], [output.full_name], name=scope.get_unique_operator_name("Identity")
            )

    return convert_operator


def _table_shape(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType

    operator.outputs[0].type = DoubleTensorType([None, None])


def _classifier_shape(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType

    operator.outputs[0].type = Int64TensorType([None])
    operator.outputs[1].type = DoubleTensorType([None, len(operator.raw_operator.classes_)])


# --- steps


def _to_float(_graph: GraphBuilder, _step: Any, table: str) -> list[str]:
    return [table]  # the table is float64 from the start


def _function(_graph: GraphBuilder, step: Any, table: str) -> list[str]:
    import pandas as pd

    if step.func is None or (step.func is pd.DataFrame.astype and step.kw_args == {"dtype": "category"}):
        return [table]  # codes stay codes
    name = getattr(step.func, "__qualname__", type(step.func).__name__)
    raise NotImplementedError(f"no converter for FunctionTransformer of {name}")


def _zeros_to_missing(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    chosen = np.isin(step.feature_names_in_, list(step.columns))
    zero = graph.node("Equal", table, graph.constant(np.array([0.0])))
    missing = graph.node("And", zero, graph.constant(chosen[None, :]))
    return [graph.node("Where", missing, graph.constant(np.array([np.nan])), table)]


def _imputer(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    filled = np.asarray(step.statistics_, dtype=np.float64)
    marker = step.missing_values
    if isinstance(marker, float) and np.isnan(marker):
        missing = graph.node("IsNaN", table)
    else:
        missing = graph.node("Equal", table, graph.constant(np.array([marker], dtype=np.float64)))
    result = graph.node("Where", missing, graph.constant(filled[None, :]), table)
    if np.isnan(filled).any():  # scikit-learn drops a column without any value in the training rows
        result = graph.node("Gather", result, graph.constant(np.flatnonzero(~np.isnan(filled))), axis=1)
    if step.add_indicator and len(step.indicator_.features_):
        where = graph.node("Gather", missing, graph.constant(np.asarray(step.indicator_.features_, np.int64)), axis=1)
        result = graph.node("Concat", result, graph.cast(where, np.float64), axis=1)
    return [result]


def _scaler(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    if step.with_mean:
        table = graph.node("Sub", table, graph.constant(step.mean_[None, :]))
    if step.with_std:
        table = graph.node("Div", table, graph.constant(step.scale_[None, :]))
    return [table]
