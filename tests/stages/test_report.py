"""The report's stages: what is accepted is left out, and the page is kept where files can be kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from orchestrator.artifacts import PackageProvenance, Report
from orchestrator.findings import CheckedTable, TableFinding
from orchestrator.gate.verdict import Verdict
from orchestrator.report.inspection import Inspection, ReportPage
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.field_types import Seed
from orchestrator.spec.report import CardSpec, ReportSpec
from orchestrator.stages.report import inspect, render
from orchestrator.tracking.none import NoTracking
from tests.report.trainings import Training, two_classes

EDGE = TableFinding("model-grid-edge", "C=1 is at the edge", (), {"model.param_grid.C": [1, 2]})


class Keeping(NoTracking):
    """A tracker that keeps files, in memory."""

    def attach(self, report: Report, files: Mapping[str, bytes]) -> None:  # noqa: ARG002 - the boundary's signature
        held.update(files)


held: dict[str, bytes] = {}


def made(
    training: Training,
    tracker: NoTracking,
    *,
    accept: tuple[str, ...] = (),
    verdict: Verdict | None = None,
    **report: object,
) -> ReportPage:
    spec = ReportSpec.model_validate(report)
    seen: Inspection = inspect(
        training.split,
        training.trained,
        training.evaluation,
        training.data,
        training.model,
        training.search,
        spec,
        Seed(0),
    )
    data = training.data.model_copy(update={"accept": accept})
    provenance = RunProvenance(Path(), "", PackageProvenance(rebuild="orchestrate model=x"))
    seen = dataclasses.replace(seen, findings=(EDGE,))
    checked = CheckedTable((), note="data.checks=off")
    return render(training.report(), seen, data, spec, provenance, tracker, checked, verdict)


def test_the_page_is_kept_beside_the_run_with_its_card_and_groups() -> None:
    held.clear()
    page = made(two_classes(), Keeping(), slices="city", card={"limits": "None known."})
    assert held == {"report.html": page.html.encode()}
    for said in ("None known.", "Hold-out scores by the values of city", "orchestrate model=x", "data.checks=off"):
        assert said in page.html
    assert ([finding.code for finding in page.findings], page.remedy) == (
        ["model-grid-edge"],
        "'model.param_grid.C=[1,2]'",
    )


def test_an_accepted_finding_is_left_out_and_without_a_store_nothing_is_kept() -> None:
    page = made(two_classes(), NoTracking(), accept=("model-grid-edge",), card=CardSpec().model_dump())
    assert page.findings == ()
    assert "C=1 is at the edge" not in page.html


def test_the_gates_decision_is_said_with_its_reasons() -> None:
    kept = Verdict(
        "kept",
        ["no evidence that it is better", "roc_auc is better than a dummy's"],
        ["these rows were used 3 times"],
        champion="7",
        needed="500 rows",
    )
    page = made(two_classes(), NoTracking(), verdict=kept)
    for said in (
        "Champion version 7 stays; this version is registered and not deployed.",
        "No evidence that it is better.",
        "roc_auc is better than a dummy",
        "These rows were used 3 times.",
        "500 rows.",
    ):
        assert said in page.html
