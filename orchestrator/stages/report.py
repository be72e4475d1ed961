"""Stages that look at the trained model more closely, and write the report on the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.artifacts import Evaluation, ModelVersion, Report, Split, Trained
from orchestrator.caching.cache import cached
from orchestrator.findings import CheckedTable, format_overrides, merge_changes
from orchestrator.flow import Lazy
from orchestrator.gate.champion import NotComparableError, load_champion
from orchestrator.gate.verdict import Verdict
from orchestrator.report.inspection import FILE, DataChanges, Inspection, ReportPage
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.data import DataSpec
from orchestrator.spec.field_types import Seed, StateDir
from orchestrator.spec.model import ModelSpec
from orchestrator.spec.package import PackageSpec
from orchestrator.spec.report import ReportSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST
from orchestrator.tracking.tracker import HoldsFiles, Tracker
from score.contract import distribution


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
    package: PackageSpec,
    split: Lazy[Split],
    tracker: Tracker,
    state_dir: StateDir,
    checked: CheckedTable | None = None,
    verdict: Verdict | None = None,
    version: ModelVersion | None = None,
) -> ReportPage:
    """Write the report as one HTML file, and keep it beside the run and the version where these are tracked.

    It is no part of what the package's fingerprint covers, and of no image: equal trainings make equal packages, and the
    report is of one run. The rows are asked for
    only where the champion was trained on others.

    Raises:
        TrackingError: the registry does not answer.
    """
    from orchestrator.report.page import Content, build_page

    found = [finding for finding in inspection.findings if not finding.is_accepted(data.accept)]
    every = [*(checked.findings if checked else ()), *found]
    said = () if verdict is None else _say(verdict)
    changes = _compare(package, state_dir, tracker, report, inspection, split)
    html = build_page(Content(report, inspection, every, checked, spec.card, provenance.origin.rebuild, said, changes))
    if isinstance(tracker, HoldsFiles):
        tracker.attach(report, {FILE: html.encode()}, version)
    return ReportPage(html, tuple(found), format_overrides(merge_changes(found)))


def _compare(
    package: PackageSpec,
    state_dir: StateDir,
    tracker: Tracker,
    report: Report,
    inspection: Inspection,
    split: Callable[[], Split],
) -> DataChanges | str:
    """Return what changed against the champion's training data, or why that is not known; whatever the gate is."""
    registry = tracker.look_up(package.model_name)
    if registry is None or registry.champion is None:
        return "There is no champion whose training data could be compared."
    said = f"champion version {registry.champion}"
    try:
        champion = load_champion(package, state_dir, tracker, fetch=False)
        profiles = distribution.read(champion.version.package.path)
    except (NotComparableError, ValueError) as reason:
        return f"The data was not compared with that of {said}: {reason}."
    about, contract = champion.about, champion.contract
    known = (about.get("data"), about.get("held_out"), len(contract.columns))
    if known == (report.tags.get("data_fingerprint"), report.tags.get(HOLDOUT_DIGEST), inspection.table.width):
        return f"Nothing changed: the {said} was trained on the same rows of the same table."
    from orchestrator.report.changes import TrainingData, compare_data

    before = TrainingData(champion.said, contract, profiles, about)
    return compare_data(before, split(), fit_on_all=report.params.get("search.fit_on") == "all")


def _say(verdict: Verdict) -> Sequence[str]:
    """Return what the gate decided and why, in sentences."""
    decided = {
        "passed": "This version may be deployed.",
        "kept": f"Champion version {verdict.champion} stays; this version is registered and not deployed.",
        "refused": "This version is registered and not deployed.",
        "unchanged": "This version is the champion already.",
        "open": "Nothing was decided.",
    }[verdict.decision]
    before = f"decided before: {verdict.recorded}" if verdict.recorded else ""
    reasons = filter(None, [*verdict.reasons, before, *verdict.notes, verdict.needed])
    return [decided, *(_sentence(reason) for reason in reasons)]


def _sentence(text: str) -> str:
    """Return a text as a sentence; a name that it begins with, such as ``roc_auc``, stays as it is."""
    named = "_" in text.partition(" ")[0]
    return f"{text if named else text[0].upper() + text[1:]}".rstrip(".") + "."
