"""result.json: the outcome of a run, for scripts, without secrets; and report.html beside it, for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.artifacts import (
    BatchResult,
    Dataset,
    Endpoint,
    ModelVersion,
    Package,
    Probe,
    Refusals,
    Report,
    Split,
    TrackedRun,
)
from orchestrator.errors import code_of
from orchestrator.events import Event, RunFinished, StepFailed, StepFinished, StepSkipped
from orchestrator.files import write_atomic
from orchestrator.findings import CheckedTable
from orchestrator.gate.verdict import Verdict
from orchestrator.registry.listing import VersionListing
from orchestrator.report.inspection import FILE as REPORT
from orchestrator.report.inspection import ReportPage
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST

FIXED = "model.params."
FIELDS: Mapping[str, str] = {  # for docs/reference/result.md
    "run_id": "the run in the tracking store",
    "model": "name and version in the model registry",
    "best_params": "parameters of the best candidate",
    "best": "the best candidate's estimator, its parameters outside of the grid (`model.params`), seconds of one fit, the number of "
    "test scores that its means are of (null where that depends on the rows), and a digest of the hold-out rows",
    "positive": "the label that counts as positive, of a target with two classes",
    "threshold": "from which probability a row gets the positive label, the rule that chose it and what that saw; null where the "
    "estimator's own `predict` decides",
    "refit": "the metric that chose the best candidate",
    "fit_on": "the rows that the shipped model was fitted on: `training`, or `all`; metrics are always of the fit on the training "
    "rows",
    "failed": "parameters and error of each candidate that failed (`search.on_error=skip`)",
    "metrics": "of each scorer: `mean_test_*` and `std_test_*` (cross-validated), `holdout_*`, and `dummy_*` of a model that "
    "ignores the features; of two classes with probabilities the Brier score and the expected calibration error, too",
    "intervals": "of each hold-out metric that has one: `low`, `high`, the `level` and the `method`",
    "package": "folder and fingerprint of the package",
    "holdout": "hold-out rows that the endpoint would refuse, by column and reason",
    "gate": "what the gate decided and why: `decision` (`passed`, `kept`: the champion stays, `refused`, `unchanged`: it is the "
    "champion already, `open`: nothing was decided), reasons, the comparison with the champion, limits, the level, how many "
    "models were scored on the hold-out rows (`looks`), and what would be needed",
    "endpoint": "scoring URI, kind of target, and whether a key is needed; null after a failure, which rolls it back",
    "probe": "golden requests that the endpoint answered as in training, and their latency in ms; "
    "`share` is the percentage of the requests where it is not all",
    "data": "how the table and each column were read",
    "findings": "what is likely wrong with the table and with the model: [stable code](errors.md#findings-about-the-table-and-the-model), columns, text and the "
    "overrides that are the remedy; null where the table was not checked and nothing was found in the model",
    "report": "the file report.html, with all of this for people",
    "split": "how the rows were split: rule, column, sizes, groups, the first held-out time, folds, and notes",
    "batch": "the scored table: its file, rows, refused rows and values that training did not see",
    "versions": "the registered versions that `stages=versions` lists",
    "stages": "name and seconds of each stage, and whether it came from the cache; `skipped` says why one was not run",
    "error": "the error in one line, as it was printed; null after success",
    "error_code": "the [stable code](errors.md) of the error; null after success",
}


class Result:
    """Collects the steps as an observer, then writes the file."""

    def __init__(self) -> None:
        self._stages: list[dict[str, Any]] = []
        self._made: dict[Any, Any] = {}  # of a run that fails these are all there is
        self._error: BaseException | None = None
        self.failed = ""  # the name of the stage that raised

    def __call__(self, event: Event) -> None:
        """Record each step's time and artifact, and how the run ended."""
        if isinstance(event, StepFinished | StepFailed):
            seconds = round(event.seconds, 4)
            self._stages.append({"name": event.step.name, "seconds": seconds, "cached": event.step.cached})
        if isinstance(event, StepSkipped):
            self._stages.append({"name": event.step.name, "seconds": 0.0, "cached": False, "skipped": event.why})
        elif isinstance(event, StepFailed):
            self.failed = event.step.name
        elif isinstance(event, StepFinished):
            self._made[type(event.artifact)] = event.artifact
        elif isinstance(event, RunFinished):
            self._error = event.error

    def write(self, path: Path, artifacts: Any) -> None:
        """Write the file, and the report beside it; ``artifacts`` are the run's by type, and those it did not make are null."""
        report = self._find(Report, artifacts)
        version = self._find(ModelVersion, artifacts)
        run = version or self._find(TrackedRun, artifacts)
        package = self._find(Package, artifacts) or (version and version.package)
        # a failed probe rolls the endpoint back
        endpoint = self._find(Endpoint, artifacts) if self._error is None else None
        probe = self._find(Probe, artifacts)
        verdict = self._find(Verdict, artifacts)
        scored = self._find(BatchResult, artifacts)
        listing = self._find(VersionListing, artifacts)
        checked = self._made.get(CheckedTable)
        found = checked.findings if checked else getattr(self._error, "findings", None) or None
        page = self._find(ReportPage, artifacts)
        if page is not None and page.findings:
            found = [*(found or ()), *page.findings]
        parts = self._made.get(Split)
        dataset = self._made.get(Dataset)  # never asked for: in a run that is cached it would read the table again
        result = {
            "run_id": run and run.run_id,
            "model": version and {"name": version.name, "version": version.version},
            "best_params": report and dict(report.best_params),
            "best": report and _best(report),
            "positive": report and report.tags.get("positive_label"),
            "threshold": report and report.decision and report.decision.as_json(),
            "refit": report and report.params.get("search.refit"),
            "fit_on": report and report.params.get("search.fit_on"),
            "failed": report
            and [{"params": dict(one.params), "error": one.error} for one in report.candidates if one.error],
            "metrics": report and {name: value for name, value in report.metrics.items() if math.isfinite(value)},
            "intervals": report and {name: interval.as_json() for name, interval in report.intervals.items()},
            "package": package and {"path": str(package.path), "fingerprint": package.fingerprint},
            "holdout": _refusals(package.refusals if package else getattr(self._error, "refusals", None)),
            "gate": verdict and verdict.as_json(),
            "endpoint": endpoint and {"url": endpoint.url, "target": endpoint.target, "auth": endpoint.auth},
            "probe": probe and {name: value for name, value in vars(probe).items() if (name, value) != ("share", 100)},
            "data": report.table if report else dataset.reading.as_json() if dataset and dataset.reading else None,
            "findings": None if found is None else [finding.as_json() for finding in found],
            "report": page and str(path.with_name(REPORT)),
            "split": report.split if report else parts.summary.as_json() if parts and parts.summary else None,
            "batch": scored and vars(scored),
            "versions": listing and [vars(one) for one in listing.versions],
            "stages": self._stages,
            "error": None if self._error is None else str(self._error) or type(self._error).__name__,
            "error_code": None if self._error is None else code_of(self._error),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        if page is not None:
            write_atomic(path.with_name(REPORT), page.html)
        write_atomic(path, json.dumps(result, indent=2, default=str) + "\n")

    def _find(self, kind: Any, artifacts: Any) -> Any:
        return artifacts[kind] if kind in artifacts else self._made.get(kind)


def _best(report: Report) -> dict[str, Any]:
    """Return what the jobs of a sweep are compared by, beside their scores."""
    seconds = min((one.fit_seconds for one in report.candidates if one.params == report.best_params), default=None)
    return {
        "estimator": report.params.get("model.estimator"),
        "params": {
            name.removeprefix(FIXED): _value(text) for name, text in report.params.items() if name.startswith(FIXED)
        },
        "fit_seconds": seconds,
        "folds": report.folds,
        "holdout_rows": report.tags.get(HOLDOUT_DIGEST),
    }


def _value(text: str) -> Any:
    """Return a value of the spec from its readable text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refusals(refusals: Refusals | None) -> dict[str, Any] | None:
    """Return how many hold-out rows the endpoint would refuse, by column and reason."""
    if refusals is None:
        return None
    reasons = [
        {"column": column, "reason": reason, "rows": count, "example": refusals.examples[column][reason]}
        for column, counts in refusals.reasons.items()
        for reason, count in counts.items()
    ]
    return {"rows": refusals.rows, "refused": refusals.refused, "share": refusals.share, "reasons": reasons}
