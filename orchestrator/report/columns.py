"""Summarise a table for the report: each column's kind, missing cells, values and a small histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from orchestrator.artifacts import Split
from orchestrator.report.inspection import ColumnSummary, TableSummary

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = 60  # that are summarised; the others are counted
ROWS = 50_000  # that histograms and repeated rows are of; more are sampled
BINS, LEVELS = 20, 8
LABEL = 60  # letters of a value in words


def summarise_table(split: Split, seed: int) -> TableSummary:
    """Summarise training and hold-out rows together; of more than ``ROWS`` rows histograms are of a sample."""
    X = pd.concat([split.X_train, split.X_test], ignore_index=True)
    y = pd.concat([split.y_train, split.y_test], ignore_index=True)
    rows = np.arange(len(y))
    if len(rows) > ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), ROWS, replace=False))
    kinds = {column.name: column.kind for column in split.reading.columns} if split.reading else {}
    target = y.map(dict(enumerate(map(str, split.classes)))) if split.classes else y
    columns = [_summarise(X[name], rows, kinds) for name in X.columns[:COLUMNS]]
    return TableSummary(
        rows=len(y),
        training=len(split.y_train),
        held_out=len(split.y_test),
        width=X.shape[1],
        target=_summarise(target, rows, {}),
        columns=columns,
        repeated=_count_repeated(pd.concat([X.iloc[rows], y.iloc[rows]], axis=1)),
        sampled=len(rows),
    )


def _count_repeated(table: pd.DataFrame) -> int:
    """Return how many rows are equal to an earlier one in every column."""
    try:
        return int(table.duplicated().sum())
    except TypeError:  # lists and mappings are not hashable
        return int(table.astype(str).duplicated().sum())


def _summarise(values: pd.Series, rows: Any, kinds: Mapping[str, str]) -> ColumnSummary:
    name, missing = str(values.name), int(values.isna().sum())
    present = values.iloc[rows].dropna()
    kind = kinds.get(str(values.name)) or kind_of(values)
    if present.empty:
        return ColumnSummary(name, kind, missing, 0, "no value")
    if pd.api.types.is_bool_dtype(present) or not _is_ordered(present):
        return _of_levels(name, kind, missing, present)
    numbers = _as_numbers(present)
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return ColumnSummary(name, kind, missing, int(present.nunique()), "no finite value")
    low, middle, high = (_show(present, np.quantile(finite, share, method="lower")) for share in (0, 0.5, 1))
    words = f"{low} to {high}, median {middle}"
    if low == high:  # as they are shown
        words = f"{'always' if finite.min() == finite.max() else 'about'} {low}"
    if infinite := len(numbers) - len(finite):
        words += f", {infinite:,} infinite"
    return ColumnSummary(name, kind, missing, int(present.nunique()), words, _histogram(finite))


def _histogram(numbers: Any) -> tuple[int, ...]:
    """Return the counts of bins of equal width; the numbers may differ by an ulp, or by more than a float holds."""
    low, span = numbers.min() / 2, numbers.max() / 2 - numbers.min() / 2
    shares = (numbers / 2 - low) / span if span else np.full(len(numbers), 0.5)
    return tuple(map(int, np.histogram(shares, BINS, (0, 1))[0]))


def kind_of(values: pd.Series) -> str:
    """Return the kind of a column by its dtype."""
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values):
        return "number"
    return "datetime" if pd.api.types.is_datetime64_any_dtype(values) else "category"


def _is_ordered(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)


def _as_numbers(present: pd.Series) -> Any:
    """Return numbers, and times as seconds."""
    if pd.api.types.is_datetime64_any_dtype(present):
        return pd.DatetimeIndex(present).as_unit("s").asi8.astype(float)
    return present.to_numpy(dtype=float)


def _show(present: pd.Series, number: float) -> str:
    if pd.api.types.is_datetime64_any_dtype(present):
        return str(pd.Timestamp(number, unit="s").date())
    return f"{number:,.4g}" if abs(number) < 10_000 else f"{number:,.0f}" if abs(number) < 1e12 else f"{number:.3e}"


def _of_levels(name: str, kind: str, missing: int, present: pd.Series) -> ColumnSummary:
    counts = present.astype(str).value_counts()
    counts = counts[counts > 0]
    shown = counts.iloc[:LEVELS]
    levels = tuple(shorten(str(level)) for level in shown.index)
    shares = [f"{level} {count / len(present):.0%}" for level, count in zip(levels[:3], shown, strict=False)]
    words = ", ".join(shares) + (", …" if len(counts) > 3 else "")
    return ColumnSummary(name, kind, missing, len(counts), words, tuple(map(int, shown)), levels)


def shorten(text: str) -> str:
    """Return the start of a long text."""
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"
