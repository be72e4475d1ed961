"""How a table was read, in plain text: the kind of each column, its missing cells, and likely mistakes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.findings import (
    LEADING_ZEROS,
    MISSING_WORD,
    NUMBER_TEXT,
    SPELLING,
    THOUSANDS,
    TableFinding,
    format_overrides,
)
from orchestrator.reading.frame import Table
from orchestrator.reading.number_text import looks_numeric
from score.contract.cells import MISSING, TableFormat
from score.contract.schema import Column

if TYPE_CHECKING:
    import pandas as pd

_NOUNS = {
    "integer": "numbers",
    "number": "numbers",
    "boolean": "booleans",
    "category": "categories",
    "string": "text",
    "datetime": "dates",
}
_LISTED = 3  # values, or columns, in a sentence


@dataclass(frozen=True)
class ColumnReading:
    """How one column was read: its kind, distinct values (None for numbers), and missing cells by their text."""

    name: str
    kind: str
    dtype: str
    levels: int | None
    missing: int
    words: Mapping[str, int]


@dataclass(frozen=True)
class TableReading:
    """How a table was read; ``left_out`` maps columns to the reason.

    ``findings`` are likely mistakes, and ``notes`` are sentences on these and on what was left out.
    """

    rows: int
    columns: Sequence[ColumnReading]
    left_out: Mapping[str, str]
    notes: Sequence[str]
    form: TableFormat
    findings: Sequence[TableFinding] = ()

    @property
    def line(self) -> str:
        """The columns and the missing cells in one line."""
        by_kind = defaultdict[str, list[ColumnReading]](list)
        for column in self.columns:
            by_kind[column.kind].append(column)
        kinds = [_format_kind(kind, by_kind[kind]) for kind in dict.fromkeys(_NOUNS.values()) if kind in by_kind]
        return "; ".join(filter(None, (f"{self.rows:,} rows", ", ".join(kinds), self._missing())))

    def _missing(self) -> str:
        cells = sum(column.missing for column in self.columns)
        if not cells:
            return "nothing missing"
        words = Counter[str]()
        for column in self.columns:
            words.update(column.words)
        columns = sum(column.missing > 0 for column in self.columns)
        return f"missing: {cells:,} cells in {columns} column{'s' * (columns > 1)}{_format_counts(words)}"

    @property
    def table(self) -> str:
        """A line for each column."""
        width = max((len(name) for name in [*(column.name for column in self.columns), *self.left_out]), default=0)
        lines = [f"{column.name:<{width}}  {_format_column(column)}" for column in self.columns]
        return "\n".join([*lines, *(f"{name:<{width}}  left out ({why})" for name, why in self.left_out.items())])

    def as_json(self) -> dict[str, Any]:
        """Return the whole description for result.json."""
        fields = asdict(self)
        del fields["findings"]  # which result.json has with those of the other checks
        return {"line": self.line, **fields}


def describe_table(table: Table, columns: Iterable[Column], X: pd.DataFrame, target: pd.Series) -> TableReading:
    """Describe how the columns ``X`` of a table were read, in the contract's terms, and note likely mistakes."""
    readings = [_describe_column(table, column, X[column.name]) for column in columns]
    notes = [f"column '{name}' is left out ({why})" for name, why in table.left_out.items() if why != "data.drop"]
    named = [*((column.name, X[column.name]) for column in readings), (str(target.name), target)]
    names = {name for name, _ in named}
    findings = tuple(finding for finding in table.findings if names.issuperset(finding.columns))
    findings += tuple(finding for name, values in named for finding in _find_mistakes(table, name, values))
    notes += [finding.text for finding in findings]
    return TableReading(len(X), tuple(readings), dict(table.left_out), tuple(notes), table.form, findings)


