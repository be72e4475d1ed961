"""Check the rows of a table against a contract: which of them an endpoint accepts, and why it refuses the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.artifacts import Refusals
from orchestrator.errors import PackageError
from score.contract.columns import rule_for, shown
from score.contract.schema import Column, Contract

if TYPE_CHECKING:
    import pandas as pd

LISTED = 5  # columns in a message; result.json has all
MANY = 100  # rows, or twice as many as are wanted, among which enough are accepted nearly always


@dataclass(frozen=True)
class HoldoutCheck:
    """Which rows of a table ``fit`` (n_rows,), and why the others are refused."""

    fit: Any
    refusals: Refusals

    @property
    def rows(self) -> list[int]:
        """The positions of the rows that fit."""
        positions: list[int] = self.fit.nonzero()[0].tolist()
        return positions


def check_rows(frame: pd.DataFrame, columns: Iterable[Column]) -> HoldoutCheck:
    """Check every row (n_rows, n_columns) as an endpoint with these columns would."""
    import numpy as np  # heavy, and the console only describes refusals

    from orchestrator.packaging.onnx.comparison_rows import refused_cells

    fit = np.ones(len(frame), dtype=bool)
    reasons: dict[str, dict[str, int]] = {}
    examples: dict[str, dict[str, str]] = {}
    for column in columns:
        refused = refused_cells(frame[column.name], column)
        fit[list(refused)] = False
        counts = Counter[str]()
        for value, error in refused.values():
            reason = str(error).removeprefix(f"{shown(value)} ")
            examples.setdefault(column.name, {}).setdefault(reason, shown(value))
            counts[reason] += 1
        if counts:
            reasons[column.name] = dict(counts)
    return HoldoutCheck(fit, Refusals(len(frame), int((~fit).sum()), reasons, examples))


def first_accepted(frame: pd.DataFrame, columns: Sequence[Column], count: int) -> list[int]:
    """Return the positions of the first ``count`` rows that an endpoint accepts; fewer if there are no more.

    Raises:
        PackageError: there is none.
    """
    check = check_rows(frame.head(max(MANY, 2 * count)), columns)
    if len(check.rows) < count:
        check = check_rows(frame, columns)
    if not check.rows:
        refused = describe_refusals(check.refusals)
        raise PackageError(f"package.golden_rows: there is no row to test the endpoint with, it refuses {refused}")
    return check.rows[:count]


def as_records(frame: pd.DataFrame, columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Return rows that an endpoint accepts as a request holds them."""
    from orchestrator.packaging.onnx.comparison_rows import request_values

    found: list[dict[str, Any]] = [{} for _ in range(len(frame))]
    for column in columns:
        rule = rule_for(column)
        for record, value in zip(found, request_values(frame[column.name], column)[0], strict=True):
            record[column.name] = rule.to_json(value)
    return found


def unseen_row_columns(contract: Contract) -> list[Column]:
    """Return the columns as they are for new rows: without the levels that only hold-out rows have."""
    columns = []
    for column in contract.columns:
        known = None if column.categories is None else column.learned
        columns.append(replace(column, categories=known, held_out=()))
    return columns


def enforce_max_refused(refusals: Refusals, most: float) -> None:
    """Refuse a package whose endpoint would refuse a share of more than ``most`` of rows like the hold-out rows.

    Raises:
        PackageError: the text has the reasons by column, and what to do.
    """
    if refusals.share <= most:
        return
    columns = [column for column, counts in refusals.reasons.items() if any("category" in reason for reason in counts)]
    remedies: list[str] = []
    if columns:
        remedies = [
            f"score them (package.unseen=auto, with an encoder of {shown(columns[0])} that has handle_unknown=ignore)",
            "score them as missing (package.unseen=missing)",
            f"leave the column out (data.drop=[{columns[0]}])",
        ]
    if len(columns) < len(refusals.reasons):
        remedies.append("correct these values in the data")
    raise PackageError(
        f"package.max_refused: the endpoint would refuse {describe_refusals(refusals)}, more than {most:g} of them, "
        f"so nothing is registered; {', '.join(remedies)}, or raise package.max_refused",
        refusals,
    )


def describe_refusals(refusals: Refusals) -> str:
    """Describe how many hold-out rows are refused, by column and reason."""
    head = f"{refusals.refused} of {refusals.rows} hold-out rows"
    if not refusals.refused:
        return head
    parts = [
        (count, f"column {shown(column)}, {count} rows: {refusals.examples[column][reason]} {reason}")
        for column, counts in refusals.reasons.items()
        for reason, count in counts.items()
    ]
    parts.sort(key=lambda part: -part[0])
    more = [f"and {len(parts) - LISTED} more"] if len(parts) > LISTED else []
    return f"{head} ({refusals.share:.1%}; {'; '.join([text for _, text in parts[:LISTED]] + more)})"
