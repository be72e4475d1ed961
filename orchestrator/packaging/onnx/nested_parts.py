"""Parts of estimators that hold others: find the fitted ones inside, parse them, and combine their outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.graph_builder import GraphBuilder


@dataclass(frozen=True)
class Combination:
    """What a parser hands to its converter: the fitted estimator, and how to combine the outputs of those inside.

    ``combine`` gets the graph and the names of the tables, and returns the names of one or two outputs.
    """

    combine: Callable[[GraphBuilder, Sequence[str]], list[str]]
    types: tuple[Any, ...]


def fitted_inside(estimator: Any) -> Iterator[Any]:
    """Yield a fitted estimator, and those inside of it that this module converts."""
    yield estimator
    for _, step in getattr(estimator, "steps", ()):
        if not isinstance(step, str) and step is not None:
            yield from fitted_inside(step)
    for each in members_of(estimator):
        yield from fitted_inside(each)
    if hasattr(estimator, "final_estimator_"):
        yield from fitted_inside(estimator.final_estimator_)


def members_of(estimator: Any) -> list[Any]:
    """Return the fitted estimators inside of one that get the same table as it does; none of those of a forest."""
    if hasattr(estimator, "calibrated_classifiers_"):
        return [each.estimator for each in estimator.calibrated_classifiers_]
    for name in ("estimator_", "regressor_"):
        if hasattr(estimator, name) and not hasattr(estimator, "estimators_"):
            return [getattr(estimator, name)]
    named = hasattr(estimator, "named_estimators_")  # a stack or a vote; the trees of a forest have no names
    return list(estimator.estimators_) if named else []


def convert_combination(scope: Any, operator: Any, container: Any) -> None:
    """Write the nodes of a :class:`Combination`."""
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType

    graph = GraphBuilder(scope, container)
    tables = [
        each.full_name
        if isinstance(each.type, DoubleTensorType | Int64TensorType)
        else graph.cast(each.full_name, np.float64)
        for each in operator.inputs
    ]
    results = operator.raw_operator.combine(graph, tables)
    for result, output in zip(results, operator.outputs, strict=True):
        container.add_node("Identity", [result], [output.full_name], name=scope.get_unique_operator_name("Identity"))


def combination_shape(operator: Any) -> None:
    """Set the types of the outputs."""
    for output, kind in zip(operator.outputs, operator.raw_operator.types, strict=True):
        output.type = kind


class Parts:
    """Parses the estimators inside of one, on the same table."""

    def __init__(self, scope: Any, inputs: Any, custom: Any) -> None:
        self.scope, self.inputs, self.custom = scope, inputs, custom

    def outputs(self, estimator: Any, inputs: Any = None) -> list[Any]:
        """Return the variables of an estimator's outputs: labels and probabilities, or numbers, or a table."""
        from skl2onnx._parse import _parse_sklearn
        from sklearn.base import is_classifier

        if is_classifier(estimator):
            self.scope.add_options(id(estimator), {"zipmap": False})
        outputs: list[Any] = _parse_sklearn(self.scope, estimator, inputs or self.inputs, custom_parsers=self.custom)
        return outputs

    def probabilities(self, estimator: Any) -> Any:
        """Return the variable of the probabilities (n_rows, n_classes)."""
        if not hasattr(estimator, "predict_proba"):
            raise NotImplementedError(
                f"no converter for {class_name(estimator)} without probabilities inside of another"
            )
        return self.outputs(estimator)[1]

    def combine(self, inputs: Sequence[Any], combine: Any, *types: Any) -> list[Any]:
        """Return the variables of a combination's outputs."""
        operator = self.scope.declare_local_operator("OrchestratorCombination", Combination(combine, types))
        operator.inputs = list(inputs)
        for place, kind in enumerate(types):
            operator.outputs.append(self.scope.declare_local_variable(f"combined{place}", kind))
        return list(operator.outputs)

    def classes(self, inputs: Sequence[Any], classes: Any, combine: Any) -> list[Any]:
        """The same, for labels and probabilities."""
        from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType

        return self.combine(inputs, combine, Int64TensorType([None]), DoubleTensorType([None, len(classes)]))

    def table(self, inputs: Sequence[Any], width: int | None, combine: Any) -> list[Any]:
        """The same, for one table."""
        from skl2onnx.common.data_types import DoubleTensorType

        return self.combine(inputs, combine, DoubleTensorType([None, width]))


def class_name(estimator: Any) -> str:
    """Return the name of an estimator's class."""
    return type(estimator).__name__


def take_column(graph: GraphBuilder, table: str, place: int) -> str:
    """Return one column of a table (n_rows, 1)."""
    return graph.node("Gather", table, graph.constant(np.array([place])), axis=1)


def pick_class(graph: GraphBuilder, scores: str, classes: Any) -> str:
    """Return the class with the highest score (n_rows,); the first of equal ones."""
    best = graph.node("ArgMax", scores, axis=1, keepdims=0)
    return graph.node("Gather", graph.constant(np.asarray(classes, dtype=np.int64)), best, axis=0)


def average(graph: GraphBuilder, tables: Sequence[str], weights: Sequence[float] | None) -> str:
    """Average tables as ``np.average`` does: one is added after the other, and the sum is divided."""
    if weights is not None:
        pairs = zip(tables, weights, strict=True)
        tables = [graph.node("Mul", table, graph.constant(np.array([float(weight)]))) for table, weight in pairs]
    total = tables[0]
    for table in tables[1:]:
        total = graph.node("Add", total, table)
    divisor = float(len(tables)) if weights is None else float(np.sum(np.asarray(weights, dtype=np.float64)))
    return graph.node("Div", total, graph.constant(np.array([divisor])))


def whole_table(_graph: GraphBuilder, table: str) -> str:
    """Return the table as it is."""
    return table


def as_column(graph: GraphBuilder, values: str) -> str:
    """Return labels or numbers as float64 (n_rows, 1)."""
    return graph.node("Reshape", graph.cast(values, np.float64), graph.constant(np.array([-1, 1])))