def find_lookalikes(values: Iterable[Any]) -> list[tuple[str, str]]:
    """Return the pairs of texts that differ in blanks or in case only."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for value in values:
        if isinstance(value, str):
            spellings[" ".join(value.split()).casefold()].append(value)
    return [(texts[0], texts[1]) for texts in spellings.values() if len(texts) > 1]


def format_lookalikes(pairs: Sequence[tuple[str, str]]) -> str:
    """Return a sentence for the pairs that differ in blanks or case only; "" for none."""
    if not pairs:
        return ""
    more = f" (and {len(pairs) - 1} more pairs)" if len(pairs) > 1 else ""
    return f"{pairs[0][0]!r} and {pairs[0][1]!r}{more} differ in blanks or case only; write them alike"


def _describe_column(table: Table, column: Column, values: pd.Series) -> ColumnReading:
    kind = _NOUNS[column.kind]
    levels = int(values.nunique()) if kind in {"categories", "text"} else None
    return ColumnReading(
        column.name, kind, str(values.dtype), levels, int(values.isna().sum()), dict(table.missing(column.name))
    )


def _find_mistakes(table: Table, name: str, values: pd.Series) -> Iterator[TableFinding]:
    """Yield what may be a mistake in how one column was read."""
    scan = table.scans.get(name)
    numeric = values.dtype.kind in "iuf"
    if scan and numeric and scan.leading_zero:
        changes: dict[str, Any] = {"data.text_columns": [*table.form.text_columns, name]}
        yield TableFinding(
            LEADING_ZEROS,
            f"column '{name}' is read as numbers and holds {scan.leading_zero!r}: if these are codes, "
            f"write {format_overrides(changes)} to keep the zeros",
            (name,),
            changes,
        )
    if scan and values.dtype.kind == "f" and scan.grouped:
        changes = {"data.thousands": ".", "data.decimal": ","}
        yield TableFinding(
            THOUSANDS,
            f"column '{name}' is read as numbers with a decimal point and each has three digits behind it: if the points "
            f"group thousands, write {format_overrides(changes)}",
            (name,),
            changes,
        )
    if numeric or values.dtype == bool or values.dtype.kind == "M":
        return
    words = [word for word in table.missing(name) if word in MISSING and word]
    if words:
        count, changes = sum(table.missing(name)[word] for word in words), {"data.keep_default_na": False}
        yield TableFinding(
            MISSING_WORD,
            f"column '{name}': {', '.join(map(repr, words[:_LISTED]))} in {count:,} cells was taken for missing; "
            f"if it is a value, write {format_overrides(changes)}",
            (name,),
            changes,
        )
    counts = values.value_counts()
    texts = {value: int(count) for value, count in counts.items() if isinstance(value, str)}
    if name in table.as_text:
        why = f"{table.as_text[name]!r} is no number with data.thousands={table.form.thousands!r}"
        yield TableFinding(NUMBER_TEXT, f"column '{name}' is read as text: {why}", (name,))
    elif name not in table.form.text_columns and (found := looks_numeric(texts, table.form)):
        why, changes = found
        if changes and not table.scans:  # no CSV file, whose notation keys can describe
            why, changes = f"{why.partition(';')[0]}; write numbers into the table", {}
        elif "data.decimal" in changes and (other := _with_decimals(table.frame)):  # which would become text
            why, changes = (
                f"{why.partition(';')[0]}, and '{other}' has decimals of the other sign; write both alike",
                {},
            )
        yield TableFinding(
            NUMBER_TEXT, f"column '{name}' is read as text and looks like numbers: {why}", (name,), changes
        )
        return
    if alike := format_lookalikes(find_lookalikes(texts)):
        yield TableFinding(SPELLING, f"column '{name}': {alike}", (name,))


def _with_decimals(frame: pd.DataFrame) -> str | None:
    """Return the first column of numbers that are not all whole."""
    columns = ((str(name), values.dropna()) for name, values in frame.items() if values.dtype.kind == "f")
    return next((name for name, values in columns if (values % 1 != 0).any()), None)


def _format_kind(kind: str, columns: Sequence[ColumnReading]) -> str:
    text = f"{len(columns):,} {kind}" if kind == "text" or len(columns) > 1 else f"1 {_singular(kind)}"
    levels = sorted(column.levels for column in columns if column.levels is not None)
    if not levels:
        return text
    span = f"{levels[0]:,} to {levels[-1]:,}" if levels[0] != levels[-1] else f"{levels[0]:,}"
    noun = "level" if kind == "categories" else "distinct value"
    return f"{text} ({span} {noun}{'s' * (levels[-1] != 1)})"


def _singular(kind: str) -> str:
    return {"categories": "category"}.get(kind, kind.removesuffix("s"))


def _format_column(column: ColumnReading) -> str:
    levels = "" if column.levels is None else f", {column.levels:,} distinct values"
    missing = f", {column.missing:,} missing{_format_counts(column.words)}" if column.missing else ""
    return f"{column.kind} ({column.dtype}){levels}{missing}"


def _format_counts(words: Mapping[str, int]) -> str:
    """Return how many cells hold each text that means a missing value, the most frequent first."""
    counts = sorted(words.items(), key=lambda item: -item[1])
    return (
        f" ({', '.join(f'{word!r} {count:,}' if word else f'empty {count:,}' for word, count in counts)})"
        if counts
        else ""
    )
