"""Which rows of a table a compiled model is compared on: all of them, or of a large table a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

CELLS = 2_000_000  # of the compared rows
MIN_ROWS = 5_000  # also where these have more cells


def sample_rows(tables: Sequence[pd.DataFrame]) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Return the rows to compare, and the others, in their order; the same ones each time."""
    total, width = sum(map(len, tables)), max((table.shape[1] for table in tables), default=1)
    most = max(MIN_ROWS, CELLS // max(1, width))
    if total <= most:
        return list(tables), []
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.default_rng(0).choice(total, most, replace=False)] = True
    parts = np.split(chosen, np.cumsum([len(table) for table in tables])[:-1])
    pairs = list(zip(tables, parts, strict=True))
    return [table[part] for table, part in pairs], [table[~part] for table, part in pairs]
