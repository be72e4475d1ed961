"""Findings about single columns: constants, identifiers, free text, and many categories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.checks.traits import Trait
from orchestrator.findings import CARDINALITY, CONSTANT, FREE_TEXT, IDENTIFIER, TableFinding, format_overrides
from orchestrator.spec.data import DataSpec
from orchestrator.spec.model import PreprocessSpec

WIDE = 60  # columns that one-hot encoding makes of one, from which it is worth a line: a state is no finding
_LISTED = 5  # columns in a sentence
_KEPT = 20  # values that the remedy keeps
_CODES = {"constant": CONSTANT, "empty": CONSTANT, "identifier": IDENTIFIER, "text": FREE_TEXT}
_ENCODER = "sklearn.preprocessing.OneHotEncoder"


def drop(data: DataSpec, *names: str) -> dict[str, Any]:
    """Return the change that leaves columns out, besides those that are left out already."""
    return {"data.drop": [*data.drop, *names]}


def find_traits(traits: Mapping[str, Trait], widths: Mapping[str, int], data: DataSpec) -> Iterator[TableFinding]:
    """Yield the columns that are no features; ``widths`` are the columns that one-hot encoding makes of each."""
    constants = [name for name, trait in traits.items() if trait.kind in {"constant", "empty"}]
    if len(constants) > 1:  # of images there are hundreds
        changes = drop(data, *constants)
        more = f" and {len(constants) - _LISTED} more" if len(constants) > _LISTED else ""
        listed = f"columns {', '.join(map(repr, constants[:_LISTED]))}{more}"
        text = f"{listed} are empty or have one value in every row; write {format_overrides(changes)}"
        yield TableFinding(CONSTANT, text, tuple(constants), changes)
    for name, trait in traits.items():
        code = _CODES.get(trait.kind)
        if code and (code != CONSTANT or len(constants) == 1):
            changes, width = drop(data, name), widths.get(name, 0)
            cost = f"; one-hot encoding makes {width:,} columns of it" if width > WIDE else ""
            yield TableFinding(
                code, f"column '{name}' is {trait.reason}{cost}; write {format_overrides(changes)}", (name,), changes
            )


def find_wide_columns(
    traits: Mapping[str, Trait], widths: Mapping[str, int], data: DataSpec, preprocess: PreprocessSpec
) -> Iterator[TableFinding]:
    """Yield the ordinary columns that one-hot encoding makes more than ``WIDE`` columns of, the widest first."""
    for name, width in sorted(widths.items(), key=lambda item: -item[1]):
        if width <= WIDE or name in traits:
            continue
        changes = _limit_categories(name, preprocess)
        how = f"write {format_overrides(changes or drop(data, name))}"
        if changes:
            how = f"{how} to keep the {_KEPT} most frequent values of each column"
        text = f"column '{name}': one-hot encoding makes {width:,} columns of it; {how}"
        yield TableFinding(CARDINALITY, text, (name,), changes or drop(data, name))


def _limit_categories(name: str, preprocess: PreprocessSpec) -> dict[str, Any]:
    """Return the change that limits the encoder of a column; empty if the configuration has no such encoder."""
    for branch_name, branch in preprocess.branches.items():
        takes = branch.columns == "categorical" if isinstance(branch.columns, str) else name in branch.columns
        for step, component in branch.steps.items():
            if takes and component.target == _ENCODER:
                return {f"++preprocess.branches.{branch_name}.steps.{step}.max_categories": _KEPT}
    return {}
