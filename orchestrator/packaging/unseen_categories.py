"""Category levels that no row of the table has: try whether the pipeline can score them, or a missing value."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PackageError
from orchestrator.spec.messages import suggest
from orchestrator.spec.package import PackageSpec
from score.contract.columns import rule_for
from score.contract.schema import Column, Contract, Levels
from score.payload.reader import Reader

if TYPE_CHECKING:
    import pandas as pd

REMEDIES = {  # what the pipeline fails on, and what to do
    "accept": ("an unseen", "let its encoder ignore unknown values (handle_unknown=ignore), or write auto"),
    "missing": ("a missing", "let an imputer fill missing values before it is encoded, or write auto"),
}
MAX_PREDICTIONS = 200  # of one row each; columns not isolated by then refuse unseen levels


def decide_unseen(
    pipeline: Any, contract: Contract, training: pd.DataFrame, held_out: pd.DataFrame, spec: PackageSpec
) -> Contract:
    """Return the contract with what is done with unseen levels of each column, by the rules of the package.

    A text column becomes a category, however many levels it has, if the pipeline fails on unseen values of it or they
    are refused or missing by a rule of its own.

    Raises:
        PackageError: unseen levels are to be accepted or missing, and the pipeline fails on such a row; or there is a
            rule for a column that has no levels.
    """
    _check_names(contract, spec)
    unseen = {
        column.name: unseen_value(column, () if column.categories else _texts(training, held_out, column.name))
        for column in contract.columns
        if column.kind in ("category", "string")
    }
    unseen = {name: value for name, value in unseen.items() if value is not None}
    contract = replace(contract, columns=tuple(_with_marker(column, spec) for column in contract.columns))
    failing = _failing_columns(pipeline, contract, held_out, unseen)
    masked = {name: None for name in unseen if spec.unseen_rule(name)[0] == "missing"}
    failing_missing = _failing_columns(pipeline, contract, held_out, masked)
    columns = []
    for column in contract.columns:
        wanted, key = spec.unseen_rule(column.name)
        closed = column.name in failing or (column.name in spec.unseen_columns and wanted in ("missing", "refuse"))
        if column.name not in unseen or (column.kind == "string" and not closed):
            columns.append(column)
            continue
        reason = (failing_missing if wanted == "missing" else failing).get(column.name)
        if reason and wanted in REMEDIES:
            what, remedy = REMEDIES[wanted]
            raise PackageError(
                f"{key}: is '{wanted}', and the pipeline fails on {what} value of '{column.name}' ({reason}); {remedy}"
            )
        described = column
        if column.kind == "string":
            described = Column.describe(training[column.name], held_out[column.name], Levels(1.0, sys.maxsize))
            described = _with_marker(described, spec)
        decision = ("refuse" if reason else "accept") if wanted == "auto" else wanted
        why = f"the pipeline fails on them ({reason})" if reason else f"{key} is {wanted}"
        how = {"accept": "scored", "missing": "scored as missing", "refuse": f"refused: {why}"}[decision]
        columns.append(replace(described, unseen=decision, decided=f"{described.decided}; unseen levels are {how}"))
    return replace(contract, columns=tuple(columns))


def as_scored(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return rows of the table (n_rows, n_columns) as a server scores them: some unseen levels are missing values."""
    import pandas as pd

    changed = {}
    for column in contract.columns:
        if column.unseen == "missing":
            values = frame[column.name]
            cells = [None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)]
            scored = rule_for(column).to_pandas(cells)
            changed[column.name] = pd.Series(scored, dtype=scored.dtype).set_axis(frame.index)
    return frame.assign(**changed) if changed else frame


def _check_names(contract: Contract, spec: PackageSpec) -> None:
    """Refuse a rule for a column without levels."""
    kinds = {column.name: column.kind for column in contract.columns}
    for name in spec.unseen_columns:
        if name not in kinds:
            raise PackageError(f"package.unseen_columns.{name}: there is no such column{suggest(name, kinds)}")
        if kinds[name] not in ("category", "string"):
            raise PackageError(
                f"package.unseen_columns.{name}: '{name}' is a column of kind {kinds[name]}, which has no unseen levels; "
                "leave it out here"
            )


def _with_marker(column: Column, spec: PackageSpec) -> Column:
    """Return the column with a missing value for its unseen levels: an object column has two that imputers distinguish."""
    marked = spec.unseen_rule(column.name)[0] == "missing" and column.dtype == "object" and column.missing_as is None
    return replace(column, missing_as="nan") if marked and column.kind in ("category", "string") else column


def _texts(training: pd.DataFrame, held_out: pd.DataFrame, name: str) -> set[Any]:
    return {*training[name].dropna().unique(), *held_out[name].dropna().unique()}


def unseen_value(column: Column, levels: Collection[Any] = ()) -> Any:
    """Return a value that is no level of the column, but of the levels' type; None if there is none.

    ``levels`` are those of a column of text, which the contract does not list.
    """
    levels = list(column.categories or levels)
    if {type(level) for level in levels} <= {str}:
        value = "unseen"
        while value in levels:
            value += "?"
        return value
    numbers = [level for level in levels if isinstance(level, int | float) and not isinstance(level, bool)]
    if numbers:
        return max(numbers) + 1
    return next((value for value in (False, True) if value not in levels), None)


def _failing_columns(
    pipeline: Any, contract: Contract, frame: pd.DataFrame, unseen: Mapping[str, Any]
) -> Mapping[str, str]:
    """Return the columns in which the pipeline fails on the given value, each with the error, found by bisection."""
    if not unseen:
        return {}
    from orchestrator.packaging.onnx.comparison_rows import request_values

    columns = [
        replace(column, unseen="accept" if column.kind == "category" else "refuse") for column in contract.columns
    ]
    reader = Reader(replace(contract, columns=tuple(columns)))
    row = {column.name: request_values(frame[column.name].iloc[:1], column)[0][0] for column in contract.columns}

    def first_error_line(names: list[str]) -> str:
        values = {name: [unseen[name] if name in names else value] for name, value in row.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # encoders warn of unknown categories
                pipeline.predict(reader.frame(values))
        except Exception as error:  # noqa: BLE001  # foreign code may raise anything
            return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        return ""

    failing: dict[str, str] = {}
    groups, predictions = [list(unseen)], 0
    while groups:
        names = groups.pop()
        predictions += 1
        reason = first_error_line(names)
        if reason and len(names) > 1 and predictions < MAX_PREDICTIONS:
            groups += [names[: len(names) // 2], names[len(names) // 2 :]]
        elif reason:
            failing |= dict.fromkeys(names, reason)
    return failing
