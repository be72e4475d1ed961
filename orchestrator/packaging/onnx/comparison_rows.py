"""Rows to compare models on, stored by column; rows that differ from others in one value share their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from score.contract.columns import Columns, ColumnValidator, rule_for
from score.contract.schema import Column, Contract

if TYPE_CHECKING:
    import pandas as pd

MAX_CELLS = 1_000_000  # of a slice of rows, in memory
MAX_ROWS = 10_000  # of a slice


@dataclass(frozen=True)
class Rows:
    """The rows ``at`` (n_rows,) of a ``table`` of columns, each with at most one value changed.

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
        dtypes = {name: rule.array_type for name, rule in (rules or {}).items()}
        table = {name: _array(values, dtypes.get(name)) for name, values in columns.items()}
        return cls(table, np.arange(len(next(iter(table.values()), ()))))

    def changed(self, at: Any, places: Any, values: Sequence[Any]) -> Rows:
        """Return the rows ``at`` (n,), each with one value changed."""
        return Rows(self.table, self.at[at], np.asarray(places, dtype=np.int64), _array(values, None))

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
        return {name: values.tolist() if values.dtype == object else values for name, values in columns.items()}

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
    columns: dict[str, list[Any]] = {}
    fits = np.ones(sum(map(len, tables)), dtype=bool)
    for column in contract.columns:
        values: list[Any] = []
        for table in tables:
            cells, refused = request_values(table[column.name], column)
            fits[[len(values) + row for row in refused]] = False
            values += cells
        columns[column.name] = values
    fitting = {name: list(compress(values, fits)) for name, values in columns.items()}
    return Rows.of(fitting, {column.name: rule_for(column) for column in contract.columns})


def request_values(values: pd.Series, column: Column) -> tuple[list[Any], dict[int, ValueError]]:
    """Return a column (n_rows,) as requests hold it, and the errors of refused rows, whose values stay unchanged."""
    cells = [None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)]
    refused: dict[int, ValueError] = {}
    rule = rule_for(column)
    if not rule.all_valid(cells):
        for row, value in enumerate(cells):
            try:
                cells[row] = rule.coerce(value)
            except ValueError as error:
                refused[row] = error
    return cells, refused


def _array(values: Any, dtype: Any) -> Any:
    if dtype is not None or isinstance(values, np.ndarray):
        return np.asarray(values, dtype=dtype)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
