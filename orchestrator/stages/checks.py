"""The stage that looks for what is likely wrong with the table."""

from __future__ import annotations

from orchestrator.artifacts import Dataset, Search, Split
from orchestrator.caching.cache import cached
from orchestrator.findings import TableFindings
from orchestrator.spec.data import DataSpec
from orchestrator.spec.field_types import CheckLevel
from orchestrator.spec.model import PreprocessSpec


@cached("scikit-learn", "numpy", "scipy", "pandas")
def check(
    dataset: Dataset, split: Split, search: Search, data: DataSpec, preprocess: PreprocessSpec, level: CheckLevel
) -> TableFindings:
    """Look for leaks, identifiers, duplicates and the like; they are cached, so that the next run prints them again."""
    if level == "off":
        return TableFindings((), {}, len(dataset.y), 0)
    from orchestrator.checks.table import check_table

    return check_table(dataset, split, search, data, preprocess)
