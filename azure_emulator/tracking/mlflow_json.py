"""MLflow's JSON: errors, pairs, times, and the experiments and runs of run history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import Handler, get_store, json_response
from azure_emulator.common.store import Document, Store
from azure_emulator.tracking import runs

TO_HISTORY = {
    "RUNNING": "Running",
    "FINISHED": "Completed",
    "FAILED": "Failed",
    "KILLED": "Canceled",
    "SCHEDULED": "NotStarted",
}
_FROM_HISTORY = {history: mlflow for mlflow, history in TO_HISTORY.items()}
PARENT = "mlflow.parentRunId"


class MlflowError(Exception):
    """A refused call, with MLflow's error code."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def handler(function: Callable[[Store, Mapping[str, Any]], Document]) -> Handler:
    """Make a route handler of ``function``, which takes the store and the fields of the query and the body."""

    async def handle(request: Request) -> Response:
        fields: dict[str, Any] = dict(request.query_params)
        if request.method != "GET":
            fields |= await request.json()
        try:
            return json_response(function(get_store(request), fields))
        except MlflowError as error:
            status = {"RESOURCE_DOES_NOT_EXIST": 404}.get(error.code, 400)
            return json_response({"error_code": error.code, "message": str(error)}, status)
        except ValueError as error:
            return json_response({"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)}, 400)

    return handle


def render_experiment(experiment: Document) -> Document:
    """Return an experiment as MLflow represents it."""
    return {
        "experiment_id": experiment["experimentId"],
        "name": experiment["name"],
        "artifact_location": "",
        "lifecycle_stage": "deleted" if experiment["archivedTime"] else "active",
        "tags": to_pairs(experiment["tags"]),
        "creation_time": to_milliseconds(experiment["createdUtc"]),
    }


def render_run(store: Store, run: Document) -> Document:
    """Return a run with its latest metrics, params and tags."""
    run_id = run["runId"]
    latest = [
        max(metric_points(metric), key=lambda point: (point["step"], point["timestamp"]))
        for metric in runs.metrics(store, run_id)
    ]
    info = {
        "run_id": run_id,
        "run_uuid": run_id,
        "run_name": run.get("displayName") or run_id,
        "experiment_id": run["experimentId"],
        "user_id": run["userId"],
        "status": _FROM_HISTORY.get(run["status"], "RUNNING"),
        "start_time": to_milliseconds(run["startTimeUtc"]),
        "end_time": to_milliseconds(run["endTimeUtc"]),
        "artifact_uri": artifact_uri(run),
        "lifecycle_stage": "deleted" if run["hidden"] else "active",
    }
    data = {"metrics": latest, "params": to_pairs(run["params"]), "tags": to_pairs(run["tags"] | _derived_tags(run))}
    return {"info": {key: value for key, value in info.items() if value is not None}, "data": data, "inputs": {}}


def _derived_tags(run: Document) -> Document:
    tags = {"mlflow.rootRunId": run["rootRunId"], "mlflow.runName": run.get("displayName") or run["runId"]}
    return tags | ({PARENT: run["parentRunId"]} if run["parentRunId"] else {})


def artifact_uri(run: Document) -> str:
    """Return the artifact root of a run."""
    home = f"azureml://{addresses.SERVICES_HOST}/mlflow/v2.0{addresses.WORKSPACE_PATH}"
    return f"{home}/experiments/{run['experimentName']}/runs/{run['runId']}/artifacts"


def metric_points(metric: Document) -> list[Document]:
    """Return the history of a metric, without tables and images, which MLflow does not have."""
    name = metric["name"]
    return [
        {
            "key": name,
            "value": point["data"][name],
            "timestamp": to_milliseconds(point["createdUtc"]),
            "step": point["step"] or 0,
        }
        for point in metric["value"]
        if isinstance(point["data"].get(name), int | float | str)
    ]


def to_mapping(pairs: Any) -> Document:
    """Turn pairs of key and value into a mapping."""
    return {pair["key"]: pair["value"] for pair in pairs or []}


def to_pairs(mapping: Document) -> list[Document]:
    """Turn a mapping into pairs of key and value."""
    return [{"key": key, "value": value} for key, value in mapping.items()]


def to_milliseconds(written: str | None) -> int | None:
    """Convert an ISO time of run history to MLflow's milliseconds since 1970."""
    return int(datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp() * 1000) if written else None


def to_iso(milliseconds: int) -> str:
    """Convert MLflow's milliseconds to an ISO time of run history."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="milliseconds")


def routes(calls: Mapping[str, Callable[[Store, Mapping[str, Any]], Document]]) -> list[Route]:
    """Return the routes of calls such as ``"POST runs/create"``, under the two prefixes that clients use."""
    return [
        Route(f"/mlflow/v2.0/api/2.0/{prefix}/{path}", handler(function), methods=[method])
        for (method, path), function in ((call.split(" "), function) for call, function in calls.items())
        for prefix in ("mlflow", "preview/mlflow")
    ]
