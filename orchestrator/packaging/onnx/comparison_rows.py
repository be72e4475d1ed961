"""Rows to compare models on, as columns; rows that differ from others in one value share the columns of those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from score.contract.columns import Columns, ColumnValidator, rule_for
from score.contract.schema import Column, Contract

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 1_000_000  # cells in memory
MOST_ROWS = 10_000  # at once


@dataclass(frozen=True)
class Rows:
    """Rows ``at`` (n_rows,) of a ``table`` of columns, each of them with at most one value changed.

    ``places`` (n_rows,) has the number of the column that is changed, and ``values`` (n_rows,) what it is there; None
    where no row is changed.
    """

    table: Mapping[str, Any]
    at: Any
    places: Any = None
    values: Any = None

    @classmethod
    def of(cls, columns: Columns, rules: Mapping[str, ColumnValidator] | None = None) -> Rows:
        """All rows of columns (n_rows,) in which None is a missing value; numbers become arrays where ``rules`` say so."""
        kinds = {name: rule.array_type for name, rule in (rules or {}).items()}
        table = {name: _array(values, kinds.get(name)) for name, values in columns.items()}
        return cls(table, np.arange(len(next(iter(table.values()), ()))))

    def changed(self, at: Any, places: Any, values: Sequence[Any]) -> Rows:
        """The rows ``at`` (n,), each with one value changed."""
        return Rows(self.table, self.at[at], np.asarray(places, dtype=np.int64), _array(values, None))

    def __len__(self) -> int:
        return len(self.at)

    def take(self, chosen: Any) -> Rows:
        """Some of the rows, by numbers or a mask or a slice."""
        if self.places is None:
            return Rows(self.table, self.at[chosen])
        return Rows(self.table, self.at[chosen], self.places[chosen], self.values[chosen])

    def columns(self) -> Columns:
        """The columns (n_rows,) as a model takes them."""
        found = {name: column[self.at] for name, column in self.table.items()}
        if self.places is not None:
            names = list(found)
            order = np.argsort(self.places, kind="stable")
            places, starts = np.unique(self.places[order], return_index=True)
            for place, rows in zip(places.tolist(), np.split(order, starts[1:]), strict=True):
                found[names[place]][rows] = self.values[rows]
        return {name: values.tolist() if values.dtype == object else values for name, values in found.items()}

    def records(self) -> list[dict[str, Any]]:
        """The rows one by one."""
        columns = {name: np.asarray(values, dtype=object).tolist() for name, values in self.columns().items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def parts(self, width: int = 0) -> Iterator[slice]:
        """Slices of so many rows that they, and ``width`` features of each, stay small; of an even number."""
        count = max(2, min(MOST_ROWS, AT_ONCE // max(1, len(self.table), width))) // 2 * 2
        for start in range(0, len(self), count):
            yield slice(start, min(start + count, len(self)))


def accepted(tables: Sequence[pd.DataFrame], contract: Contract) -> Rows:
    """The rows of tables that requests may hold; a category that training never saw may be none."""
    columns: dict[str, list[Any]] = {}
    fits = np.ones(sum(map(len, tables)), dtype=bool)
    for column in contract.columns:
        values: list[Any] = []
        for table in tables:
            held, refused = cells(table[column.name], column)
            fits[[len(values) + row for row in refused]] = False
            values += held
        columns[column.name] = values
    kept = {name: [value for value, fit in zip(values, fits, strict=True) if fit] for name, values in columns.items()}
    return Rows.of(kept, {column.name: rule_for(column) for column in contract.columns})


def cells(values: pd.Series, column: Column) -> tuple[list[Any], dict[int, ValueError]]:
    """A column (n_rows,) as requests hold it, and why some rows are refused, which stay as they are."""
    held = [None if gap else value for value, gap in zip(values.tolist(), values.isna(), strict=True)]
    refused: dict[int, ValueError] = {}
    rule = rule_for(column)
    if not rule.all_valid(held):
        for row, value in enumerate(held):
            try:
                held[row] = rule.coerce(value)
            except ValueError as error:
                refused[row] = error
    return held, refused


def _array(values: Any, kind: Any) -> Any:
    if kind is not None or isinstance(values, np.ndarray):
        return np.asarray(values, dtype=kind)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
