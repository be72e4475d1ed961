"""Converter of ``score.transforms.DateParts``: parts of dates, from seconds since 1970.

A date is a number of seconds in the compiled model's table, so that a request's dates are read once and copied. Every
operation is exact in float64 for the years 1 to 9999, or rounds once as in the transformer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.graph_builder import GraphBuilder
from score.transforms import DAY, HOUR, REFERENCE


def date_parts(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    """Write the nodes of a fitted transformer; the other columns of the table stay in their order."""
    columns: list[str] = []
    for place, name in enumerate(step.feature_names_in_):
        column = graph.node("Gather", table, graph.constant(np.array([place])), axis=1)
        columns += _parts(graph, column, hour=name in step.hours_) if name in step.dates_ else [column]
    return [graph.node("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]]


def _parts(graph: GraphBuilder, column: str, *, hour: bool) -> Iterator[str]:
    """Yield year, month, weekday, hour and days (n_rows, 1); missing dates stay NaN."""
    math = _Arithmetic(graph)
    seconds = graph.node("Floor", column)
    days = math.whole(seconds, DAY)
    yield from _year_and_month(graph, math, days)
    shifted = math.add(days, 3)  # the first of January 1970 was a Thursday
    yield math.subtract(shifted, math.times(math.whole(shifted, 7), 7))
    if hour:
        yield math.whole(math.subtract(seconds, math.times(days, DAY)), HOUR)
    yield math.divide(math.add(seconds, -REFERENCE), DAY)


def _year_and_month(graph: GraphBuilder, math: _Arithmetic, days: str) -> Iterator[str]:
    """Yield the year and the month of days since 1970.

    Algorithm: ``civil_from_days`` of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2021). Years begin in
    March there, so that the leap day is the last one, and are counted in eras of 400 years.
    """
    shifted = math.add(days, 719468)
    era = math.whole(shifted, 146097)
    day = math.subtract(shifted, math.times(era, 146097))
    leaps = math.subtract(math.whole(day, 36524), math.plus(math.whole(day, 1460), math.whole(day, 146096)))
    year = math.whole(math.plus(day, leaps), 365)
    before = math.subtract(math.whole(year, 100), math.plus(math.times(year, 365), math.whole(year, 4)))
    day = math.plus(day, before)
    march = math.whole(math.add(math.times(day, 5), 2), 153)
    late = graph.cast(graph.node("Greater", march, graph.constant(np.array([9.5]))), np.float64)
    yield math.plus(math.plus(year, math.times(era, 400)), late)
    yield math.subtract(math.add(march, 3), math.times(late, 12))


class _Arithmetic:
    """Arithmetic of a column with a number, or with another column."""

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph

    def _number(self, number: float) -> str:
        return self._graph.constant(np.array([float(number)]))

    def add(self, left: str, number: float) -> str:
        return self._graph.node("Add", left, self._number(number))

    def plus(self, left: str, right: str) -> str:
        return self._graph.node("Add", left, right)

    def subtract(self, left: str, right: str) -> str:
        return self._graph.node("Sub", left, right)

    def times(self, left: str, number: float) -> str:
        return self._graph.node("Mul", left, self._number(number))

    def divide(self, left: str, number: float) -> str:
        return self._graph.node("Div", left, self._number(number))

    def whole(self, left: str, number: float) -> str:
        """Return the quotient, rounded down."""
        return self._graph.node("Floor", self.divide(left, number))
