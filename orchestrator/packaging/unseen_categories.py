"""Category levels that no row of the table has: try whether the pipeline can score them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PackageError
from score.contract.schema import Column, Contract, Levels
from score.payload.reader import Reader

if TYPE_CHECKING:
    import pandas as pd

MAX_PREDICTIONS = 200  # of one row each; columns not isolated by then refuse unseen levels


def decide_unseen(
    pipeline: Any, contract: Contract, training: pd.DataFrame, held_out: pd.DataFrame, wanted: str
) -> Contract:
    """Return the contract with the policy for unseen levels of each column; ``wanted`` is accept, refuse or auto.

    A text column becomes a category, however many levels it has, if the pipeline fails on unseen values of it.

    Raises:
        PackageError: accept is wanted, and the pipeline fails on an unseen level.
    """
    unseen = {column.name: unseen_value(column) for column in contract.columns if column.kind in ("category", "string")}
    unseen = {name: value for name, value in unseen.items() if value is not None}
    failing = _failing_columns(pipeline, contract, held_out, unseen)
    columns = []
    for column in contract.columns:
        reason = failing.get(column.name)
        if column.name not in unseen or (reason is None and column.kind == "string"):
            columns.append(column)
            continue
        if reason and wanted == "accept":
            raise PackageError(
                f"package.unseen: is 'accept', and the pipeline fails on an unseen value of '{column.name}' ({reason}); "
                "let its encoder ignore unknown values (handle_unknown=ignore), or write auto"
            )
        described = column
        if column.kind == "string":
            described = Column.describe(training[column.name], held_out[column.name], Levels(1.0, sys.maxsize))
        accepted = not reason and wanted != "refuse"
        why = f"the pipeline fails on them ({reason})" if reason else f"package.unseen is {wanted}"
        decided = f"{described.decided}; unseen levels are {'scored' if accepted else f'refused: {why}'}"
        columns.append(replace(described, unseen="accept" if accepted else "refuse", decided=decided))
    return replace(contract, columns=tuple(columns))


def unseen_value(column: Column) -> Any:
    """Return a value that is no level of the column, but of the levels' type; None if there is none."""
    levels = list(column.categories or ())
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
    """Return the columns in which the pipeline fails on an unseen level, each with the error, found by bisection."""
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
