"""The table that a run learned from, among the run's inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from orchestrator.artifacts import Report
from orchestrator.events import RunFinished
from orchestrator.tracking.mlflow import datasets
from orchestrator.tracking.mlflow.retries import RetryBudget, RetryingClient
from orchestrator.tracking.mlflow.tracker import Mlflow
from tests.tracking.kit import client_of, report_of
from tests.tracking.servers import answering

COLUMNS = [
    {"name": "age", "dtype": "int64", "missing": 0},
    {"name": "mass", "dtype": "float64", "missing": 2},
    {"name": "size", "dtype": "uint8", "missing": 0},
    {"name": "flag", "dtype": "bool", "missing": 0},
    {"name": "city", "dtype": "str", "missing": 1},
]


def report_on(path: Path) -> Report:
    report = report_of(1)
    params = {**report.params, "data.path": str(path), "data.target": "left"}
    table = {"rows": 40, "columns": COLUMNS}
    tags = {"data_fingerprint": "d" * 32, "data_split": "32 training rows, 8 held out"}
    return replace(report, params=params, tags=tags, table=table)


def test_the_run_has_its_table_as_an_input(tracker: Callable[..., Mlflow], tmp_path: Path) -> None:
    import mlflow

    table = tmp_path / "churn.csv"
    table.write_text("age,left\n1,2\n")
    recorder = tracker()
    run_id = recorder.record(report_on(table))
    recorder(RunFinished(1.0))
    (used,) = client_of(recorder).get_run(run_id).inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("churn.csv", "d" * 32)
    assert {tag.key: tag.value for tag in used.tags} == {
        "mlflow.data.context": "training",
        "data_split": "32 training rows, 8 held out",
    }
    assert json.loads(used.dataset.profile) == {"num_rows": 40, "num_elements": 240, "target": "left"}
    columns = json.loads(used.dataset.schema)["mlflow_colspec"]
    assert [column["type"] for column in columns] == ["long", "double", "integer", "boolean", "string"]
    assert [column["name"] for column in columns if not column["required"]] == ["mass", "city"]
    assert mlflow.data.get_source(used.dataset).load() == str(table)  # MLflow's own class reads it


def test_a_report_without_a_table_has_no_dataset() -> None:
    assert datasets.describe_dataset(replace(report_of(1), params={})) is None


def test_what_mlflow_limits_is_left_out(tmp_path: Path) -> None:
    wide = [{"name": "x" * 100, "dtype": "int64", "missing": 0}] * 10_000
    content = datasets.describe_dataset(replace(report_on(tmp_path / "wide.csv"), table={"rows": 1, "columns": wide}))
    assert content is not None
    assert content["schema"] is None
    assert json.loads(str(content["profile"]))["num_elements"] == 10_001


@contextmanager
def store_of(status: int, notes: list[str]) -> Iterator[Any]:
    from mlflow import MlflowClient

    with answering(lambda *_: (status, "")) as uri:
        client = RetryingClient(MlflowClient(uri, uri), RetryBudget(uri, 5, notes.append))
        yield SimpleNamespace(client=client)


def test_a_server_without_inputs_is_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    with store_of(404, notes) as store:
        datasets.log_dataset(store, "0" * 32, report_on(tmp_path / "churn.csv"))
    assert notes == ["the tracking server takes no datasets as inputs; the run's tag data_fingerprint has the digest"]


def test_another_failure_is_raised(tmp_path: Path) -> None:
    from mlflow.exceptions import MlflowException

    with store_of(403, []) as store, pytest.raises(MlflowException, match="403"):
        datasets.log_dataset(store, "0" * 32, report_on(tmp_path / "churn.csv"))


@pytest.mark.parametrize("conflicts", [1, 2])
def test_a_dataset_that_another_run_logs_at_the_same_time_is_logged_again(tmp_path: Path, conflicts: int) -> None:
    """A server on PostgreSQL in ``test_shared_server.py`` answers so, now and then."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import BAD_REQUEST

    answers: list[Any] = [MlflowException("violates unique constraint", BAD_REQUEST)] * conflicts + [None]
    client = Mock(log_inputs=Mock(side_effect=answers))
    datasets.log_dataset(SimpleNamespace(client=client), "0" * 32, report_on(tmp_path / "churn.csv"))  # type: ignore[arg-type]
    assert client.log_inputs.call_count == conflicts + 1
    client.log_inputs.side_effect = MlflowException("no such run", BAD_REQUEST)
    with pytest.raises(MlflowException, match="no such run"):
        datasets.log_dataset(SimpleNamespace(client=client), "0" * 32, report_on(tmp_path / "churn.csv"))  # type: ignore[arg-type]
