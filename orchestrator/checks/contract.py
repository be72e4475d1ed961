"""Types that changed against the last registered version of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.checks.columns import drop
from orchestrator.findings import TYPE_CHANGED, TableFinding, format_overrides
from orchestrator.spec.data import DataSpec
from score.contract.schema import Column

TYPES = {  # of the kinds of a contract, of a table's reading and of a column in the report
    **dict.fromkeys(("integer", "number", "numbers"), "numbers"),
    **dict.fromkeys(("category", "string", "categories", "text"), "text"),
    **dict.fromkeys(("boolean", "booleans"), "booleans"),
    **dict.fromkeys(("datetime", "dates"), "dates"),
}


def find_changed_types(
    kinds: Mapping[str, str], registered: Sequence[Column], version: str, data: DataSpec
) -> Iterator[TableFinding]:
    """Yield the columns that have another type than in a registered version, which ``version`` names.

    ``kinds`` are those of the table's reading. Whole numbers and decimals are one type, categories and text another: they depend on how many rows there are.
    """
    for column in registered:
        if column.name not in kinds:
            continue
        before, now = (TYPES.get(kind) for kind in (column.kind, kinds[column.name]))
        if before and now and before != now:
            changes: dict[str, Any] = drop(data, column.name)
            if before == "text":
                changes = {"data.text_columns": [*data.text_columns, column.name]}
            text = (
                f"column '{column.name}' holds {now} and held {before} in {version}, such as {column.example!r}: clients "
                f"that send these would be refused; correct the table, or write {format_overrides(changes)}"
            )
            yield TableFinding(TYPE_CHANGED, text, (column.name,), changes)
