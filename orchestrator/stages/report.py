"""Stages that look at the trained model more closely, and write the report on the run."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.artifacts import Evaluation, Report, Split, Trained
from orchestrator.caching.cache import cached
from orchestrator.findings import CheckedTable, format_overrides, merge_changes
from orchestrator.gate.verdict import Verdict
from orchestrator.report.inspection import FILE, Inspection, ReportPage
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.data import DataSpec
from orchestrator.spec.field_types import Seed
from orchestrator.spec.model import ModelSpec
from orchestrator.spec.report import ReportSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.tracking.tracker import HoldsFiles, Tracker


@cached("scikit-learn", "numpy", "scipy", "pandas", "joblib")
def inspect(
    split: Split,
    trained: Trained,
    evaluation: Evaluation,
    data: DataSpec,
    model: ModelSpec,
    search: SearchSpec,
    spec: ReportSpec,
    seed: Seed,
) -> Inspection:
    """Look at the table, the errors, the columns and groups that matter, and for what is likely wrong with the model.

    The cost is bounded: rows above a fixed number are sampled by the seed, and of a wide table some columns are chosen.
    """
    from orchestrator.report.inspector import inspect_training

    return inspect_training(split, trained, evaluation, data, model, search, spec, seed)


def render(
    report: Report,
    inspection: Inspection,
    data: DataSpec,
    spec: ReportSpec,
    provenance: RunProvenance,
    tracker: Tracker,
    checked: CheckedTable | None = None,
    verdict: Verdict | None = None,
) -> ReportPage:
    """Write the report as one HTML file, and keep it beside the run where runs are tracked.

    It is no part of the package: equal trainings make equal packages, and the report is of one run.
    """
    from orchestrator.report.page import Content, build_page

    found = [finding for finding in inspection.findings if not finding.is_accepted(data.accept)]
    every = [*(checked.findings if checked else ()), *found]
    said = () if verdict is None else _say(verdict)
    html = build_page(Content(report, inspection, every, checked, spec.card, provenance.origin.rebuild, said))
    if isinstance(tracker, HoldsFiles):
        tracker.attach(report, {FILE: html.encode()})
    return ReportPage(html, tuple(found), format_overrides(merge_changes(found)))


def _say(verdict: Verdict) -> Sequence[str]:
    """Return what the gate decided and why, in sentences."""
    decided = {
        "passed": "This version may be deployed.",
        "kept": f"Champion version {verdict.champion} stays; this version is registered and not deployed.",
        "refused": "This version is registered and not deployed.",
        "unchanged": "This version is the champion already.",
        "open": "Nothing was decided.",
    }[verdict.decision]
    reasons = filter(None, [*verdict.reasons, *verdict.notes, verdict.needed])
    return [decided, *(_sentence(reason) for reason in reasons)]


def _sentence(text: str) -> str:
    """Return a text as a sentence; a name that it begins with, such as ``roc_auc``, stays as it is."""
    named = "_" in text.partition(" ")[0]
    return f"{text if named else text[0].upper() + text[1:]}".rstrip(".") + "."
