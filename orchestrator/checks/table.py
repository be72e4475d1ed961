"""Run all checks of a table that need its rows, in the order in which the findings are printed."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.artifacts import Dataset, Search, Split
from orchestrator.checks import columns, leaks, splits
from orchestrator.checks.traits import judge_column
from orchestrator.findings import TableFinding, TableFindings
from orchestrator.modeling.one_hot import one_hot_widths
from orchestrator.spec.data import DataSpec
from orchestrator.spec.model import PreprocessSpec


def check_table(
    dataset: Dataset, split: Split, search: Search, data: DataSpec, preprocess: PreprocessSpec
) -> TableFindings:
    """Return what is likely wrong with a table; of more than ``leaks.ROWS`` rows a sample is searched for leaks."""
    kinds = {column.name: column.kind for column in dataset.reading.columns} if dataset.reading else {}
    findings = tuple(_iter_findings(dataset, split, search, data, preprocess))
    return TableFindings(findings, kinds, len(dataset.y), min(len(dataset.y), leaks.ROWS))


def _iter_findings(
    dataset: Dataset, split: Split, search: Search, data: DataSpec, preprocess: PreprocessSpec
) -> Iterator[TableFinding]:
    X, y = dataset.X, dataset.y
    judged = {name: judge_column(X[name]) for name in X.columns}
    traits = {name: trait for name, trait in judged.items() if trait is not None}
    widths = one_hot_widths(X, search.estimator.estimator)
    sample = leaks.draw_rows(len(y))
    groups = dataset.split_by.iloc[sample] if data.split.rule == "group" and dataset.split_by is not None else None
    is_class = dataset.classes is not None
    yield from leaks.find_leaks(X.iloc[sample], y.iloc[sample], traits, data, is_class=is_class, groups=groups)
    yield from splits.find_order(traits, split, data)
    yield from splits.find_duplicates(split, data)
    yield from columns.find_traits(
        {name: trait for name, trait in traits.items() if not (preprocess.takes_text and trait.kind == "text")},
        widths,
        data,
    )
    yield from columns.find_wide_columns(traits, widths, data, preprocess)
    yield from dataset.reading.findings if dataset.reading else ()
