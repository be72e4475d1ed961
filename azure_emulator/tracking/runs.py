"""Experiments and runs as documents: run history and MLflow show the same ones in two languages."""

from __future__ import annotations

import uuid
from typing import Any

from azure_emulator.common import addresses
from azure_emulator.common.store import Document, Store, now

CREATED_BY = {"userObjectId": addresses.CLIENT, "userTenantId": addresses.TENANT, "userName": "emulator"}
ENDED = frozenset({"Completed", "Failed", "Canceled"})


def experiment(store: Store, name: str) -> Document | None:
    """By name."""
    return store.get("experiment", name)


def experiment_by_id(store: Store, experiment_id: str) -> Document | None:
    """By id."""
    return next((one for one in store.all("experiment") if one["experimentId"] == experiment_id), None)


def create_experiment(store: Store, name: str, tags: Document | None = None) -> Document:
    """A new experiment."""
    document = {
        "experimentId": str(uuid.uuid4()),
        "name": name,
        "description": "",
        "createdUtc": now(),
        "archivedTime": None,
        "tags": tags or {},
    }
    return store.put("experiment", name, document)


def run(store: Store, run_id: str) -> Document | None:
    """By id, which is enough: ids are unique in a workspace."""
    return store.get("run", run_id)


def save_run(store: Store, document: Document) -> Document:
    """Keep it."""
    return store.put("run", document["runId"], document)


def create_run(store: Store, parent: Document, run_id: str, given: Document) -> Document:
    """A new run of the experiment ``parent``; ``given`` are fields of run history."""
    upper = run(store, given.get("parentRunId") or "")
    document = {
        "runNumber": store.number("run"),
        "rootRunId": upper["rootRunId"] if upper else run_id,
        "experimentId": parent["experimentId"],
        "experimentName": parent["name"],
        "createdUtc": now(),
        "userId": addresses.CLIENT,
        "createdBy": CREATED_BY,
        "runId": run_id,
        "runUuid": str(uuid.uuid4()),
        "parentRunId": None,
        "status": "NotStarted",
        "startTimeUtc": None,
        "endTimeUtc": None,
        "dataContainerId": f"dcid.{run_id}",
        "hidden": False,
        "tags": {},
        "properties": {},
        "params": {},
    }
    return save_run(store, document | {key: value for key, value in given.items() if value is not None})


def runs_of(store: Store, experiment_id: str) -> list[Document]:
    """Newest first."""
    return [one for one in store.all("run") if one["experimentId"] == experiment_id][::-1]


def log_metrics(store: Store, run_id: str, metric: Document) -> None:
    """Add the values of ``metric``, which has the shape of the metric service, to what the run has under its name."""
    key = f"{run_id}\n{metric['name']}"
    known = store.get("metric", key)
    if known is None:
        known = {"dataContainerId": f"dcid.{run_id}", "continuationToken": None} | metric | {"value": []}
    known["columns"] |= metric["columns"]
    known["value"] += metric["value"]
    store.put("metric", key, known)


def log_scalar(store: Store, run_id: str, name: str, points: list[Document]) -> None:
    """Add ``points`` of ``data``, ``step`` and ``createdUtc``; the run then has them as if ``Run.log`` had sent them."""
    properties = {"uxMetricType": "azureml.v1.scalar"}
    values: list[Any] = [{"metricId": str(uuid.uuid4()), **point} for point in points]
    log_metrics(store, run_id, {"name": name, "columns": {name: "Double"}, "properties": properties, "value": values})


def metrics(store: Store, run_id: str) -> list[Document]:
    """Every metric of the run."""
    return store.all("metric", f"{run_id}\n")
