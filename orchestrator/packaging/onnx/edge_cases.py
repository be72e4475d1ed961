"""Rows that a compiled model is most likely to answer differently: missing, zero and extreme values, unseen levels.

Their number is bounded by their cells; where there are more, a sample is tried, the same one each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from orchestrator.packaging.onnx.comparison_rows import Rows
from score.contract.columns import rule_for
from score.contract.dates import is_aware
from score.contract.schema import Column, Contract

BASES = 3  # rows that each edge value is tried in; one in a table of more than GROUPS columns
_DATES = [  # ends of the range, of days, years and centuries, leap days, and the days from which time is counted
    *("0001-01-01T00:00:00", "9999-12-31T23:59:59", "1969-12-31T23:59:59.999999", "1970-01-01T00:00:00"),
    *("1900-02-28T23:59:59", "1900-03-01T00:00:00", "1999-12-31T23:59:59", "2000-01-01T00:00:00"),
    *("2000-02-29T12:00:00", "2023-12-31T23:59:59.999999", "2024-02-29T00:00:00", "2024-03-01T01:00:00"),
]
GROUPS = 50  # of columns in a wide table: the cells of all rows grow with its columns, and not with their square
CELLS = 5_000_000  # of all rows
LARGE = 1e30


def edge_rows(contract: Contract, bases: Rows) -> list[Rows]:
    """Return some rows with each edge value of each column, and rows where every column has an edge value.

    In a table of more than ``GROUPS`` columns every ``GROUPS``-th column of a row is changed at once.
    """
    if not len(bases):
        return []
    edges = [list(_edges(column)) for column in contract.columns]
    length = max(map(len, edges))
    rules = {column.name: rule_for(column) for column in contract.columns}
    everywhere = {
        name: [values[row % len(values)] for row in range(length)] for name, values in zip(rules, edges, strict=True)
    }
    large = [[value for value in values if _is_large(value)] for values in edges]  # many pipelines fail on these
    other = [[value for value in values if not _is_large(value)] for values in edges]
    changed = [_changed(bases, values, max(1, CELLS // len(edges))) for values in (other, large)]
    return [*(rows for rows in changed if len(rows)), Rows.of(everywhere, rules)]


def _changed(bases: Rows, edges: Sequence[Sequence[Any]], most: int) -> Rows:
    """Return at most so many rows in which a column, or one group of them, has one of its edge values."""
    groups = min(GROUPS, len(edges))
    tries = [
        (base, group, number)
        for base in range(min(BASES if groups == len(edges) else 1, len(bases)))
        for group in range(groups)
        for number in range(max(map(len, edges[group::groups]), default=0))
    ]
    if len(tries) > most:
        tries = [tries[index] for index in np.sort(np.random.default_rng(0).permutation(len(tries))[:most])]
    at = np.array([base for base, _, _ in tries], dtype=np.int64)
    if groups == len(edges):
        places = [group for _, group, _ in tries]
        return bases.changed(at, places, [edges[group][number] for _, group, number in tries])
    rows = bases.take(at)
    by_group = [
        [(row, number) for row, (_, each, number) in enumerate(tries) if each == group] for group in range(groups)
    ]
    changes = {
        place: {row: values[number] for row, number in by_group[place % groups] if number < len(values)}
        for place, values in enumerate(edges)
    }
    return rows.replaced(changes)


def _is_large(value: Any) -> bool:
    return isinstance(value, float) and abs(value) > LARGE


def _edges(column: Column) -> Iterator[Any]:
    """Yield the special values that the contract accepts in a column."""
    rule = rule_for(column)
    levels = list(column.categories or ())
    candidates: list[Any] = [None, *levels, column.example, column.minimum, column.maximum]
    candidates += [0, 1, -1, True, False, "", "unseen text"]
    candidates += [level + 1 for level in levels[-1:] if type(level) in (int, float)]
    if column.kind == "integer":
        limits = np.iinfo(column.dtype.lower())
        candidates += [int(limits.min), int(limits.max)]
    elif column.kind == "datetime":
        candidates += [f"{text}{'Z' * is_aware(column.dtype)}" for text in _DATES]
    elif column.kind == "number":
        single, double = np.finfo("float32"), np.finfo("float64")
        large = [float(single.max), float(double.max)]
        candidates += [-0.0, *(sign * value for sign in (1, -1) for value in (float(single.tiny), 5e-324, *large))]
    for value in candidates:
        with suppress(ValueError):
            yield rule.coerce(value)
