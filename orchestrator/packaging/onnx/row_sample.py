"""Which rows of a table a compiled model is compared on: all of them, or of a large table a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

CELLS = 2_000_000  # of the compared rows
MIN_ROWS = 5_000  # also where these have more cells


@dataclass(frozen=True)
class RowSample:
    """The rows of tables that are compared, and the masks (n_rows,) that choose them, one for each table."""

    tables: Sequence[pd.DataFrame]
    masks: Sequence[Any]

    @classmethod
    def draw(cls, tables: Sequence[pd.DataFrame]) -> RowSample:
        """Choose the rows to compare, the same ones each time."""
        total, width = sum(map(len, tables)), max((table.shape[1] for table in tables), default=1)
        most = max(MIN_ROWS, CELLS // max(1, width))
        chosen = np.full(total, total <= most)
        if total > most:
            chosen[np.random.default_rng(0).choice(total, most, replace=False)] = True
        return cls(tables, np.split(chosen, np.cumsum([len(table) for table in tables])[:-1]))

    @property
    def rows(self) -> list[pd.DataFrame]:
        """The chosen rows of each table."""
        pairs = zip(self.tables, self.masks, strict=True)
        return [table if mask.all() else table[mask] for table, mask in pairs]

    def others(self, count: int) -> Iterator[pd.DataFrame]:
        """Yield the rows that were not chosen, at most ``count`` at a time, so that they are not copied as a whole."""
        for table, mask in zip(self.tables, self.masks, strict=True):
            left = np.flatnonzero(~mask)
            for start in range(0, len(left), count):
                yield table.iloc[left[start : start + count]]
