"""CSV cells: the words of missing values and booleans, as pandas has them, and a table's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MISSING = frozenset(
    [
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
        *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


@dataclass(frozen=True)
class TableFormat:
    """The format of training's table; another file of the same kind is read in the same way.

    Attributes:
        missing: The strings of a missing value.
        separator: One character, or a pattern of blanks.
        text_columns: Columns that are read as text whatever they hold.
        dates: How the dates of a column are written: "ISO8601", or a format of ``strptime``.
    """

    format: str = "csv"
    separator: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str | None = None
    missing: Sequence[str] = tuple(sorted(MISSING))
    text_columns: Sequence[str] = ()
    dates: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> TableFormat:
        """Build a format from JSON: lists become tuples, so that equal formats are equal."""
        values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in content.items()}
        return cls(**values)

    @property
    def words(self) -> frozenset[str]:
        """The strings that mean a missing value in a request, too; none for Parquet, which has nulls."""
        return frozenset(self.missing) if self.format == "csv" else frozenset()


def missing_words(keep_default_na: bool, more: Sequence[str]) -> tuple[str, ...]:
    """Return the strings that mean a missing value: the empty one, ``more``, and pandas' defaults if kept."""
    return tuple(sorted({"", *more} | (MISSING if keep_default_na else set())))
