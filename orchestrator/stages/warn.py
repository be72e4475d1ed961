"""The stage that reports what is likely wrong with the table, before training.

A module of its own: what is found in a table does not depend on the registry.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.checks.contract import find_changed_types
from orchestrator.errors import DataError
from orchestrator.findings import STRICT, CheckedTable, TableFinding, TableFindings, format_overrides, merge_changes
from orchestrator.registry.selection import known_versions
from orchestrator.spec.data import DataSpec
from orchestrator.spec.field_types import CheckLevel, StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.tracking.tracker import Tracker
from score.contract.schema import FILE, Contract


def warn(
    table: TableFindings, level: CheckLevel, data: DataSpec, package: PackageSpec, state_dir: StateDir, tracker: Tracker
) -> CheckedTable:
    """Report the findings, and the types that changed against the last version registered from this machine.

    Raises:
        DataError: there are findings, and ``data.checks`` is strict.
    """
    if level == "off":
        return CheckedTable((), note="data.checks=off")
    found = [*table.findings, *_find_changed_types(table, data, package, state_dir, tracker)]
    findings = [finding for finding in found if not finding.is_accepted(data.accept)]
    remedy = format_overrides(merge_changes(findings))
    if findings and level == "strict":
        raise DataError(_list(findings, remedy), STRICT, findings)
    notes = [f"{len(found) - len(findings)} accepted by data.accept"] if len(found) > len(findings) else []
    if table.searched < table.rows:
        notes.append(f"leaks were looked for in a sample of {table.searched:,} of {table.rows:,} rows")
    return CheckedTable(tuple(findings), remedy, "; ".join(notes))


def _find_changed_types(
    table: TableFindings, data: DataSpec, package: PackageSpec, state_dir: StateDir, tracker: Tracker
) -> Sequence[TableFinding]:
    """Compare with the version registered or promoted last; one whose package is gone is not compared with."""
    known = known_versions(package.model_name, state_dir, tracker)
    if not known:
        return ()
    last = known[-1].version
    try:
        contract = Contract.from_json((last.package.path / FILE).read_bytes())
    except (OSError, ValueError):
        return ()
    which = f"version {last.version}" if last.version else f"package {last.package.short_id}"
    return tuple(find_changed_types(table.kinds, contract.columns, f"{which} of '{last.name}'", data))


def _list(findings: Sequence[TableFinding], remedy: str) -> str:
    """Return all findings, one line each, below a line that says how many there are."""
    count = f"{len(findings)} finding{'s' * (len(findings) > 1)}"
    lines = [f"data.checks: {count}; data.accept lists codes to accept, and data.checks=warn prints them and goes on"]
    lines += [f"  {finding.code}: {finding.text}" for finding in findings]
    return "\n".join([*lines, *([f"  all at once: {remedy}"] if remedy else [])])
