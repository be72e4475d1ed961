"""Rows to compare models on, stored by column; rows that differ from others in one value share their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from score.contract.columns import Columns, ColumnValidator, rule_for
from score.contract.schema import Column, Contract

if TYPE_CHECKING:
    import pandas as pd

MAX_CELLS = 1_500_000  # of a slice of rows, in memory
MAX_ROWS = 10_000  # of a slice


@dataclass(frozen=True)
class Rows:
    """The rows ``at`` (n_rows,) of a ``table`` of columns, each with at most one value changed.

    A missing value is None in a column of objects, and NaN in one of floats, which holds no NaN that is a value.
    ``places`` (n_rows,) are the positions of the changed columns and ``values`` (n_rows,) the new values; both are None
    where no row is changed.
    """

    table: Mapping[str, Any]
    at: Any
    places: Any = None
    values: Any = None

    @classmethod
    def of(cls, columns: Columns, rules: Mapping[str, ColumnValidator] | None = None) -> Rows:
        """Take all rows of columns (n_rows,) in which None is a missing value; ``rules`` give the arrays' dtypes."""
        dtypes = {name: _dtype(rule) for name, rule in (rules or {}).items()}
        table = {name: _array(values, dtypes.get(name)) for name, values in columns.items()}
        return cls(table, np.arange(len(next(iter(table.values()), ()))))

    def changed(self, at: Any, places: Any, values: Sequence[Any]) -> Rows:
        """Return the rows ``at`` (n,), each with one value changed."""
        return Rows(self.table, self.at[at], np.asarray(places, dtype=np.int64), _array(values, None))

    def replaced(self, changes: Mapping[int, Mapping[int, Any]]) -> Rows:
        """Return a copy of these rows, unchanged so far, with some cells changed: by the column's position, then by row."""
        table = {}
        for place, (name, column) in enumerate(self.table.items()):
            table[name] = column[self.at]
            for row, value in changes.get(place, {}).items():
                table[name][row] = value
        return Rows(table, np.arange(len(self)))

    def with_columns(self, values: Mapping[int, Any], count: int) -> Rows:
        """Return ``count`` copies of the first row in which the columns at some positions have other values (count,)."""
        first = self.take(slice(0, 1)).at
        table = {
            name: _array(values[place], None if column.dtype == object else column.dtype)
            if place in values
            else np.repeat(column[first], count)
            for place, (name, column) in enumerate(self.table.items())
        }
        return Rows(table, np.arange(count))

    def and_rows(self, others: Sequence[Rows]) -> Rows:
        """Return these rows and then others of the same columns, none of them changed."""
        parts = [self, *others]
        table = {name: np.concatenate([part.table[name][part.at] for part in parts]) for name in self.table}
        return Rows(table, np.arange(sum(map(len, parts))))

    def __len__(self) -> int:
        return len(self.at)

    def take(self, chosen: Any) -> Rows:
        """Return some of the rows, by positions, a mask or a slice."""
        if self.places is None:
            return Rows(self.table, self.at[chosen])
        return Rows(self.table, self.at[chosen], self.places[chosen], self.values[chosen])

    def columns(self) -> Columns:
        """Return the columns (n_rows,) as a model takes them."""
        columns = {name: column[self.at] for name, column in self.table.items()}
        if self.places is not None:
            names = list(columns)
            order = np.argsort(self.places, kind="stable")
            places, starts = np.unique(self.places[order], return_index=True)
            for place, rows in zip(places.tolist(), np.split(order, starts[1:]), strict=True):
                columns[names[place]][rows] = self.values[rows]
        return {name: _requested(values) for name, values in columns.items()}

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as mappings of a value to each column."""
        columns = {name: np.asarray(values, dtype=object).tolist() for name, values in self.columns().items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def parts(self, width: int = 0) -> Iterator[slice]:
        """Yield slices of an even number of rows, small enough for ``width`` features of each to fit into memory."""
        count = max(2, min(MAX_ROWS, MAX_CELLS // max(1, len(self.table), width))) // 2 * 2
        for start in range(0, len(self), count):
            yield slice(start, min(start + count, len(self)))


def accepted_rows(tables: Sequence[pd.DataFrame], contract: Contract) -> Rows:
    """Return the rows of tables that the contract accepts in a request."""
    table: dict[str, Any] = {}
    fits = np.ones(sum(map(len, tables)), dtype=bool)
    for column in contract.columns:
        parts: list[Any] = []
        for frame in tables:
            values, refused = _stored(frame[column.name], column)
            fits[[sum(map(len, parts)) + row for row in refused]] = False
            parts.append(values)
        table[column.name] = np.concatenate(parts)
    return Rows(table, np.flatnonzero(fits))


def refused_cells(values: pd.Series, column: Column) -> dict[int, tuple[Any, ValueError]]:
    """Return the cells of a column (n_rows,) that a request cannot hold, by row, each with the error."""
    if _checked_numbers(values, column) is not None:
        return {}
    cells, refused = request_values(values, column)
    return {row: (cells[row], error) for row, error in refused.items()}


def request_values(values: pd.Series, column: Column) -> tuple[list[Any], dict[int, ValueError]]:
    """Return a column (n_rows,) as requests hold it, and the errors of refused rows, whose values stay unchanged."""
    cells, missing = values.tolist(), np.flatnonzero(values.isna())
    for row in missing.tolist():
        cells[row] = None
    refused: dict[int, ValueError] = {}
    rule = rule_for(column)
    if not rule.all_valid([cell for cell in cells if cell is not None] if column.missing else cells):
        for row, value in enumerate(cells):
            try:
                cells[row] = rule.coerce(value)
            except ValueError as error:
                refused[row] = error
    return cells, refused


def _stored(values: pd.Series, column: Column) -> tuple[Any, dict[int, ValueError]]:
    """Return a column (n_rows,) as :class:`Rows` stores it, and the errors of refused rows, whose values are arbitrary."""
    if (numbers := _checked_numbers(values, column)) is not None:
        return numbers, {}
    cells, refused = request_values(values, column)
    if (dtype := _dtype(rule_for(column))) is not None:
        for row in refused:
            cells[row] = 0
    elif column.kind in ("category", "string"):
        known: dict[str, str] = {}  # equal texts become one object
        cells = [known.setdefault(cell, cell) if type(cell) is str else cell for cell in cells]
    return _array(cells, dtype), refused


def _checked_numbers(values: pd.Series, column: Column) -> Any:
    """Return a column of numbers (n_rows,) without an object for each cell; None where cells must be looked at singly."""
    rule = rule_for(column)
    if not (rule.numeric and isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf"):
        return None
    numbers = values.to_numpy()
    present = ~np.isnan(numbers)
    if present.all():
        return rule.coerce_array(numbers)
    checked = rule.coerce_array(numbers[present]) if column.missing and column.kind == "number" else None
    if checked is None:
        return None
    found = np.full(len(values), np.nan)
    found[present] = checked
    return found


def _dtype(rule: ColumnValidator) -> Any:
    """Return the dtype in which a column is stored; None for objects."""
    return float if rule.column.kind in ("number", "datetime") else rule.array_type


def _requested(values: Any) -> Any:
    """Return stored values (n_rows,) as a model takes them: an array holds no missing value."""
    if values.dtype == float and (missing := np.isnan(values)).any():
        values = values.astype(object)
        values[missing] = None
    return values.tolist() if values.dtype == object else values


def _array(values: Any, dtype: Any) -> Any:
    if dtype is not None or isinstance(values, np.ndarray):
        return np.asarray(values, dtype=dtype)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
