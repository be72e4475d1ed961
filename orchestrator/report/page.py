"""Build report.html: collect what each section shows, and render it by the template. Only plain data, so it is quick."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.artifacts import Report
from orchestrator.findings import KINDS, OF_THE_MODEL, CheckedTable, TableFinding
from orchestrator.redaction import MASK, is_secret_name, redact
from orchestrator.report import charts, sections
from orchestrator.report.inspection import DataChanges, Inspection
from orchestrator.spec.report import CardSpec

FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Content:
    """All that the page shows.

    ``checked`` is None where the table was not checked. ``verdict`` are sentences on whether the model may replace the
    champion; empty without a gate. ``changes`` are those against the champion's training data, or why they are not known.
    """

    report: Report
    inspection: Inspection
    findings: Sequence[TableFinding]
    checked: CheckedTable | None = None
    card: CardSpec = field(default_factory=CardSpec)
    rebuild: str = ""
    verdict: Sequence[str] = ()
    changes: DataChanges | str = ""


def build_page(content: Content) -> str:
    """Return the page; all text of the user's is escaped, and no part of it lies elsewhere."""
    report, inspection = content.report, content.inspection
    found = {finding.code for finding in content.findings}
    page: str = _template().render(
        title=sections.title(report),
        data_name=sections.data_name(report),
        model_name=sections.model_name(report),
        refit=report.params.get("search.refit", ""),
        level=sections.level_of(report),
        contents=list(_contents(content)),
        report=report,
        table=inspection.table,
        figures=inspection.figures,
        importance=inspection.importance,
        versions=inspection.versions,
        verdict=content.verdict,
        card=content.card,
        checked=content.checked,
        findings=content.findings,
        kinds=KINDS,
        others={code: kind for code, kind in KINDS.items() if code not in found},
        passed=[code for code in KINDS if code.startswith(OF_THE_MODEL) and code not in found],
        main=sections.main_score(report),
        scores=sections.score_table(report, inspection),
        importance_rows=sections.importance_table(inspection.importance),
        with_intervals=any(
            score.low is not None
            for each in inspection.slices
            for group in each.groups
            for score in group.scores.values()
        ),
        slice_tables=[sections.slice_table(each, report) for each in inspection.slices],
        candidates=sections.candidate_table(report),
        changes=sections.describe_changes(content.changes),
        changed=content.changes.columns[: sections.CHANGES] if isinstance(content.changes, DataChanges) else (),
        spec=overrides_of(report.params),
        rebuild=content.rebuild,
        charts=charts,
        percent=sections.percent,
    )
    return page


def _contents(content: Content) -> Iterator[tuple[str, str]]:
    """Yield the name and the anchor of each section."""
    yield from [("Decision", "verdict")] if content.verdict else []
    yield from [("Use and limits", "card")] if content.card.intended_use or content.card.limits else []
    yield from (("Checks", "checks"), ("Scores", "scores"), ("What the model relies on", "importance"))
    yield from [("Groups", "slices")] if content.inspection.slices else []
    yield from (("Candidates", "candidates"), ("Data", "data"), ("How it was made", "made"))


def overrides_of(params: Mapping[str, str]) -> Sequence[str]:
    """Return the spec as ``key=value`` lines, secrets masked by name or by how they look."""
    return [f"{key}={MASK if is_secret_name(key) else redact(str(value))}" for key, value in params.items()]


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(FOLDER)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")
