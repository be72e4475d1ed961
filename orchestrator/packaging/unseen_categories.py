"""Levels that no row of the table has: whether the pipeline scores them is found by asking it."""

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

ASKED = 200  # predictions at most, of one row each; columns that are not reached by then refuse


def decide_unseen(
    pipeline: Any, contract: Contract, training: pd.DataFrame, held_out: pd.DataFrame, wanted: str
) -> Contract:
    """The contract with what becomes of unseen levels in each column, ``wanted`` being accept, refuse or auto.

    A text column whose other values the pipeline fails on is a category, however many levels it has.

    Raises:
        PackageError: they are to be accepted, and the pipeline fails on one.
    """
    strangers = {
        column.name: unseen_value(column) for column in contract.columns if column.kind in ("category", "string")
    }
    strangers = {name: value for name, value in strangers.items() if value is not None}
    failing = _failing(pipeline, contract, held_out, strangers)
    columns = []
    for column in contract.columns:
        reason = failing.get(column.name)
        if column.name not in strangers or (reason is None and column.kind == "string"):
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
    """A value that could be a level of the column and is none; None where there is no such value."""
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


def _failing(pipeline: Any, contract: Contract, frame: pd.DataFrame, strangers: Mapping[str, Any]) -> Mapping[str, str]:
    """The columns in which the pipeline fails on an unseen level, and what it says."""
    if not strangers:
        return {}
    columns = [
        replace(column, unseen="accept" if column.kind == "category" else "refuse") for column in contract.columns
    ]
    reader = Reader(replace(contract, columns=tuple(columns)))
    cells = {column.name: frame[column.name].iloc[:1] for column in contract.columns}
    row = {name: None if cell.isna().iloc[0] else cell.tolist()[0] for name, cell in cells.items()}

    def error(names: list[str]) -> str:
        asked = {name: [strangers[name] if name in names else value] for name, value in row.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # encoders say that they ignore a value
                predicted = reader.frame(asked)
                pipeline.predict(predicted)
        except Exception as found:  # noqa: BLE001  # foreign code: whatever it raises, the answer is no
            return (str(found).strip().splitlines() or [type(found).__name__])[0].rstrip(".")
        return ""

    failing: dict[str, str] = {}
    waiting, asked = [list(strangers)], 0
    while waiting:
        names = waiting.pop()
        asked += 1
        reason = error(names)
        if reason and len(names) > 1 and asked < ASKED:
            waiting += [names[: len(names) // 2], names[len(names) // 2 :]]
        elif reason:
            failing |= dict.fromkeys(names, reason)
    return failing
