"""The stage ``gate``: decide whether a registered version may be deployed, say why, and record it."""

from __future__ import annotations

from orchestrator.artifacts import ModelVersion, Report, Split, Trained
from orchestrator.events import Progress
from orchestrator.flow import Lazy
from orchestrator.gate.decision import Gate
from orchestrator.gate.verdict import Verdict
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.field_types import Seed, Serves, StateDir
from orchestrator.spec.gate import GateSpec
from orchestrator.spec.package import PackageSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.tracking.registered_model import CHALLENGER
from orchestrator.tracking.tracker import RecordsVerdicts, Tracker


def gate(
    version: ModelVersion,
    report: Report,
    spec: GateSpec,
    search: SearchSpec,
    named: PackageSpec,
    seed: Seed,
    serves: Serves,
    split: Lazy[Split],
    trained: Lazy[Trained],
    tracker: Tracker,
    state_dir: StateDir,
    provenance: RunProvenance,
    progress: Progress,
) -> Verdict:
    """Decide about a version by the rules of ``gate``; what keeps it back ends the run well, without a deployment.

    Raises:
        TrackingError: the registry does not answer.
    """
    if provenance.sweep and not serves:
        return Verdict("open", ["nothing is deployed in this job of a sweep: the gate decides about the job that is"])
    given = (spec, search, named, seed, report, version, split, trained, tracker, state_dir, progress)
    verdict = Gate(*given, provenance.chosen_from).decide()
    if version.version and verdict.decision != "unchanged" and isinstance(tracker, RecordsVerdicts):
        tracker.record_verdict(version, verdict.tags, verdict.metrics, CHALLENGER if verdict.ends else "")
    return verdict
