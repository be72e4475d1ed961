"""Experiments and runs as documents, which run history and MLflow share."""

from __future__ import annotations

import uuid
from typing import Any

from azure_emulator.common import addresses
from azure_emulator.common.store import Document, Store, now

CREATED_BY = {"userObjectId": addresses.CLIENT, "userTenantId": addresses.TENANT, "userName": "emulator"}
ENDED = frozenset({"Completed", "Failed", "Canceled"})


def experiment(store: Store, name: str) -> Document | None:
    """Return the experiment of this name, or None."""
    return store.get("experiment", name)


def experiment_by_id(store: Store, experiment_id: str) -> Document | None:
    """Return the experiment with this id, or None."""
    return next((document for document in store.all("experiment") if document["experimentId"] == experiment_id), None)


def create_experiment(store: Store, name: str, tags: Document | None = None) -> Document:
    """Create an experiment."""
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
    """Return the run with this id, or None; ids are unique in a workspace."""
    return store.get("run", run_id)


def save_run(store: Store, document: Document) -> Document:
    """Store the run, and return it."""
    return store.put("run", document["runId"], document)


def create_run(store: Store, parent: Document, run_id: str, fields: Document) -> Document:
    """Create a run of the experiment ``parent``; ``fields`` are those of run history."""
    parent_run = run(store, fields.get("parentRunId") or "")
    document = {
        "runNumber": store.next_number("run"),
        "rootRunId": parent_run["rootRunId"] if parent_run else run_id,
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
    return save_run(store, document | {key: value for key, value in fields.items() if value is not None})


def runs_of(store: Store, experiment_id: str) -> list[Document]:
    """Return the runs of an experiment, newest first."""
    return [document for document in store.all("run") if document["experimentId"] == experiment_id][::-1]


def log_metrics(store: Store, run_id: str, metric: Document) -> None:
    """Append the values of ``metric``, a document of the metric service, to the run's metric of that name."""
    key = f"{run_id}\n{metric['name']}"
    stored = store.get("metric", key)
    if stored is None:
        stored = {"dataContainerId": f"dcid.{run_id}", "continuationToken": None} | metric | {"value": []}
    stored["columns"] |= metric["columns"]
    stored["value"] += metric["value"]
    store.put("metric", key, stored)


def log_scalar(store: Store, run_id: str, name: str, points: list[Document]) -> None:
    """Append ``points`` of ``data``, ``step`` and ``createdUtc`` in the format of ``Run.log``."""
    properties = {"uxMetricType": "azureml.v1.scalar"}
    values: list[Any] = [{"metricId": str(uuid.uuid4()), **point} for point in points]
    log_metrics(store, run_id, {"name": name, "columns": {name: "Double"}, "properties": properties, "value": values})


def metrics(store: Store, run_id: str) -> list[Document]:
    """Return the metrics of the run."""
    return store.all("metric", f"{run_id}\n")
