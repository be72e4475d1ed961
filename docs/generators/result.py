"""docs/reference/result.md: the fields of result.json, with an example that the real code writes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from docs.generators.markdown import NOTE, json_block, table
from orchestrator.artifacts import Candidate, Endpoint, ModelVersion, Package, Probe, Report
from orchestrator.cli.result_file import FIELDS, Result
from orchestrator.errors import DeployError
from orchestrator.events import RunFinished, StepFailed, StepFinished, StepPlan
from orchestrator.uncertainty.interval import Interval

INTRO = """# result.json

Every run that begins writes `result.json` to its folder (`outputs/<date>/<time>/`, in a sweep `multirun/...`; the last
line that is printed names it), also when it fails. What a run did not make is null. It holds no key and no password. A
run whose configuration is wrong writes none: its mistakes are printed, and the exit code is 1.

"""
PACKAGE = Package(Path("/home/me/state/packages/2b2316dfa871142b"), "2b2316dfa871142b" + "0" * 48, "diabetes_model")
ARTIFACTS: dict[Any, Any] = {
    Package: PACKAGE,
    ModelVersion: ModelVersion("diabetes_model", "1", "0d5e8f1c6b7a4e0f9a3c2b1d4e5f6071", PACKAGE),
    Endpoint: Endpoint("http://127.0.0.1:6789/score", "local", False, PACKAGE),
    Report: Report(
        params={"search.refit": "roc_auc"},
        tags={"positive_label": "1"},
        best_params={"max_depth": 7, "n_estimators": 30},
        metrics={"mean_test_roc_auc": 0.8291, "std_test_roc_auc": 0.0264, "holdout_roc_auc": 0.8204},
        intervals={"roc_auc": Interval(0.7443, 0.8776, "delong-logit")},
        candidates=(Candidate({"max_depth": 7, "n_estimators": 30}, {}, {}, 1, 0.1),),
        figures={},
        config="",
    ),
    Probe: Probe(5, 1.9, 2.4, None),
}


def page() -> str:
    """Return the text of the page."""
    fields = table(["key", "value"], [[f"`{name}`", text] for name, text in FIELDS.items()])
    failed = {name: value for name, value in _failed().items() if name in ("endpoint", "stages", "error", "error_code")}
    return (
        f"{NOTE}{INTRO}{fields}\n## After success\n\n{json_block(_succeeded())}\n## After a failure\n\n"
        f"These keys differ; `error_code` is explained on [the page of errors](errors.md).\n\n{json_block(failed)}"
    )


def _step(name: str, *, cached: bool = False) -> StepPlan:
    return StepPlan(name, (), "", cached=cached)


def _succeeded() -> dict[str, Any]:
    stages = [StepFinished(_step("train", cached=True), 0.0), StepFinished(_step("deploy"), 1.2)]
    return _written([*stages, RunFinished(1.4)], ARTIFACTS)


def _failed() -> dict[str, Any]:
    error = DeployError("deploy: out of memory: MemoryError; deploy.memory_gb=2", "out_of_memory")
    return _written([StepFailed(_step("deploy"), 9.1, error), RunFinished(9.3, error)], {})


def _written(events: list[Any], artifacts: dict[Any, Any]) -> dict[str, Any]:
    result = Result()
    for event in events:
        result(event)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        result.write(file, artifacts)
        written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return written
