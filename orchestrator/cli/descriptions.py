"""Descriptions of artifacts: what a step made, in a few words, and a curl line for an endpoint."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.artifacts import (
    BatchResult,
    Dataset,
    Endpoint,
    Evaluation,
    ModelVersion,
    Package,
    Probe,
    Search,
    Split,
    TrackedRun,
    Trained,
    Verification,
)
from orchestrator.cli.version_table import version_table
from orchestrator.deploy.none import describe_absence
from orchestrator.findings import CheckedTable, TableFinding, TableFindings
from orchestrator.gate.verdict import Verdict
from orchestrator.packaging import holdout_check
from orchestrator.registry.listing import VersionListing
from orchestrator.report.inspection import ReportPage
from orchestrator.reporting.scores import format_score
from orchestrator.services import Keys, ServiceStatus
from orchestrator.spec.messages import format_params
from score.contract import golden, training_info
from score.explain.explainer import ExplanationRecord
from score.models.onnx import Compilation

LONGEST_LIST = 5  # failed candidates, and columns with values outside of training's; result.json has all


@functools.singledispatch
def describe(artifact: Any) -> str:  # noqa: ARG001 - the base case says nothing
    """Describe an artifact in a few words; empty for one without a description."""
    return ""


def _describes(kind: type) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    return functools.partial(describe.register, kind)  # type: ignore[return-value]


@_describes(Search)
def _search(search: Search) -> str:
    unknown = "halved from round to round" if hasattr(search.estimator, "factor") else "fits by the folds of the rows"
    fits = unknown if search.fits is None else f"{search.fits} fits"
    return f"{search.candidates} candidate{'s' if search.candidates != 1 else ''}, {fits}"


@_describes(Dataset)
def _dataset(dataset: Dataset) -> str:
    return dataset.reading.line if dataset.reading else ""


@_describes(Split)
def _split(split: Split) -> str:
    if split.summary is None:  # of a stage of the user's
        return f"{len(split.y_train)} training rows, {len(split.y_test)} held out"
    return split.summary.line


@_describes(TableFindings)
def _findings(table: TableFindings) -> str:
    return f"{table.rows:,} rows" if table.searched else "not checked"


@_describes(CheckedTable)
def _checked(checked: CheckedTable) -> str:
    return _list_findings(checked.findings, checked.note, checked.remedy)


@_describes(ReportPage)
def _page(page: ReportPage) -> str:
    return _list_findings(page.findings, "about the model" if page.findings else "", page.remedy)


def _list_findings(findings: Sequence[TableFinding], note: str, remedy: str) -> str:
    count = len(findings)
    head = f"{count or 'no'} finding{'s' * (count != 1)}{f' ({note})' if note else ''}"
    by_code: dict[str, list[str]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(f"  {finding.code}: {finding.text}")
    lines = [line for same in by_code.values() for line in _shorten(same)]
    together = [f"  all at once: {remedy}"] if count > 1 and remedy else []
    return "\n".join([head, *lines, *together])


def _shorten(lines: Sequence[str]) -> Sequence[str]:
    more = len(lines) - LONGEST_LIST
    return [*lines[:LONGEST_LIST], *([f"  and {more:,} more like these"] if more > 0 else [])]


@_describes(Trained)
def _trained(trained: Trained) -> str:
    failed = [f"\n  {format_params(one.params)}: {one.error}" for one in trained.candidates if one.error]
    more = f"\n  and {len(failed) - LONGEST_LIST} more" if len(failed) > LONGEST_LIST else ""
    left_out = f"; {len(failed)} of {len(trained.candidates)} candidates failed and were left out:" if failed else ""
    trees = "" if trained.trees is None else f"; {trained.trees:,} trees by early stopping"
    best = format_params(trained.best.params) or "(no grid)"
    return "".join(["best ", best, trees, left_out, *failed[:LONGEST_LIST], more])


@_describes(Evaluation)
def _evaluation(evaluation: Evaluation) -> str:
    rows, positive = evaluation.notes.rows, evaluation.notes.positive
    metrics, intervals = evaluation.metrics.items(), evaluation.intervals
    scores = ", ".join(f"{name} {format_score(value, rows, intervals.get(name))}" for name, value in metrics)
    weight = f" (weighted by '{evaluation.notes.weight}')" if evaluation.notes.weight else ""
    decision = f"; label from a probability of {evaluation.decision.threshold:.3g}" if evaluation.decision else ""
    return f"hold-out {scores}" + (f" (positive label: {positive})" if positive else "") + weight + decision


@_describes(Package)
def _package(package: Package) -> str:
    compiled = Compilation.read(package.path)
    how = (
        f"compiled, {compiled.rows + compiled.edges} rows equal to the pickle's"
        if compiled.used
        else f"not compiled: {compiled.reason}"
    )
    refused = f"; refused: {holdout_check.describe_refusals(package.refusals)}" if package.refusals else ""
    about = training_info.read(package.path) or {}
    rows = about.get("training_rows", 0) + about.get("held_out_rows", 0)
    again = f"; fitted again on all {rows:,} rows (search.fit_on=all)" if about.get("fit_on") == "all" else ""
    explained = ExplanationRecord.read(package.path)
    way = "not explained" if explained.method == "none" else "explained by estimates"
    why = f"; {way}: {explained.reason}" if explained.reason else ""
    return f"{package.short_id}  {how}{why}{refused}{again}"


@_describes(Verification)
def _proof(verification: Verification) -> str:
    memory = f"{verification.memory_bytes / 2**20:.0f} MiB"
    return f"{verification.requests} golden requests answered as in training in a clean process ({memory})"


@_describes(ModelVersion)
def _version(version: ModelVersion) -> str:
    if version.chosen:
        which = f"version {version.version}" if version.version else f"package {version.package.short_id}"
        return f"{version.name} {which}: {version.chosen}"
    return f"{version.name} version {version.version}" if version.version else "not tracked"


@_describes(TrackedRun)
def _run(run: TrackedRun) -> str:
    return f"run {run.run_id}" if run.run_id else "not tracked"


@_describes(Verdict)
def _verdict(verdict: Verdict) -> str:
    more = [*verdict.notes, *([verdict.needed] if verdict.needed else [])]
    return "\n".join([verdict.line, *(f"  {line}" for line in more)])


@_describes(BatchResult)
def _scored(scored: BatchResult) -> str:
    refused = f"; {scored.refused:,} refused, see {scored.reasons}" if scored.reasons else ""
    outside = _counts("values beyond training's range", scored.out_of_range)
    unseen = _counts("levels that training did not see", scored.unseen)
    return f"{scored.rows:,} rows in {scored.path}{refused}{outside}{unseen}"


def _counts(what: str, columns: Mapping[str, int]) -> str:
    most = sorted(columns.items(), key=lambda item: -item[1])
    named = ", ".join(f"{name} {count:,}" for name, count in most[:LONGEST_LIST])
    more = f" and {len(most) - LONGEST_LIST:,} more columns" if len(most) > LONGEST_LIST else ""
    return f"; {what}: {named}{more}" if named else ""


@_describes(Endpoint)
def _endpoint(endpoint: Endpoint) -> str:
    return endpoint.url


@_describes(Probe)
def _probe(probe: Probe) -> str:
    auth = ", refuses requests without the key" if probe.refused_without_key else ""
    part = f"; it gets {probe.share} % of the requests, so the champion stays" if probe.share < 100 else ""
    latency = f"p50 {probe.p50_ms:.1f} ms, p95 {probe.p95_ms:.1f} ms"
    return f"{probe.requests} golden requests answered as in training{auth}; {latency}{part}"


@_describes(ServiceStatus)
def _status(status: ServiceStatus) -> str:
    if not status.name:
        return describe_absence(status)
    details = "".join(f"\n  {name}: {value}" for name, value in status.details.items())
    return f"{status.name} is {status.state}{f' at {status.url}' if status.url else ''}{details}"


@_describes(Keys)
def _keys(keys: Keys) -> str:
    return f"\n  primary: {keys.primary}\n  secondary: {keys.secondary}"


@_describes(VersionListing)
def _listing(listing: VersionListing) -> str:
    return version_table(listing)


@_describes(str)
def _text(text: str) -> str:
    return f"\n{text.rstrip()}"


def curl_line(endpoint: Endpoint, keys_command: str) -> str:
    """Return a line to paste that sends the first golden request; ``keys_command`` prints the key it needs."""
    records = next(item for item in golden.read(endpoint.package.path) if item.name == golden.RECORDS)
    body = json.dumps({"data": json.loads(records.body)["data"][:1]})
    key = f""" -H "Authorization: Bearer $({keys_command} | sed -n 's/^ *primary: //p')\"""" if endpoint.auth else ""
    return f"curl -s {endpoint.url} -H 'Content-Type: application/json'{key} -d {shlex.quote(body)}"
