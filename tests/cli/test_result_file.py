"""result.json: complete, readable by any JSON parser, without secrets, also after a failure."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts import Candidate, Dataset, Endpoint, ModelVersion, Package, Probe, Refusals, Report
from orchestrator.cli.result_file import Result
from orchestrator.errors import DataError, DeployError, PackageError
from orchestrator.events import Event, RunFinished, StepFailed, StepFinished, StepPlan
from orchestrator.findings import CheckedTable, TableFinding
from orchestrator.services import Keys
from orchestrator.uncertainty.interval import Interval

PACKAGE = Package(Path("/state/packages/abc"), "abcdef", "toy_model")
VERSION = ModelVersion("toy_model", "3", "run-1", PACKAGE)
ENDPOINT = Endpoint("http://localhost:1/score", "local", True, PACKAGE, {"Authorization": "Bearer secret"})
REPORT = Report(
    {
        "search.refit": "f1",
        "search.fit_on": "all",
        "model.params.max_features": "sqrt",
        "model.params.max_depth": "4",
        "model.params.C": "null",
    },
    {"positive_label": "good"},
    {"max_depth": None},
    {"holdout_f1": 0.5, "mean_test_f1": float("nan")},
    (
        Candidate({"max_depth": None}, {}, {}, 1, 0.1),
        Candidate({"max_depth": -1}, {}, {}, 2, 0.1, error="ValueError: no"),
    ),
    {},
    "",
    intervals={"f1": Interval(0.25, 0.75, "wilson")},
)
ARTIFACTS: dict[Any, Any] = {
    Package: PACKAGE,
    ModelVersion: VERSION,
    Endpoint: ENDPOINT,
    Report: REPORT,
    Probe: Probe(5, 1.5, 2.5, True),
}


def step(name: str, *, cached: bool = False) -> StepPlan:
    return StepPlan(name, (), "", cached=cached)


def written(result: Result, artifacts: Any, folder: Path) -> dict[str, Any]:
    result.write(folder / "result.json", artifacts)
    text = (folder / "result.json").read_text()
    assert "secret" not in text
    assert [path.name for path in folder.iterdir()] == ["result.json"]
    found: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return found


def test_a_run_is_written_as_the_readme_says(tmp_path: Path) -> None:
    result = Result()
    for event in (
        StepFinished(step("train", cached=True), 0.0),
        StepFinished(step("keys"), 0.123456, Keys("secret", "secret")),
        RunFinished(1.0),
    ):
        result(event)
    assert written(result, ARTIFACTS, tmp_path) == {
        "run_id": "run-1",
        "model": {"name": "toy_model", "version": "3"},
        "best_params": {"max_depth": None},
        "best": {
            "estimator": None,
            "params": {"max_features": "sqrt", "max_depth": 4, "C": None},
            "fit_seconds": 0.1,
            "folds": None,
            "holdout_rows": None,
        },
        "positive": "good",
        "refit": "f1",
        "fit_on": "all",
        "threshold": None,
        "failed": [{"params": {"max_depth": -1}, "error": "ValueError: no"}],
        "metrics": {"holdout_f1": 0.5},
        "intervals": {"f1": {"low": 0.25, "high": 0.75, "method": "wilson", "level": 0.95}},
        "package": {"path": "/state/packages/abc", "fingerprint": "abcdef"},
        "holdout": None,
        "gate": None,
        "endpoint": {"url": "http://localhost:1/score", "target": "local", "auth": True},
        "probe": {"requests": 5, "p50_ms": 1.5, "p95_ms": 2.5, "refused_without_key": True},
        "split": None,
        "data": None,
        "findings": None,
        "report": None,
        "batch": None,
        "versions": None,
        "stages": [
            {"name": "train", "seconds": 0.0, "cached": True},
            {"name": "keys", "seconds": 0.1235, "cached": False},
        ],
        "error": None,
        "error_code": None,
    }


def test_findings_are_listed_also_where_they_end_the_run(tmp_path: Path) -> None:
    finding = TableFinding("data-identifier", "column 'id' is one", ("id",), {"data.drop": ["id"]})
    listed = [{"code": finding.code, "columns": ["id"], "text": finding.text, "remedy": "'data.drop=[id]'"}]
    events: dict[str, Event] = {
        "warned": StepFinished(step("warn"), 0.1, CheckedTable((finding,))),
        "failed": RunFinished(1.0, DataError("data.checks: 1 finding", "data-findings", [finding])),
        "clean": StepFinished(step("warn"), 0.1, CheckedTable(())),
    }
    for name, event in events.items():
        result = Result()
        result(event)
        found = written(result, {}, tmp_path / name)
        assert found["findings"] == ([] if name == "clean" else listed)
        assert found["error_code"] == ("data-findings" if name == "failed" else None)


def test_what_a_run_did_not_make_is_null(tmp_path: Path) -> None:
    found = written(Result(), {}, tmp_path / "new folder")
    assert found.pop("stages") == []
    assert set(found.values()) == {None}
    only_deployed = {ModelVersion: VERSION}
    assert written(Result(), only_deployed, tmp_path / "other")["package"]["fingerprint"] == "abcdef"


def test_the_table_of_a_cached_run_is_not_read_again(tmp_path: Path) -> None:
    class Cached(dict[Any, Any]):
        def __contains__(self, kind: object) -> bool:
            return kind is Dataset or super().__contains__(kind)

    artifacts = Cached({Report: replace(REPORT, table={"rows": 7})})  # raises where the Dataset is asked for
    assert written(Result(), artifacts, tmp_path)["data"] == {"rows": 7}


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        (ValueError("burnt"), "burnt", "unexpected"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "interrupted"),
        (PackageError("no"), "no", "package"),
        (DeployError("deploy: no"), "deploy: no", "deploy"),
        (pickle.loads(pickle.dumps(DeployError("full", "out_of_memory"))), "full", "deploy-out-of-memory"),
    ],
)
def test_a_failed_run_lists_what_it_made_and_no_endpoint(
    error: BaseException, expected: str, code: str, tmp_path: Path
) -> None:
    result = Result()
    for event in (
        StepFinished(step("register"), 1.0, VERSION),
        StepFinished(step("deploy"), 1.0, ENDPOINT),
        StepFailed(step("probe"), 1.0, error),
        RunFinished(3.0, error),
    ):
        result(event)
    found = written(result, {}, tmp_path)
    assert (found["error"], found["error_code"]) == (expected, code)
    assert found["model"] == {"name": "toy_model", "version": "3"}
    assert found["endpoint"] is None  # it was taken down again
    assert [stage["name"] for stage in found["stages"]] == ["register", "deploy", "probe"]


@pytest.mark.parametrize(("share", "written_share"), [(100, None), (20, 20), (0, 0)])
def test_a_share_of_the_requests_is_written_where_it_is_not_all(
    share: int, written_share: int | None, tmp_path: Path
) -> None:
    found = written(Result(), {**ARTIFACTS, Probe: Probe(5, 1.5, 2.5, True, share)}, tmp_path)
    assert found["probe"].get("share") == written_share


def test_refused_hold_out_rows_are_reported_by_column_and_reason_whether_or_not_there_is_a_package(
    tmp_path: Path,
) -> None:
    refusals = Refusals(80, 4, {"city": {"is no category": 3}, "age": {"is not finite": 1}},
                        {"city": {"is no category": '"c95"'}, "age": {"is not finite": "Infinity"}})  # fmt: skip
    reasons = [
        {"column": "city", "reason": "is no category", "rows": 3, "example": '"c95"'},
        {"column": "age", "reason": "is not finite", "rows": 1, "example": "Infinity"},
    ]
    expected = {"rows": 80, "refused": 4, "share": 0.05, "reasons": reasons}
    made = replace(PACKAGE, refusals=refusals)
    assert written(Result(), {Package: made}, tmp_path)["holdout"] == expected
    failed = Result()
    failed(RunFinished(1.0, pickle.loads(pickle.dumps(PackageError("too many", refusals)))))
    assert written(failed, {}, tmp_path)["holdout"] == expected
